// Private: what the transforms are made of.
#pragma once
#include <cotangent/autograd/transforms/products.hpp>

namespace cotangent::detail {

/// grad() where an input that the outputs do not depend on has a gradient of 0, as has one that only an undefined
/// cotangent leads to. Nothing is freed.
Tensors pull_back(const Tensors& outputs, const Tensors& inputs, const Tensors& cotangents, bool create_graph);

/// v^T J as a recorded function of v.
struct Transposed {
  Tensors v, products;
  /// J u
  Tensors push(const Tensors& tangents, bool create_graph) const {
    return pull_back(products, v, tangents, create_graph);
  }
};
Transposed transpose(const Recorded& call);

/// A ShapeError names the op unless f has given one tensor of one element.
const Tensor& scalar_output(const Recorded& call);

}  // namespace cotangent::detail
