#pragma once
// The arithmetic of optimizers: one fused pass over a parameter, its gradient and its state. See optim/ for the
// optimizers.
#include <cotangent/tensor/kernels/optim.hpp>
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

using kernels::AdadeltaStep;
using kernels::AdagradStep;
using kernels::AdamaxStep;
using kernels::AdamStep;
using kernels::LionStep;
using kernels::RmspropStep;
using kernels::SgdStep;

/// Updates the parameter, and the velocity unless that is undefined. The gradient is only read. The state has the
/// parameter's shape and its dtype, or is float32 when that is a low-precision float.
void sgd_step(const SgdStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& velocity);
/// Updates the parameter and the moments; `largest` (of the second moments so far) may be undefined.
void adam_step(const AdamStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& first,
               const Tensor& second, const Tensor& largest);
void adamax_step(const AdamaxStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& first,
                 const Tensor& top);
void adadelta_step(const AdadeltaStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& squares,
                   const Tensor& deltas);
void adagrad_step(const AdagradStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& sum);
/// `mean` (of the gradients, when centered) and `velocity` may be undefined.
void rmsprop_step(const RmspropStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& squares,
                  const Tensor& mean, const Tensor& velocity);
void lion_step(const LionStep& step, const Tensor& parameter, const Tensor& gradient, const Tensor& first);

/// The sum of x^2 in double precision, the same for any number of threads. x is floating.
double sum_of_squares(const Tensor& x);

}  // namespace cotangent::raw
