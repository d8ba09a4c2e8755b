#pragma once
#include <cotangent/autograd/autocast.hpp>
#include <cotangent/autograd/transforms/checkpoint.hpp>
#include <cotangent/nn/gradcheck.hpp>
#include <cotangent/nn/module.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

#include "../check_gradients.hpp"
#include "check_precisions.hpp"

namespace cotangent {

/// Checks that a checkpoint changes no bit of layer(x), of the gradients, and of the buffers.
template <class Layer>
void check_checkpoint(const Layer& given, const Tensor& x) {
  const auto run = [&](bool checkpointed) {
    Layer layer = given.clone();
    const Tensor leaf = x.clone().requires_grad_();
    manual_seed(5);  // for layers that draw numbers
    const Tensor y = checkpointed ? checkpoint(layer, leaf) : layer(leaf);
    Generator generator(3);
    y.backward(randn(y.shape(), y.dtype(), generator));
    Tensors results{y.detach(), leaf.grad()};
    for (const Tensor& p : layer.parameters()) results.push_back(p.grad());
    for (const auto& b : layer.named_buffers()) results.push_back(b.tensor);
    return results;
  };
  const Tensors results = run(true), expected = run(false);
  for (size_t i = 0; i < results.size(); ++i) {
    REQUIRE(results[i].defined() == expected[i].defined());
    if (results[i].defined()) CHECK(equal(results[i], expected[i]));
  }
}

/// Checks that under Autocast layer(x) runs, is what it is in float32 but for rounding, and that the gradients are in
/// float32.
template <class Layer>
void check_autocast(const Layer& given, const Shape& shape, double units) {
  Generator g(19);
  Layer layer = given.clone();
  layer.to(float32);
  const Tensor x = randn(shape, float32, g);
  const auto run = [&](bool enabled) {
    const Autocast guard(bfloat16, enabled);
    const Tensor leaf = x.clone().requires_grad_();
    Generator drawn(5);  // for layers that draw numbers
    const UseGenerator use(drawn);
    const Tensor y = layer(leaf);
    y.backward(ones_like(y));
    CHECK(leaf.grad().dtype() == float32);
    return y.detach().to(float32);
  };
  const Tensor expected = run(false), got = run(true);
  const double largest = expected.numel() > 0 ? std::max(expected.abs().max().item(), 1.0) : 1;
  CHECK(largest_difference(got, expected) <= 2 * units * rounding_unit(bfloat16) * largest);
}

/// Checks the gradients of layer(x) by x and by the parameters of the layer; and both in low precision, where a batch
/// comes first with one of many, so that sums are long.
template <class Layer>
void check_layer(Layer layer, const Shape& shape, double units = 16) {
  Generator generator(7);
  layer.to(float64);
  INFO(to_string(layer));
  const Tensor x = randn(shape, float64, generator);
  CHECK_THAT(gradcheck(layer, {x}), GradientsAreRight());
  check_checkpoint(layer, x);
  check_autocast(layer, shape, units);
  Shape many = shape;
  if (many.rank() > 2) many[0] *= 16;
  check_precisions(
      layer, many, [](Layer& l, const Tensor& v) { return l(v); }, units);
}

}  // namespace cotangent
