// Private: pieces of text about a node, for whatever shows one.
#pragma once
#include <cotangent/autograd/graph/graph.hpp>

namespace cotangent::detail {

std::string bytes_text(int64_t bytes);            ///< "96 B", "1.23 kB"
std::string outputs_text(const GraphNode& node);  ///< "float32 (2, 3), int64 (2)"
std::string names_text(const GraphNode& node);    ///< of its outputs
std::string saved_text(const GraphNode& node);    ///< "keeps 96 B: input 0, output 0"

}  // namespace cotangent::detail
