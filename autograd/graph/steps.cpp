#include <cotangent/autograd/graph/steps.hpp>

#include <cotangent/autograd/observer_internal.hpp>

namespace cotangent {
namespace {

struct StepObserver : detail::Observer {
  std::vector<BackwardStep> steps;
  uint64_t outermost = 0;

  void arrived(uint64_t pass, Node& node) override {
    if (outermost == 0) outermost = pass;  // the first visit comes before any rule
    if (pass != outermost) return;
    BackwardStep& step = steps.emplace_back(BackwardStep{NodeRef(&node), node.op, {}, {}});
    for (int i = 0; i < node.slot_count; ++i) step.arrived.push_back(node.slots()[i].grad);
  }
  void sent(uint64_t pass, Node& node, int input, const Tensor& gradient, const Tensor& before) override {
    if (pass != outermost) return;
    const Edge& edge = node.edges()[input];
    steps.back().sent.push_back({input, NodeRef(edge.node), edge.output, gradient, before});
  }
};

}  // namespace

std::vector<BackwardStep> backward_steps(const Tensor& root, const BackwardOptions& options) {
  StepObserver observer;
  root.backward(options);
  return std::move(observer.steps);
}

}  // namespace cotangent
