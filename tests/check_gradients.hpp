#pragma once
#include <cmath>

#include <cotangent/autograd/gradcheck/catch2.hpp>
#include <cotangent/autograd/gradcheck/gradcheck.hpp>
#include <cotangent/tensor/create.hpp>

namespace cotangent {

/// gradcheck as an assertion, which prints the report when it fails.
template <class F>
void check_gradients(F&& f, const Tensors& inputs, const GradcheckOptions& options = {}) {
  CHECK_THAT(gradcheck(f, inputs, options), GradientsAreRight());
}

/// Different numbers in no regular order, in float64.
inline Tensor points(const Shape& shape, double shift = 0) {
  Tensor x = empty(shape, float64);
  for (int64_t i = 0; i < x.numel(); ++i)
    x.data<double>()[i] = shift + 0.3 + std::sin(2.3 * double(i) + 1) + 0.1 * double(i);
  return x;
}

}  // namespace cotangent
