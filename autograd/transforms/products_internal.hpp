// Private: what the transforms are made of.
#pragma once
#include <cotangent/autograd/transforms/products.hpp>

namespace cotangent::detail {

/// What becomes of the graph that a pass goes over.
enum class Retention : uint8_t { freed, retained, created };
/// Of the last pass over a graph.
inline Retention last(bool create_graph) { return create_graph ? Retention::created : Retention::freed; }
/// Of one that another may follow.
inline Retention kept(bool create_graph) { return create_graph ? Retention::created : Retention::retained; }

/// grad() where an input that the outputs do not depend on has a gradient of 0, as has one that only an undefined
/// cotangent leads to. Of the others it is written down that they were reached.
Tensors pull_back(const Tensors& outputs, const Tensors& inputs, const Tensors& cotangents, Retention graph,
                  std::vector<bool>* reached = nullptr);

/// v^T J as a recorded function of v.
struct Transposed {
  Tensors v, products;
  /// J u
  Tensors push(const Tensors& tangents, Retention graph) const { return pull_back(products, v, tangents, graph); }
};
Transposed transpose(const Recorded& call);

/// A ShapeError names the op unless f has given one tensor of one element.
const Tensor& scalar_output(const Recorded& call);

}  // namespace cotangent::detail
