#pragma once
// Losses of logits and of differences.
#include <cotangent/tensor/kernels/columns.hpp>

namespace cotangent::kernels {

/// What the cross entropy of logits (outer, classes, inner) with class indices (outer, inner) reads and writes.
struct CrossEntropy {
  const void* logits;
  const int64_t* target;  ///< each in [0, classes) or ignore_index
  const void* weight;     ///< (classes), or nullptr for ones
  double weight_sum;
  double smoothing;
  int64_t ignore_index, classes, inner;
  void *shift, *log_sum;  ///< (outer, inner): the maximum of the logits and log(sum(exp(logits - maximum)))
  void* loss;             ///< (outer, inner), by forward
  const void* grad;       ///< of the losses, `grad_step` (0 or 1) apart and to be multiplied by grad_scale
  int64_t grad_step;
  double grad_scale;
  void* d_logits;  ///< by backward
};

/// Units of work are rows when inner is 1, else blocks of kColumns columns.
struct LossLoops {
  void (*cross_entropy)(const CrossEntropy& arguments, int64_t first, int64_t last);
  void (*cross_entropy_backward)(const CrossEntropy& arguments, int64_t first, int64_t last);
  /// The sum of (x - y)^2; of a few thousand elements, since it is summed in their type.
  double (*squared_distance)(const void* x, const void* y, int64_t n);
};

}  // namespace cotangent::kernels
