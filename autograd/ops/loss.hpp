#pragma once
// Losses. x is what the model gives, of shape (N, ...); dy is the gradient of the loss. Every loss has one value a
// position, and `reduction` says what becomes of them.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// The losses of all positions as they are, their mean, or their sum.
enum class Reduction : uint8_t { none, mean, sum };

struct MseLossOptions {
  Reduction reduction = Reduction::mean;
};
/// (x - target)^2.   dx = 2 dy (x - target), d(target) = -dx; divided by the number of elements for the mean.
/// x and target must have one shape, a ShapeError otherwise: (N, 1) against (N) would broadcast to (N, N) unnoticed,
/// which is why this is stricter than PyTorch.
Tensor mse_loss(const Tensor& x, const Tensor& target, const MseLossOptions& options = {});

struct CrossEntropyOptions {
  Tensor weight = {};           ///< (C): what each class counts; ones when left out. A constant: it gets no gradient
  int64_t ignore_index = -100;  ///< positions with this target count nothing
  Reduction reduction = Reduction::mean;
  double label_smoothing = 0;  ///< e in [0, 1]: the target is mixed with the uniform distribution (Szegedy et al. 2016)
};
/// -sum_c q_c log(softmax(x))_c along the classes: dimension 1, or 0 for a single (C).
///   Class indices: x (N, C, d1, ...), target (N, d1, ...) integers;   q_c = w_c ((1 - e) [c = target] + e / C)
///   Probabilities: x and target (N, C, d1, ...), target floating;     q_c = w_c ((1 - e) target_c + e / C)
///   dx = dy (softmax(x) sum(q) - q).   Probabilities get a gradient too: d(target_c) = -dy w_c (1 - e)
///   log(softmax(x))_c
/// A class with q_c = 0 counts nothing, also where its logit is -infinity.
/// For class indices the mean divides by the sum of w_target over the positions that are not ignored, so it is NaN when
/// all are (with a gradient of zero); for probabilities it divides by the number of positions. An IndexError names the
/// position of an index that is no class. For indices this is one op, which keeps two numbers a position instead of a
/// softmax.
Tensor cross_entropy(const Tensor& x, const Tensor& target, const CrossEntropyOptions& options = {});

struct NllLossOptions {
  Tensor weight = {};
  int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;
};
/// -w_target * x_target, where x holds log-probabilities: cross_entropy(z) = nll_loss(log_softmax(z, 1)). Shapes,
/// weight, mean and errors are those of cross_entropy for class indices.   dx = -dy w_c at c = target, else 0
Tensor nll_loss(const Tensor& x, const Tensor& target, const NllLossOptions& options = {});

struct BceWithLogitsOptions {
  Tensor weight = {};      ///< a factor of each loss; broadcasts to x
  Tensor pos_weight = {};  ///< a factor p of the first term, more than 1 for more recall; broadcasts to x
  Reduction reduction = Reduction::mean;
};
/// -(t p log(s) + (1 - t) log(1 - s)) with s = sigmoid(x) and a floating target t in [0, 1], without underflow. x and
/// target must have one shape.   dx = dy ((1 - t) s - t p (1 - s)), which is dy (s - t) for p = 1. Infinite logits are
/// certain: no loss where they are right, an infinite one where they are not, with a gradient of 0, 1 or -1.
Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target,
                                        const BceWithLogitsOptions& options = {});

}  // namespace cotangent
