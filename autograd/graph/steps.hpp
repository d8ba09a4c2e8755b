#pragma once
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/graph/graph.hpp>

namespace cotangent {

/// One visit of a backward pass: the rule of an op turned the gradients of its outputs into those of its inputs.
struct BackwardStep {
  struct Sent {
    int input;        ///< of the op
    NodeRef to;       ///< the node that made the input
    int output;       ///< which output of that node
    Tensor gradient;  ///< what this step adds there
    Tensor
        before;  ///< what had arrived there until then (of a leaf: its grad()); undefined: nothing, so it is the first
  };
  NodeRef node;
  std::string op;
  Tensors arrived;         ///< the gradient of each output, complete; undefined where nothing used the output
  std::vector<Sent> sent;  ///< to the inputs that need a gradient
};

/// root.backward(options), and what it did, step by step. All gradients are held as long as the steps:
///
///     for (const BackwardStep& step : backward_steps(loss))
///       for (const BackwardStep::Sent& sent : step.sent) ...
///
/// Passes that a rule starts within itself are part of its step.
std::vector<BackwardStep> backward_steps(const Tensor& root, const BackwardOptions& options = {});

}  // namespace cotangent
