#pragma once
#include <cotangent/nn/module.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

#include "../check_gradients.hpp"
#include "check_precisions.hpp"

namespace cotangent {

/// Checks the gradients of layer(x) by x and by the parameters of the layer; and both in low precision, where a batch
/// comes first with one of many, so that sums are long.
template <class Layer>
void check_layer(Layer layer, const Shape& shape, double units = 16) {
  Generator generator(7);
  layer.to(float64);
  const Tensor x = randn(shape, float64, generator);
  Tensors inputs{x};
  for (Tensor& p : layer.parameters()) {
    normal_(p, 0.2, 1, generator);  // no parameter may stay at 0 or 1, where mistakes hide
    inputs.push_back(p);
  }
  INFO(to_string(layer));
  check_gradients([&] { return layer(x); }, inputs);
  Shape many = shape;
  if (many.rank() > 2) many[0] *= 16;
  check_precisions(
      layer, many, [](Layer& l, const Tensor& v) { return l(v); }, units);
}

}  // namespace cotangent
