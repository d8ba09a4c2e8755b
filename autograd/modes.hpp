#pragma once
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// Whether ops on this thread are recorded for differentiation.
bool grad_enabled() noexcept;
/// Whether this thread is in inference mode.
bool inference_enabled() noexcept;
/// Whether this thread is in the second run of a function that was given to checkpoint(). What counts its calls, or
/// averages over them, as the running moments of batch norm do, leaves that out then.
bool recomputing() noexcept;

namespace detail {
struct Modes {
  bool grad = true;
  bool inference = false;
};
Modes set_modes(Modes modes) noexcept;  ///< returns the ones before
class Observer;                         // autograd/observer_internal.hpp
}  // namespace detail

/// Nothing is recorded on this thread while it lives:
///     { NoGrad guard; weight.sub_(weight.grad() * lr); }
class NoGrad {
 public:
  NoGrad() : before_(detail::set_modes({false, inference_enabled()})) {}
  ~NoGrad() { detail::set_modes(before_); }
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  detail::Modes before_;
};

/// Turns recording on again inside a NoGrad, or off by a flag.
class EnableGrad {
 public:
  explicit EnableGrad(bool enabled = true) : before_(detail::set_modes({enabled, inference_enabled()})) {}
  ~EnableGrad() { detail::set_modes(before_); }
  EnableGrad(const EnableGrad&) = delete;
  EnableGrad& operator=(const EnableGrad&) = delete;

 private:
  detail::Modes before_;
};

/// As NoGrad, and the results can never take part in a recorded op: a GradError says so. Skips the book-keeping of
/// views.
class InferenceMode {
 public:
  InferenceMode() : before_(detail::set_modes({false, true})) {}
  ~InferenceMode() { detail::set_modes(before_); }
  InferenceMode(const InferenceMode&) = delete;
  InferenceMode& operator=(const InferenceMode&) = delete;

 private:
  detail::Modes before_;
};

/// While it lives, every recorded op on this thread checks its result, and backward() every gradient, for NaN, and
/// for infinity unless an input of the op holds it: a ValueError names the first op, the element, the shapes, the
/// module in which the op was recorded and, where the program has debug information, the file and line of that call.
/// For finding where a loss went NaN.
class DetectAnomaly {
 public:
  DetectAnomaly();
  ~DetectAnomaly();
  DetectAnomaly(const DetectAnomaly&) = delete;
  DetectAnomaly& operator=(const DetectAnomaly&) = delete;

 private:
  detail::Observer* observer_;
};

}  // namespace cotangent
