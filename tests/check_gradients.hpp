#pragma once
#include <catch2/catch.hpp>

#include <cotangent/autograd/gradcheck/gradcheck.hpp>

namespace cotangent {

/// gradcheck as an assertion, which prints the report when it fails.
template <class F>
void check_gradients(F&& f, const Tensors& inputs, const GradcheckOptions& options = {}) {
  const GradcheckReport report = gradcheck(f, inputs, options);
  INFO(report.to_string());
  CHECK(report.ok());
}

}  // namespace cotangent
