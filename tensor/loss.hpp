#pragma once
// Losses without history. Class indices are integers, each in [0, classes) or the one that is ignored. Low-precision
// floats compute in float32.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// Which class each position belongs to, and what that class counts: the numbers, and the tensors. `logits` and the
/// like have shape (outer, classes, inner), where `dim` is the dimension of the classes, and the target has that shape
/// without it.
struct ClassCounts {
  int64_t ignore_index;
  int dim;
  double weight_sum;  ///< of all classes
  double total;       ///< of the classes of the positions that are not ignored
};
struct ClassTarget : ClassCounts {
  Tensor target;  ///< int64, dense
  Tensor weight;  ///< (classes) in the dtype that computes, or undefined for ones; without a history
};
/// Checks the target against logits of `shape`: a ShapeError, a DTypeError, or an IndexError that names the position.
ClassTarget class_target(const char* op, const Shape& shape, Dtype dtype, const Tensor& target, const Tensor& weight,
                         int64_t ignore_index);

struct CrossEntropy {
  Tensor loss;            ///< of each position: 0 where ignored
  Tensor shift, log_sum;  ///< of each position: max(x) and log(sum(exp(x - max(x))))
};
/// -sum_c q_c log softmax(x)_c with q_c = w_c ((1 - smoothing) [c = target] + smoothing / classes).
CrossEntropy cross_entropy(const char* op, const Tensor& logits, const ClassTarget& target, double smoothing);
/// scale * dy (softmax(x) sum(q) - q), where dy is that of each position or of one number for all. Writes it in one
/// pass.
Tensor cross_entropy_backward(const char* op, const Tensor& dy, double scale, const Tensor& logits,
                              const ClassTarget& target, double smoothing, const CrossEntropy& kept);
/// The q_c above, as a tensor of the logits' shape.
Tensor class_coefficients(const ClassTarget& target, const Shape& shape, Dtype dtype, double smoothing);

/// The weight of the target class of each position: 0 where ignored.
Tensor position_weights(const ClassTarget& target, Dtype dtype);

/// x at the target class of each position: 0 where ignored.
Tensor pick_class(const Tensor& x, const Tensor& target, int64_t ignore_index, int dim);
/// Its adjoint: zeros of `shape` in a memory format, with g at the target class.
Tensor place_class(const Tensor& g, const Tensor& target, int64_t ignore_index, int dim, const Shape& shape,
                   MemoryFormat format);

/// The sum of (x - y)^2 for operands of one shape and dtype, as a tensor of rank 0.
Tensor squared_distance(const char* op, const Tensor& x, const Tensor& y);

}  // namespace cotangent::raw
