#pragma once
// Cases of tests/reference/NAME.json for layers: {"name", options.., "inputs", "masks", "parameters", "y", "dy",
// "gradients"}, tensors as [shape, values].
#include <catch2/catch.hpp>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/nn/module.hpp>
#include <cotangent/tests/values.hpp>

#include "../json.hpp"

namespace cotangent {

/// A list of whole numbers is bool.
inline Tensor mask_of(const Json& packed) {
  const Tensor x = unpacked(packed);
  return packed[1][0].is_integer() ? x.to(boolean) : x;
}

/// A case of the reference: its inputs by name.
struct Case {
  explicit Case(const Json& test) : data(test) {
    for (const auto& [name, packed] : test["inputs"].items()) inputs.add(name, unpacked(packed).requires_grad_());
    for (const auto& [name, packed] : test["masks"].items()) masks.add(name, mask_of(packed));
  }
  nn::StateDict state() const {
    nn::StateDict result;
    for (const auto& [name, packed] : data["parameters"].items()) result.add(name, unpacked(packed));
    return result;
  }
  template <class Option>
  Option get(const char* name, Option otherwise) const {
    return data.value(name, otherwise);
  }
  Json data;
  nn::StateDict inputs, masks;
};

/// Runs f(module) with the weights of the case, and compares value and gradients.
template <class M, class F>
void compare(const Case& test, M module, F f) {
  module.to(float64);
  const nn::LoadReport report = module.load_state_dict(test.state());
  CHECK(report.matched.size() == test.data["parameters"].size());
  const Tensor y = f(module);
  CHECK(close(y, unpacked(test.data["y"]), 1e-10));
  y.backward(unpacked(test.data["dy"]));
  auto check_gradient = [&](const std::string& name, const Tensor& x) {
    INFO(name);
    CHECK(close(x.grad(), unpacked(test.data["gradients"][name]), 1e-10));
  };
  for (const auto& [name, x] : test.inputs) check_gradient(name, x);
  for (const auto& [name, p] : module.named_parameters()) check_gradient(name, p);
}

}  // namespace cotangent
