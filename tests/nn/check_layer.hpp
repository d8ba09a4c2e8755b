#pragma once
#include <cotangent/nn/module.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

#include "../check_gradients.hpp"

namespace cotangent {

/// Checks layer(x) by x and by the parameters of the layer.
template <class Layer>
void check_layer(Layer layer, const Shape& shape) {
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
}

}  // namespace cotangent
