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

/// Checks at the edges a layer that treats the examples of a batch, dimension 0, by themselves: none, one, some that
/// lie anyhow in memory; NaN and infinity, which stay in their example; and elements of any size, of which float32
/// gives what float64 does, or infinity or NaN.
template <class Layer>
void check_edges(const Layer& given, const Shape& shape) {
  Generator g(23);
  Layer low = given.clone();
  for (Tensor& p : low.parameters()) normal_(p, 0.2, 0.5, g);
  low.to(float32);
  Layer layer = low.clone();
  layer.to(float64);
  INFO(to_string(layer));
  const Tensor x = randn(shape, float64, g), dy = randn(layer(x).shape(), float64, g);
  const auto run = [&](const Tensor& in, const Tensor& cotangent) {
    layer.zero_grad();
    const Tensor leaf = in.detach().requires_grad_(), y = layer(leaf);
    y.backward(cotangent);
    Tensors results{y.detach(), leaf.grad()};
    for (const Tensor& p : layer.parameters())
      if (p.grad().defined()) results.push_back(p.grad());
    return results;
  };
  const Tensors expected = run(x, dy);
  const Tensor& y = expected[0];

  Shape none = x.shape(), none_of_y = y.shape();
  none[0] = none_of_y[0] = 0;
  const Tensors of_none = run(zeros(none, float64), zeros(none_of_y, float64));
  REQUIRE(of_none.size() == expected.size());
  CHECK(of_none[0].shape() == none_of_y);
  CHECK(of_none[1].shape() == none);
  for (size_t i = 2; i < of_none.size(); ++i) CHECK(equal(of_none[i], zeros_like(expected[i])));

  const Tensor turned = transpose(transpose(x, 0, -1).contiguous(), 0, -1), first = x.narrow(0, 0, 1).expand(shape);
  CHECK(turned.is_contiguous() == (shape.back() == 1));
  const Tensors of_turned = run(turned, dy), of_copies = run(first, dy), of_first = run(first.contiguous(), dy);
  for (size_t i = 0; i < expected.size(); ++i) {
    CHECK(largest_difference(of_turned[i], expected[i]) < 1e-10);
    CHECK(largest_difference(of_copies[i], of_first[i]) < 1e-10);
  }

  const int64_t rest = shape[0] - 1;
  for (int64_t i = 0; i <= rest; ++i) CHECK(largest_difference(layer(x.narrow(0, i, 1)), y.narrow(0, i, 1)) < 1e-10);
  for (const double value : {double{NAN}, double{INFINITY}}) {
    const Tensor bad = x.clone();
    bad[0].fill_(value);
    const Tensor z = layer(bad).detach();
    CHECK_FALSE(std::isfinite(z[0].sum().item()));
    CHECK(largest_difference(z.narrow(0, 1, rest), y.narrow(0, 1, rest)) < 1e-10);
  }

  for (const double size : {1e-30, 1e-12, 1e-5, 1e5, 1e12, 1e30}) {
    INFO("elements of size " << size);
    const Tensor in = (x * size).to(float32), wide = layer(in.to(float64)).detach();
    const Tensor narrow = low(in).detach().to(float64);
    const double unit = std::max(wide.abs().max().item() * 1e-4, 1e-30);
    INFO(to_string(narrow) << "\nin float64\n" << to_string(wide));
    CHECK(all(!isfinite(narrow) || abs(narrow - wide) <= unit).template item<bool>());
  }
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
