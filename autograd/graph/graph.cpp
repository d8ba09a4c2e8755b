#include <cotangent/autograd/graph/graph.hpp>

#include <algorithm>
#include <bit>
#include <map>
#include <unordered_map>

#include <cotangent/autograd/observer_internal.hpp>

namespace cotangent {
namespace {

/// All nodes that the roots depend on, from the oldest to the newest op, each leaf before the first op that takes it.
std::vector<Node*> in_order(const std::vector<NodeRef>& roots) {
  std::vector<Node*> stack, ops, result;
  std::unordered_map<const Node*, bool> placed;
  const auto visit = [&](Node* node) {
    if (node && placed.try_emplace(node, false).second) stack.push_back(node);
  };
  for (const NodeRef& root : roots) visit(root.get());
  while (!stack.empty()) {
    Node* node = stack.back();
    stack.pop_back();
    if (!node->is_leaf()) ops.push_back(node);
    for (int i = 0; i < node->edge_count; ++i) visit(node->edges()[i].node);
  }
  std::sort(ops.begin(), ops.end(), [](const Node* a, const Node* b) { return a->order < b->order; });
  const auto place = [&](Node* node) {
    if (node && node->is_leaf() && !std::exchange(placed[node], true)) result.push_back(node);
  };
  for (Node* op : ops) {
    for (int i = 0; i < op->edge_count; ++i) place(op->edges()[i].node);
    result.push_back(op);
  }
  for (const NodeRef& root : roots) place(root.get());  // a graph of a leaf alone
  return result;
}

std::vector<GraphModule> modules_of(std::string_view list) {
  std::vector<GraphModule> result;
  while (!list.empty()) {
    const auto [name, type] = detail::next_module(list);
    result.push_back({std::string(name), std::string(type)});
  }
  return result;
}

GraphNode describe(Node* node) {
  GraphNode result{.node = NodeRef(node),
                   .op = node->op,
                   .is_leaf = node->is_leaf(),
                   .modules = node->extras ? modules_of(node->extras->modules) : std::vector<GraphModule>(),
                   .line = detail::noted_line(*node),
                   .order = node->order,
                   .outputs = {},
                   .inputs = {},
                   .saved = {},
                   .released = node->released && node->saved_count > 0};
  for (int i = 0; i < node->slot_count; ++i) {
    const Slot& slot = node->slots()[i];
    result.outputs.push_back({slot.shape, slot.dtype, node->extras ? node->extras->name(i) : ""});
  }
  return result;
}

void keep_value(GraphOutput& output, const Saved& saved) {
  if (!output.value.defined()) output.value = saved.tensor.detach(), output.version = saved.version;
}

}  // namespace

struct Graph::Content {
  detail::RefCount refs;
  std::vector<GraphNode> nodes;
  std::vector<GraphInput> roots;
  std::vector<NodeRef> starts;
  std::vector<std::pair<const Node*, int64_t>> places;  // sorted

  Content(std::vector<NodeRef> starts, const std::vector<NamedTensor>& names);
  int64_t find(const Node* node) const {
    const auto place = std::lower_bound(places.begin(), places.end(), std::pair<const Node*, int64_t>{node, -1});
    return place != places.end() && place->first == node ? place->second : -1;
  }
};

Graph::Content::Content(std::vector<NodeRef> starts_, const std::vector<NamedTensor>& names)
    : starts(std::move(starts_)) {
  for (Node* node : in_order(starts)) {
    places.emplace_back(node, static_cast<int64_t>(nodes.size()));
    nodes.push_back(describe(node));
  }
  std::sort(places.begin(), places.end());
  for (const NamedTensor& given : names)
    if (const int64_t place = given.tensor.defined() ? find(detail::history(given.tensor)) : -1; place >= 0) {
      std::string& name = nodes[static_cast<size_t>(place)].outputs[given.tensor.impl()->output].name;
      if (name.empty()) name = given.name;
    }

  for (GraphNode& described : nodes) {
    Node* node = described.node.get();
    for (int i = 0; i < node->edge_count; ++i) {
      const Edge& edge = node->edges()[i];
      described.inputs.push_back({find(edge.node), edge.output});
      if (!edge.node || !edge.node->is_leaf() || !node->extras || node->extras->parameters.empty()) continue;
      const std::string& path = node->extras->parameters[static_cast<size_t>(i)];
      GraphNode& leaf = nodes[static_cast<size_t>(described.inputs.back().node)];
      if (path.empty()) continue;
      if (leaf.outputs[0].name.empty()) leaf.outputs[0].name = path;
      if (leaf.modules.empty()) leaf.modules = described.modules;
    }
    if (node->released) continue;
    const Saved* saved = node->saved();
    for (uint64_t rest = node->keep; rest; rest &= rest - 1, ++saved) {
      if (!saved->tensor.defined()) continue;
      const int bit = std::countr_zero(rest);
      const bool is_output = bit >= Keep::kMaxInputs;
      const int index = is_output ? bit - Keep::kMaxInputs : bit;
      const Tensor& x = saved->tensor;
      described.saved.push_back({is_output, index, x.shape(), x.dtype(), x.numel() * item_size(x.dtype()),
                                 x.impl()->storage, x.version() != saved->version});
      if (is_output)
        keep_value(described.outputs[static_cast<size_t>(index)], *saved);
      else if (const GraphInput from = described.inputs[static_cast<size_t>(index)]; from.node >= 0)
        keep_value(nodes[static_cast<size_t>(from.node)].outputs[static_cast<size_t>(from.output)], *saved);
    }
  }
}

Graph::Graph(const Tensor& root, const std::vector<NamedTensor>& names) : Graph(std::vector<Tensor>{root}, names) {}

Graph::Graph(const std::vector<Tensor>& roots, const std::vector<NamedTensor>& names) {
  std::vector<NodeRef> starts;
  starts.reserve(roots.size());
  for (const Tensor& x : roots) starts.emplace_back(x.defined() ? detail::history(x) : nullptr);
  content_ = new Content(starts, names);
  for (size_t i = 0; i < roots.size(); ++i)
    content_->roots.push_back({find(starts[i]), starts[i].get() ? roots[i].impl()->output : 0});
}

Graph::Graph(const std::vector<NodeRef>& roots, const std::vector<NamedTensor>& names)
    : content_(new Content(roots, names)) {
  for (const NodeRef& root : roots) content_->roots.push_back({find(root), 0});
}

Graph::Graph(const Graph& other) : content_(other.content_) { content_->refs.add(); }
Graph::~Graph() {
  if (content_->refs.drop()) delete content_;
}

const std::vector<GraphNode>& Graph::nodes() const { return content_->nodes; }
const std::vector<GraphInput>& Graph::roots() const { return content_->roots; }

int64_t Graph::find(const NodeRef& node) const { return content_->find(node.get()); }
int64_t Graph::find(const Tensor& x) const { return x.defined() ? content_->find(detail::history(x)) : -1; }

Tensor Graph::grad(size_t node, int output) const {
  const Node* from = nodes().at(node).node.get();
  if (from->is_leaf()) return from->grad;
  const NodeExtras::Retained* kept = from->extras ? from->extras->find_retained(output) : nullptr;
  return kept ? kept->grad : Tensor();
}

int64_t Graph::saved_bytes() const {
  std::map<const void*, int64_t> memories;
  for (const GraphNode& node : nodes())
    for (const GraphSaved& saved : node.saved) {
      int64_t& bytes = memories[saved.memory];
      bytes = std::max(bytes, saved.bytes);
    }
  int64_t sum = 0;
  for (const auto& [memory, bytes] : memories) sum += bytes;
  return sum;
}

bool GraphModule::operator==(const GraphModule&) const = default;

std::string GraphNode::module() const {
  std::string path;
  for (const GraphModule& m : modules) path += path.empty() ? m.type : '.' + m.name;
  return path;
}

}  // namespace cotangent
