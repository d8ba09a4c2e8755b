#pragma once
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

namespace detail {
class CastCache;  // autograd/autocast.cpp
/// What the ops of a thread do about their precision.
struct AutocastMode {
  bool enabled = false;
  Dtype dtype = bfloat16;
  CastCache* casts = nullptr;  // of parameters
};
/// A mode while it lasts. One that is enabled and has no casts gets its own.
class UseAutocast {
 public:
  explicit UseAutocast(AutocastMode mode);
  ~UseAutocast();
  UseAutocast(const UseAutocast&) = delete;
  UseAutocast& operator=(const UseAutocast&) = delete;

 private:
  AutocastMode before_;
};
}  // namespace detail

/// Mixed precision (Micikevicius et al., "Mixed precision training", arXiv:1710.03740): while it lives, ops on this
/// thread choose the dtype that they compute in. A list, in autograd/autocast_internal.hpp, says it for each:
///
///   low precision   take float32 operands in `dtype`, and give it: products, convolutions, recurrent layers, attention
///   float32         take low-precision operands in float32, and give that: exp, log, pow, sums, norms, softmax, losses
///   others          do what they do without it: add, mul, cat, where, stack take the widest dtype of their operands
///
///     {
///       const ct::Autocast guard(ct::bfloat16);
///       loss = ct::cross_entropy(model(x), y);
///     }
///     loss.backward();
///
/// Parameters and inputs stay as they are, and gradients come back in their dtypes: the casts are recorded. A parameter
/// is cast once for all its uses, until it is written or the outermost guard ends. float64 and integers are left alone,
/// and so are writes in place. The gradient of an op is computed in the dtypes that its forward pass had, whether or
/// not a guard lives then; a function that is run again for it, as by checkpoint(), does what it did before. What a
/// custom_vjp computes with is up to itself: there, both ways, it is off.
///
/// Guards nest, and the innermost decides; with enabled = false ops are as without any. A DTypeError unless the dtype
/// is bfloat16 or float16; the latter needs an optim::GradScaler, as its range is small.
class Autocast {
 public:
  explicit Autocast(Dtype dtype = bfloat16, bool enabled = true);

 private:
  detail::UseAutocast use_;
};

/// Whether ops of this thread choose their precision.
bool autocast_enabled() noexcept;
/// The low-precision dtype that they use then.
Dtype autocast_dtype() noexcept;

}  // namespace cotangent
