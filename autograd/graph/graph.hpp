#pragma once
// The history of a tensor, to look at: which ops made it, from what, and what they keep for the backward pass.
//
//     WatchGraph watch;                          // from here on ops remember the module that they were recorded in
//     Tensor loss = mse_loss(model(x), y);
//     Graph graph(loss);
//     for (const GraphNode& node : graph.nodes()) ...
//     puts(to_string(graph).c_str());            // graph/text.hpp: to_dot() too;  graph/page.hpp: to_html()
//
// docs/autograd.md explains what is seen there.
#include <utility>

#include <cotangent/tensor/state_dict.hpp>

namespace cotangent {

/// A handle of a node of the history, by which the parts of this room know it again. It keeps what the node depends on
/// alive.
class NodeRef {
 public:
  NodeRef() = default;
  explicit NodeRef(Node* node) : node_(node) {
    if (node_) detail::retain(node_);
  }
  NodeRef(const NodeRef& other) : NodeRef(other.node_) {}
  NodeRef(NodeRef&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  NodeRef& operator=(NodeRef other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~NodeRef() {
    if (node_) detail::release(node_);
  }
  Node* get() const { return node_; }
  bool operator==(const NodeRef& other) const { return node_ == other.node_; }

 private:
  Node* node_ = nullptr;
};

/// What an op made, or a leaf.
struct GraphOutput {
  Shape shape;
  Dtype dtype;
  std::string name;  ///< by Tensor::set_name; of a parameter: its path in the module
  /// The values, where an op has kept them for the backward pass; undefined otherwise. The graph holds on to them.
  Tensor value = {};
  uint32_t version = 0;  ///< of the value when it was kept: value.version() has grown where it was written since
};

/// What an op was computed from.
struct GraphInput {
  int64_t node;  ///< its place in Graph::nodes(); -1: no gradient goes there
  int output;    ///< which output of that node
};

/// A tensor that an op keeps for its rule.
struct GraphSaved {
  bool is_output;  ///< else an input
  int index;       ///< of that input or output
  Shape shape;
  Dtype dtype;
  int64_t bytes;       ///< of its elements
  const void* memory;  ///< the same for tensors that share it
  bool written_since;  ///< in place: the backward pass will say so
};

/// A module by its name in the one around it ("blocks.2", empty for the outermost) and its type ("Block").
struct GraphModule {
  std::string name, type;
  bool operator==(const GraphModule&) const;
};

/// A recorded op, or a leaf: a tensor that requires_grad_() was called on.
struct GraphNode {
  NodeRef node;
  std::string op;  ///< "leaf" for a leaf
  bool is_leaf;
  /// The modules that were being called, from the outermost; of a parameter, those of the first op that took it. None
  /// outside of modules, and where nobody watched (WatchGraph).
  std::vector<GraphModule> modules;
  std::string line;  ///< "model.cpp:31", where that was noted
  uint64_t order;    ///< backward() visits nodes from the largest to the smallest; 0 for a leaf
  std::vector<GraphOutput> outputs;
  std::vector<GraphInput> inputs;
  std::vector<GraphSaved> saved;
  bool released;  ///< a backward pass has freed what it had saved

  /// "MLP.blocks.2.fc1"
  std::string module() const;
};

/// What some tensors were computed from, as it is when the graph is made. To look at it changes nothing; while it lives
/// it keeps the nodes and the values that they had saved then. Another thread must not differentiate the graph
/// meanwhile.
class Graph {
 public:
  /// Without nodes where the tensor has no history. `names` are those of leaves without one: model.named_parameters().
  explicit Graph(const Tensor& root, const std::vector<NamedTensor>& names = {});
  explicit Graph(const std::vector<Tensor>& roots, const std::vector<NamedTensor>& names = {});
  /// The graph of these nodes: WatchGraph has them of a forward pass that threw.
  explicit Graph(const std::vector<NodeRef>& roots, const std::vector<NamedTensor>& names = {});
  Graph(const Graph& other);
  Graph& operator=(Graph other) noexcept {
    std::swap(content_, other.content_);
    return *this;
  }
  ~Graph();

  /// From the first to the last: an op comes after all that it depends on, a leaf just before the op that is the first
  /// to take it.
  const std::vector<GraphNode>& nodes() const;
  /// The places of the tensors that the graph was made of, in order; -1 for one without history.
  const std::vector<GraphInput>& roots() const;
  /// The place of a node; -1 if it is not there.
  int64_t find(const NodeRef& node) const;
  int64_t find(const Tensor& x) const;
  /// The gradient of an output of a node as it is now: what backward() has left in a leaf, or after retain_grad() in a
  /// result. Undefined before, which is not the same as 0.
  Tensor grad(size_t node, int output = 0) const;
  /// What all nodes keep for the backward pass. What shares memory counts once.
  int64_t saved_bytes() const;

 private:
  struct Content;
  Content* content_;
};

}  // namespace cotangent
