#pragma once
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// Options of Tensor::backward: `loss.backward({.retain_graph = true})`.
struct BackwardOptions {
  Tensor gradient = {};       ///< dL/d(this), of this shape and dtype; may be left out for one element, then 1
  bool retain_graph = false;  ///< keep what the rules saved, so that the graph can be differentiated again
  bool create_graph = false;  ///< record the backward pass too, for higher derivatives; implies retain_graph
  Tensors inputs = {};        ///< accumulate only into these, leaves or results; all leaves when empty
};

/// Options of grad.
struct GradOptions {
  Tensors gradients = {};  ///< one cotangent an output; may be left out (or undefined) for outputs of one element
  bool retain_graph = false;
  bool create_graph = false;
  bool allow_unused = false;  ///< give an undefined tensor for an input that the outputs do not depend on, not an error
};

/// The vector-Jacobian product: sum over outputs of d(output)/d(input) contracted with its cotangent, for each input.
/// Inputs may be leaves or results of recorded ops, and one may be named twice. No grad() is changed.
///
///     Tensor dy = grad({y}, {x}, {.create_graph = true})[0];
///     Tensor d2y = grad({sum(dy)}, {x})[0];
Tensors grad(const Tensors& outputs, const Tensors& inputs, const GradOptions& options = {});

}  // namespace cotangent
