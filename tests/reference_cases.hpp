#pragma once
// Cases of tests/reference/NAME.json: {"op", "options", "inputs", "y", "dy", "gradients"}, tensors as [shape, values].
#include <catch2/catch.hpp>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tensor/spatial.hpp>

#include "json.hpp"

namespace cotangent {

/// A number or a list of numbers.
inline Spatial spatial_option(const Json& options, const char* name, const Spatial& otherwise) {
  if (!options.contains(name)) return otherwise;
  return options[name].is_array() ? Spatial(dims_of(options[name])) : Spatial(options[name].get<int64_t>());
}

/// The result of call(inputs) and its gradients, by the kernels and by the differentiable rules, are those of the case.
template <class F>
void check_case(const Json& test, F call) {
  INFO(test["op"] << " of " << test["inputs"][0][0] << " with " << test["options"]);
  Tensors inputs;
  for (const auto& packed : test["inputs"]) inputs.push_back(unpacked(packed).requires_grad_());
  const Tensor y = call(inputs), expected = unpacked(test["y"]);
  REQUIRE(y.shape() == expected.shape());
  CHECK(allclose(y, expected, 1e-10, 1e-10));
  for (bool create_graph : {false, true}) {
    const Tensors gradients =
        grad({y}, inputs, {.gradients = {unpacked(test["dy"])}, .retain_graph = true, .create_graph = create_graph});
    for (size_t i = 0; i < inputs.size(); ++i)
      CHECK(allclose(gradients[i], unpacked(test["gradients"][i]), 1e-10, 1e-10));
  }
}

/// <f(x), y> = <x, the gradient of f with the cotangent y>, for a linear f and random x and y.
template <class F>
void check_adjoint(const Shape& shape, F f) {
  Generator generator(3);
  Tensor x = randn(shape, float64, generator);
  x.requires_grad_();
  const Tensor fx = f(x), y = randn(fx.shape(), float64, generator);
  const Tensor back = grad({fx}, {x}, {.gradients = {y}})[0];
  CHECK((fx * y).sum().item() == Approx((x * back).sum().item()).epsilon(1e-12));
}

}  // namespace cotangent
