#include <cotangent/autograd/graph/watch.hpp>

#include <cotangent/autograd/observer_internal.hpp>

namespace cotangent {

struct WatchGraph::Seen : detail::Observer {
  std::vector<NodeRef> nodes;
  void recorded(Node& node, std::span<const TensorRef>, std::span<const Tensor>) override {
    detail::note_origin(node);
    detail::note_parameters(node);
    nodes.emplace_back(&node);
  }
};

WatchGraph::WatchGraph() : seen_(new Seen) {}
WatchGraph::~WatchGraph() { delete seen_; }
Graph WatchGraph::graph() const { return Graph(seen_->nodes); }

}  // namespace cotangent
