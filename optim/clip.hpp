#pragma once
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::optim {

struct ClipOptions {
  double norm_type = 2;             ///< p of the norm; infinity for the largest absolute value
  bool error_if_nonfinite = false;  ///< throw when the norm is NaN or infinite, and change nothing
};

/// Scales the gradients of the parameters, taken as one long vector, by max_norm / norm if the norm is larger than
/// max_norm. Returns the norm before. Call it between backward() and step(). (Pascanu, Mikolov and Bengio 2013) A
/// ValueError for a negative max_norm or a norm_type that is not positive.
double clip_grad_norm_(const Tensors& parameters, double max_norm, const ClipOptions& options = {});

/// Limits each element of the gradients to [-limit, limit]. A ValueError for a negative limit.
void clip_grad_value_(const Tensors& parameters, double limit);

}  // namespace cotangent::optim
