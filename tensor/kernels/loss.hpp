#pragma once
// Losses of logits and of differences.
#include <cotangent/tensor/kernels/columns.hpp>

namespace cotangent::kernels {

/// What the cross entropy of logits (outer, classes, inner) with class indices (outer, inner) reads and writes.
template <class T>
struct CrossEntropy {
  const T* logits;
  const int64_t* target;  ///< each in [0, classes) or ignore_index
  const T* weight;        ///< (classes), or nullptr for ones
  double weight_sum;
  double smoothing;
  int64_t ignore_index, classes, inner;
  T *shift, *log_sum;  ///< (outer, inner): the maximum of the logits and log(sum(exp(logits - maximum)))
  T* loss;             ///< (outer, inner), by forward
  const T* grad;       ///< of the losses, `grad_step` (0 or 1) apart and to be multiplied by grad_scale
  int64_t grad_step;
  double grad_scale;
  T* d_logits;  ///< by backward
};

/// Units of work are rows when inner is 1, else blocks of kColumns columns.
template <class T>
struct LossLoops {
  void (*cross_entropy)(const CrossEntropy<T>& arguments, int64_t first, int64_t last);
  void (*cross_entropy_backward)(const CrossEntropy<T>& arguments, int64_t first, int64_t last);
  /// The sum of (x - y)^2.
  double (*squared_distance)(const T* x, const T* y, int64_t n);
};

}  // namespace cotangent::kernels
