#pragma once
#include <cotangent/autograd/graph/graph.hpp>

namespace cotangent {

/// A line for each node, in the order of the graph:
///
///     0  leaf w    float32 (2, 3)
///     1  linear    float32 (4, 2)  from -, 0       keeps 48 B: input 0                 in MLP.fc
///     2  mean      float32 ()      from 1
///     2 ops and 1 leaf; 48 B are kept for the backward pass
///
/// `from` names the inputs by their lines, "-" where no gradient goes, "4.1" for output 1 of line 4.
std::string to_string(const Graph& graph);

/// The graph in the language of Graphviz, with a frame around each module: `dot -Tsvg graph.dot > graph.svg`.
std::string to_dot(const Graph& graph);

}  // namespace cotangent
