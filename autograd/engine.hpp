#pragma once
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

// Threads. Passes of several threads may run at once, each over a graph of its own, also into the same leaves: their
// gradients are added up. The hooks of a leaf get the gradient of one pass, and are called by one thread at a time;
// while one runs, other threads wait with theirs for this leaf, so it must not wait for them. A recorded op is for one
// pass at a time: where passes over one graph meet, such as a retained one or the trunk of several losses, the later
// one fails with a GradError (what it has added to leaves by then stays). Everything else that changes a tensor or its
// place in a graph, as zero_grad(), register_hook() and writes in place do, and grad(), which looks at what a pass is
// changing, is not for the time of a pass of another thread over the same tensors.

/// Options of Tensor::backward: `loss.backward({.retain_graph = true})`.
struct BackwardOptions {
  Tensor gradient = {};       ///< dL/d(this), of this shape and dtype; may be left out for one element, then 1
  bool retain_graph = false;  ///< keep what the rules saved, so that the graph can be differentiated again
  /// Record the backward pass too, for higher derivatives; implies retain_graph. The gradient that a leaf then has
  /// holds its history, and that holds the leaf: such a cycle is never freed, and grows with each pass, until
  /// zero_grad() or set_grad({}) takes the gradient away. The function grad() gives gradients to the caller alone, and
  /// makes no cycle.
  bool create_graph = false;
  Tensors inputs = {};  ///< accumulate only into these, leaves or results; all leaves when empty
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
