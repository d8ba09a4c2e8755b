#pragma once
// The arithmetic of optimizers: one fused pass over a parameter, its gradient and its state. See optim/ for the
// optimizers.
#include <initializer_list>

#include <cotangent/tensor/kernels/optim.hpp>
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

namespace detail {
void optimizer_step(int rule, const void* step, bool maximize, const Tensor& parameter, const Tensor& gradient,
                    std::initializer_list<Tensor*> states);
}

/// Takes a step of tensor/kernels/optim.hpp: updates the parameter and its states, and reads the gradient. Each state
/// has the parameter's shape and its dtype, or is float32 when that is a low-precision float; null stands for one that
/// is not kept.
template <class Step>
void optimizer_step(const Step& step, bool maximize, const Tensor& parameter, const Tensor& gradient,
                    std::initializer_list<Tensor*> states) {
  detail::optimizer_step(kernels::OptimRules::index<Step>(), &step, maximize, parameter, gradient, states);
}

/// The sum of x^2 in double precision, the same for any number of threads. x is floating.
double sum_of_squares(const Tensor& x);

}  // namespace cotangent::raw
