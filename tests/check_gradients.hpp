#pragma once
#include <cotangent/autograd/gradcheck/catch2.hpp>
#include <cotangent/autograd/gradcheck/gradcheck.hpp>

namespace cotangent {

/// gradcheck as an assertion, which prints the report when it fails.
template <class F>
void check_gradients(F&& f, const Tensors& inputs, const GradcheckOptions& options = {}) {
  CHECK_THAT(gradcheck(f, inputs, options), GradientsAreRight());
}

}  // namespace cotangent
