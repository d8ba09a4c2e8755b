#pragma once
#include <cotangent/autograd/graph/steps.hpp>

namespace cotangent {

struct PageOptions {
  std::string title = "Graph";
  std::string note = "";  ///< stands above the picture: the error of a forward pass that threw, for instance
  /// A pass over the graph, which the page then goes through step by step.
  std::vector<BackwardStep> steps = {};
};

/// The graph as a page for a browser: one file, which loads nothing else. It shows modules as frames that open and
/// close; of each node, when it is clicked, the shapes, what is known of its value and its gradient, and the contract
/// of the op; and the steps of the backward pass. What is not known is said to be so, and never 0. A graph that was
/// made before backward() has the values that were kept for it:
///
///     const Graph graph(loss);
///     const std::vector<BackwardStep> steps = backward_steps(loss);
///     std::ofstream("graph.html") << to_html(graph, {.title = "two layers", .steps = steps});
///
/// A link may end in #open=all (or none), &step=3, &select=5, to begin there.
std::string to_html(const Graph& graph, const PageOptions& options = {});

}  // namespace cotangent
