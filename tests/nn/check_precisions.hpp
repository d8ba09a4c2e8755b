#pragma once
#include <algorithm>

#include <catch2/catch.hpp>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/nn/module.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

#include "../autograd/sequences.hpp"

namespace cotangent {

/// Half the distance from 1 to the next number.
inline double rounding_unit(Dtype dtype) {
  return dtype == float32 ? 0x1p-24 : dtype == float16 ? 0x1p-11 : dtype == bfloat16 ? 0x1p-8 : 0x1p-53;
}

/// Checks that no element of `low` is further from `wide`, its value in float64, than so many rounding units of its
/// dtype, of the largest element or of 1. float32 has nothing wider to compute in: each of its steps rounds.
inline void check_rounded(const Tensor& low, const Tensor& wide, double units) {
  if (low.dtype() == float32) units *= 8;
  REQUIRE(wide.dtype() == float64);
  const double largest = wide.numel() > 0 ? std::max(wide.detach().abs().max().item(), 1.0) : 1;
  INFO(name(low.dtype()) << ":\n" << to_string(low) << "\nfloat64:\n" << to_string(wide));
  CHECK(largest_difference(low.to(float64), wide) <= units * rounding_unit(low.dtype()) * largest);
}

/// Checks that call(layer, x), and the gradients by x and all parameters, are in float32, float16 and bfloat16 what
/// they are in float64 but for `units` roundings. The float64 layer has the rounded parameters and the rounded x.
template <class Layer, class Call>
void check_precisions(const Layer& given, const Shape& shape, Call call, double units = 16) {
  for (const Dtype dtype : {float32, float16, bfloat16}) {
    Generator g(17);
    Layer low = given.clone();
    for (Tensor& p : low.parameters()) normal_(p, 0.2, 0.5, g);
    low.to(dtype);
    Layer wide = low.clone();
    wide.to(float64);
    const Tensor x = randn(shape, float64, g).to(dtype);
    Tensor cotangent;
    const auto run = [&](Layer& layer, Dtype own) {
      const Tensor leaf = x.to(own).detach().clone().requires_grad_();
      manual_seed(5);  // for layers that draw numbers
      const Tensor y = call(layer, leaf);
      CHECK(y.dtype() == own);
      if (!cotangent.defined()) cotangent = randn(y.shape(), float64, g).to(dtype);
      y.backward(cotangent.to(own));
      Tensors results{y.detach(), leaf.grad()};
      for (const Tensor& p : layer.parameters()) results.push_back(p.grad());
      return results;
    };
    const Tensors results = run(low, dtype), expected = run(wide, float64);
    std::vector<std::string> names{"the result", "the gradient of the input"};
    for (const auto& p : low.named_parameters()) names.push_back("the gradient of " + p.name);
    for (size_t i = 0; i < results.size(); ++i) {
      INFO(names[i] << " in " << name(dtype));
      REQUIRE(results[i].defined() == expected[i].defined());
      if (results[i].defined()) check_rounded(results[i], expected[i], units);
    }
  }
}

}  // namespace cotangent
