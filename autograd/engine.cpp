#include <cotangent/autograd/engine.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <unordered_map>
#include <utility>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/modes_internal.hpp>
#include <cotangent/autograd/observer_internal.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/views.hpp>

// The backward pass visits nodes from the newest to the oldest. A node's order is larger than that of all nodes it
// depends on, so when it comes up, everything that uses it has been visited and its gradient is complete. A heap of the
// nodes that have received a gradient is all the state there is; nothing is recursive.
//
// Gradients wait in the nodes, and so a pass holds a node from the first gradient that it brings until it has visited
// it, or, where only some inputs are asked for, all nodes that lead towards them until it ends. A pass that comes to a
// node of another one fails, in whichever thread the two are. Leaves are for all passes at once: what they get is added
// up under a lock, and if they have hooks, gradients wait in the pass instead.

namespace cotangent {
namespace detail {

/// One backward pass.
struct Pass {
  /// A tensor whose gradient was asked for by name.
  struct Capture {
    Node* node;
    int output;
    size_t index;  // among the inputs of the call
    bool operator<(const Capture& other) const {
      return node != other.node ? node < other.node : output < other.output;
    }
  };
  uint64_t id = 0;
  bool create_graph;
  bool retain_graph;
  bool filtered;                  // only what leads to a capture is visited
  uint64_t floor = 1;             // older nodes are reached, and not visited: leaves, and more in a pass within a rule
  bool observed;                  // somebody looks on
  bool looks;                     // at every node: filtered or observed
  bool accumulates = false;       // the captured gradients are added to those of the inputs
  std::vector<Capture> captures;  // sorted
  std::vector<Node*> held;        // where filtered: by this pass
  Tensors captured;
  Tensor* temporary = nullptr;  // the output, which goes when the pass begins, for the memory of the first gradients

  explicit Pass(bool creates = false, bool retains = false, bool filters = false)
      : create_graph(creates),
        retain_graph(retains || creates),
        filtered(filters),
        observed(t_observer != nullptr),
        looks(filtered || observed) {}
  bool captures_of(const Node* node, size_t& first) const {
    first = static_cast<size_t>(std::lower_bound(captures.begin(), captures.end(), node,
                                                 [](const Capture& c, const Node* n) { return c.node < n; }) -
                                captures.begin());
    return first < captures.size() && captures[first].node == node;
  }
  /// What has been captured for an output of a node; nullptr if it was not asked for.
  [[gnu::noinline]] Tensor* capture(const Node* node, int output) {
    size_t c;
    if (!captures_of(node, c)) return nullptr;
    while (c < captures.size() && captures[c].node == node && captures[c].output != output) ++c;
    return c < captures.size() && captures[c].node == node ? &captured[captures[c].index] : nullptr;
  }
  /// Whether capture i is of the same tensor as the one before it.
  bool repeats(size_t i) const { return i > 0 && !(captures[i - 1] < captures[i]); }
  bool wants(const Node* node) const {
    if (!filtered) return true;
    size_t first;
    return ends_at(node) ? captures_of(node, first) : holds(node) && node->wanted;
  }
  bool ends_at(const Node* node) const { return node->order < floor; }
  bool holds(const Node* node) const { return node->pass.load(std::memory_order_relaxed) == id; }
};

namespace {

std::atomic<uint64_t> g_pass{0};
thread_local std::vector<Node*> t_heap;  // shared by nested passes, each above the part of the one around it

bool older(const Node* a, const Node* b) { return a->order < b->order; }

// A hook or rule starts a pass over the graph that it is called from, or two threads differentiate one graph.
[[noreturn]] void fail_busy(const Node* node) {
  fail<GradError>(
      "[backward] the graph at op {} is being differentiated by another pass; run passes over one graph one after "
      "another",
      node->op);
}

Tensor checked_cotangent(const char* op, const Tensor& output, const Tensor& gradient) {
  if (!output.defined() || !history(output))
    fail<GradError>(
        "[{}] the tensor of shape {} has no history; call requires_grad_() on an input before computing it, outside "
        "NoGrad",
        op, output.shape());
  if (gradient.defined()) {
    if (gradient.shape() != output.shape() || gradient.dtype() != output.dtype())
      fail<GradError>("[{}] the gradient is {} {}; it must be {} {}, as the tensor itself", op, gradient.dtype(),
                      gradient.shape(), output.dtype(), output.shape());
    return gradient;
  }
  if (output.numel() != 1)
    fail<GradError>(
        "[{}] shape {} has {} elements; reduce it to one by sum() or mean(), or pass a gradient of its shape", op,
        output.shape(), output.numel());
  Tensor one = make_tensor(output.shape(), output.dtype());
  raw::fill_into(one, 1);
  return one;
}

// Where a pass begins. The node stays alive for the pass, whatever hooks do to the tensor.
struct Root {
  Tensor gradient;
  Node* node;
  int output;
  Root(const char* op, const Tensor& y, const Tensor& cotangent)
      : gradient(checked_cotangent(op, y, cotangent)), node(y.impl()->node), output(y.impl()->output) {
    retain(node);
  }
  Root(Root&& other) noexcept
      : gradient(std::move(other.gradient)), node(std::exchange(other.node, nullptr)), output(other.output) {}
  ~Root() {
    if (node) release(node);
  }
};

// Holds all nodes that may lead to a capture, and marks those that do. Nodes older than every capture can't.
void mark_wanted(Pass& pass, std::span<const Root> roots) {
  uint64_t oldest = ~uint64_t{0};
  for (const Pass::Capture& c : pass.captures) oldest = std::min(oldest, c.node->order);
  oldest = std::max(oldest, pass.floor);
  std::vector<Node*>& reached = pass.held;
  std::vector<Node*> stack;
  auto visit = [&](Node* node) {
    if (!node || node->order < oldest || pass.holds(node)) return;
    reached.push_back(node);
    if (!node->hold(pass.id)) {
      reached.pop_back();
      fail_busy(node);
    }
    node->wanted = false;
    stack.push_back(node);
  };
  for (const Root& root : roots) visit(root.node);
  while (!stack.empty()) {
    Node* node = stack.back();
    stack.pop_back();
    for (int i = 0; i < node->edge_count; ++i) visit(node->edges()[i].node);
  }
  std::sort(reached.begin(), reached.end(), older);
  for (Node* node : reached) {
    size_t first;
    node->wanted = pass.captures_of(node, first);
    for (int i = 0; i < node->edge_count && !node->wanted; ++i) {
      const Node* parent = node->edges()[i].node;
      node->wanted = parent && pass.wants(parent);
    }
  }
}

class Lock {
 public:
  explicit Lock(int32_t& flag) : flag_(flag) {
    if (__atomic_exchange_n(&flag_, 1, __ATOMIC_ACQUIRE)) [[unlikely]]
      wait();
  }
  ~Lock() { __atomic_store_n(&flag_, 0, __ATOMIC_RELEASE); }

 private:
  [[gnu::cold, gnu::noinline]] void wait() {
    do std::this_thread::yield();
    while (__atomic_exchange_n(&flag_, 1, __ATOMIC_ACQUIRE));
  }
  int32_t& flag_;
};

// Whether nobody else sees its elements, each of which has a place of its own.
bool is_own(const Tensor& gradient) { return is_sole_owner(gradient) && is_dense(gradient); }

// A grad() += gradient: takes over the first one if it can be its own, and adds in place from then on.
void accumulate_grad(Tensor& into, Tensor&& gradient, bool create_graph) {
  if (!into.defined()) {
    into = is_own(gradient) && (create_graph || !gradient.requires_grad()) ? std::move(gradient) : clone(gradient);
  } else if (create_graph) {
    accumulate(into, std::move(gradient));
  } else if (into.requires_grad()) {
    into = raw::binary("accumulate", raw::Binary::add, into, gradient);
  } else {
    raw::binary_into("accumulate", raw::Binary::add, into, gradient, into);
    bump_version(into);
  }
}

void accumulate_leaf(Node* leaf, Tensor&& gradient, bool create_graph) {
  Lock lock(leaf->lock);
  accumulate_grad(leaf->grad, std::move(gradient), create_graph);
}

struct Runner {
  Pass& pass;
  std::vector<Node*>& heap = t_heap;
  size_t bottom = heap.size();
  Node* running = nullptr;
  /// What has arrived for leaves with hooks, in the order of their first gradients.
  struct Waiting {
    std::vector<std::pair<Node*, Tensor>> gradients;
    std::unordered_map<const Node*, size_t> places;
  };
  std::unique_ptr<Waiting> waiting;

  explicit Runner(Pass& p) : pass(p) {}
  // also after an exception: no gradient may stay behind in a node, nor what a rule has taken a part of
  ~Runner() {
    if (running && !pass.retain_graph) running->release_saved();
    if (running) drop(running);
    for (size_t i = bottom; i < heap.size(); ++i) drop(heap[i]);
    heap.resize(bottom);
  }
  void drop(Node* node) {
    node->clear_slots();
    if (!pass.filtered) node->let_go();
  }

  static bool waits(const Node* leaf) { return leaf->extras && leaf->extras->hooked; }

  void deliver(Node* node, int output, Tensor&& gradient) {
    if (pass.ends_at(node)) {
      if (waits(node) && pass.floor == 1) return wait(node, std::move(gradient));
      return arrive(node, output, std::move(gradient));
    }
    const bool held = pass.holds(node);
    if (!held || !node->queued) {
      heap.push_back(node);
      if (!held && !node->hold(pass.id)) {
        heap.pop_back();
        fail_busy(node);
      }
      node->queued = true;
      std::push_heap(heap.begin() + static_cast<std::ptrdiff_t>(bottom), heap.end(), older);
    }
    Tensor& sum = node->slots()[output].grad;
    if (sum.defined())
      accumulate(sum, std::move(gradient));
    else
      sum = std::move(gradient);
  }

  void arrive(Node* node, int output, Tensor&& gradient) {
    if (!pass.filtered)
      accumulate_leaf(node, std::move(gradient), pass.create_graph);
    else if (Tensor* captured = pass.capture(node, output))
      accumulate(*captured, std::move(gradient));
  }

  [[gnu::noinline]] void wait(Node* leaf, Tensor&& gradient) {
    if (!waiting) waiting = std::make_unique<Waiting>();
    const auto [place, fresh] = waiting->places.try_emplace(leaf, waiting->gradients.size());
    if (fresh) waiting->gradients.emplace_back(leaf, Tensor());
    accumulate(waiting->gradients[place->second].second, std::move(gradient));
  }

  [[gnu::noinline]] void finish_leaves() {
    for (auto& [leaf, gradient] : waiting->gradients) {
      if (!is_own(gradient)) gradient = clone(gradient);  // hooks may write to it
      arrive(leaf, 0, leaf->extras->run_hooks(0, std::move(gradient)));
    }
  }

  // The gradients of a node's outputs are complete: hooks, retained gradients and captures.
  void finish_slots(Node* node) {
    size_t first;
    if (node->extras)
      for (int i = 0; i < node->slot_count; ++i) {
        Tensor& g = node->slots()[i].grad;
        if (!g.defined()) continue;
        if (!node->extras->hooks.empty()) {
          if (!is_own(g)) g = clone(g);  // hooks may write to it
          g = node->extras->run_hooks(i, g);
        }
        NodeExtras::Retained* kept = pass.filtered ? nullptr : node->extras->find_retained(i);
        if (kept && kept->always) accumulate_grad(kept->grad, Tensor(g), pass.create_graph);
      }
    for (Observer* o = pass.observed ? t_observer : nullptr; o; o = o->around()) o->arrived(pass.id, *node);
    if (pass.filtered && pass.captures_of(node, first))
      for (size_t c = first; c < pass.captures.size() && pass.captures[c].node == node; ++c)
        pass.captured[pass.captures[c].index] = node->slots()[pass.captures[c].output].grad;
  }

  bool goes_on(Node* node) const {
    for (int i = 0; i < node->edge_count; ++i)
      if (node->edges()[i].node && pass.wants(node->edges()[i].node)) return true;
    return false;
  }

  void visit(Node* node) {
    if (node->extras || pass.looks) finish_slots(node);
    if (pass.filtered && !goes_on(node)) {
      node->clear_slots();
      return;
    }
    if (node->released && node->saved_count > 0)
      fail<GradError>(
          "[{}] what it saved was freed by an earlier backward pass over this graph; pass retain_graph = true to that "
          "one",
          node->op);
    Gradients gradients = node->rule(Backward(node, pass), node->attributes());
    if (!pass.retain_graph) node->release_saved();
    node->clear_slots();
    const int count = gradients.size();
    if (count != node->edge_count) check_count(node, count);
    for (int i = 0; i < count; ++i) {
      const Edge& edge = node->edges()[i];
      Tensor gradient = std::move(gradients[i]);  // goes before the next one is dealt with
      if (!edge.node || !gradient.defined() || !pass.wants(edge.node)) continue;
      const Slot& slot = edge.node->slots()[edge.output];
      if (gradient.dtype() != slot.dtype || gradient.shape() != slot.shape || pass.observed)
        check_gradient(node, i, slot, gradient);
      deliver(edge.node, edge.output, std::move(gradient));
    }
  }

  [[gnu::noinline]] static void check_count(Node* node, int count) {
    bool fits = count < node->edge_count;
    for (int i = count; fits && i < node->edge_count; ++i) fits = !node->edges()[i].node;
    if (!fits)
      fail<GradError>("[{}] its gradient rule returns {} gradients for {} inputs", node->op, count, node->edge_count);
  }

  [[gnu::noinline]] void check_gradient(Node* node, int i, const Slot& slot, const Tensor& gradient) {
    if (gradient.shape() != slot.shape || gradient.dtype() != slot.dtype)
      fail<GradError>("[{}] its rule gives a gradient of {} {} for input {}, which is {} {}; they must be the same",
                      node->op, gradient.dtype(), gradient.shape(), i, slot.dtype, slot.shape);
    if (pass.observed) {
      const Tensor before = arrived_at(node->edges()[i]);
      for (Observer* o = t_observer; o; o = o->around()) o->sent(pass.id, *node, i, gradient, before);
    }
  }

  // What has come to the other end of an edge until now: of a leaf, its gradient.
  Tensor arrived_at(const Edge& edge) {
    if (!pass.ends_at(edge.node)) return pass.holds(edge.node) ? edge.node->slots()[edge.output].grad : Tensor();
    if (pass.floor == 1 && waits(edge.node)) {
      if (!waiting) return {};
      const auto place = waiting->places.find(edge.node);
      return place == waiting->places.end() ? Tensor() : waiting->gradients[place->second].second;
    }
    if (pass.filtered) {
      const Tensor* captured = pass.capture(edge.node, edge.output);
      return captured ? *captured : Tensor();
    }
    Lock lock(edge.node->lock);
    return edge.node->grad.defined() ? raw::clone(edge.node->grad) : Tensor();  // which is added to in place
  }

  void run() {
    while (heap.size() > bottom) {
      std::pop_heap(heap.begin() + static_cast<std::ptrdiff_t>(bottom), heap.end(), older);
      running = heap.back();
      heap.pop_back();
      visit(running);
      if (!pass.filtered) running->let_go();
      running = nullptr;
    }
    if (waiting) finish_leaves();
  }
};

// backward({.inputs}): what has been captured is added to the gradients of these.
void accumulate_captured(Pass& pass, const Tensors& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    const size_t index = pass.captures[i].index;
    Tensor& gradient = pass.captured[index];
    if (pass.repeats(i) || !gradient.defined()) continue;
    const TensorImpl* x = inputs[index].impl();
    if (x->node->is_leaf())
      accumulate_leaf(x->node, std::move(gradient), pass.create_graph);
    else
      accumulate_grad(x->node->make_extras().retain(x->output).grad, std::move(gradient), pass.create_graph);
  }
}

void run_from(Pass& pass, std::span<Root> roots, const Tensors& inputs) {
  struct Held {
    const std::vector<Node*>& nodes;
    ~Held() {
      for (Node* node : nodes) node->let_go();
    }
  } held{pass.held};
  if (pass.filtered) mark_wanted(pass, roots);
  if (pass.temporary) *pass.temporary = Tensor();
  struct Restore {
    Modes modes;
    ~Restore() { set_modes(modes); }
  } restore{set_modes({pass.create_graph, false})};
  const UseAutocast off({});  // rules compute in the dtypes of what was kept
  Runner runner(pass);
  for (Root& root : roots)
    if (pass.wants(root.node)) runner.deliver(root.node, root.output, std::move(root.gradient));
  runner.run();
  if (pass.accumulates) accumulate_captured(pass, inputs);
}

void run_pass(Pass& pass, const char* op, std::span<const Tensor> outputs, std::span<const Tensor> gradients,
              const Tensors& inputs) {
  pass.id = g_pass.fetch_add(1, std::memory_order_relaxed) + 1;
  pass.captured.resize(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined() || !history(inputs[i]))
      fail<GradError>("[{}] input {} does not require a gradient; call requires_grad_() before computing the outputs",
                      op, i);
    pass.captures.push_back({inputs[i].impl()->node, inputs[i].impl()->output, i});
  }
  std::stable_sort(pass.captures.begin(), pass.captures.end());
  const auto root_at = [&](size_t i) { return Root(op, outputs[i], i < gradients.size() ? gradients[i] : Tensor()); };
  if (outputs.size() == 1) {  // the common case, without a list
    Root root = root_at(0);
    return run_from(pass, std::span(&root, 1), inputs);
  }
  std::vector<Root> roots;
  for (size_t i = 0; i < outputs.size(); ++i) roots.push_back(root_at(i));
  run_from(pass, roots, inputs);
}

}  // namespace
}  // namespace detail

bool Backward::creates_graph() const { return pass_.create_graph; }
Tensor Backward::take_input(int i) const {
  const Tensor& kept = node_->unpack(i);
  if (pass_.retain_graph) return kept;
  return std::exchange(const_cast<Tensor&>(kept), Tensor());
}
bool Backward::needs(int i) const {
  const Node* parent = node_->edges()[i].node;
  return parent && pass_.wants(parent);
}

Tensors grad(const Tensors& outputs, const Tensors& inputs, const GradOptions& options) {
  return detail::grad_above(1, outputs, inputs, options);
}

Tensors detail::grad_above(uint64_t floor, const Tensors& outputs, const Tensors& inputs, const GradOptions& options) {
  if (!options.gradients.empty() && options.gradients.size() != outputs.size())
    fail<GradError>("[grad] {} gradients for {} outputs; give one for each, or none", options.gradients.size(),
                    outputs.size());
  detail::Pass pass(options.create_graph, options.retain_graph, true);
  pass.floor = floor;
  detail::run_pass(pass, "grad", outputs, options.gradients, inputs);
  for (size_t i = 1; i < inputs.size(); ++i)
    if (pass.repeats(i)) pass.captured[pass.captures[i].index] = pass.captured[pass.captures[i - 1].index];
  if (!options.allow_unused)
    for (size_t i = 0; i < inputs.size(); ++i)
      if (!pass.captured[i].defined())
        fail<GradError>(
            "[grad] the outputs do not depend on input {} of shape {}; pass allow_unused = true for an undefined "
            "gradient",
            i, inputs[i].shape());
  return std::move(pass.captured);
}

void Tensor::backward() const {
  detail::Pass pass;
  detail::run_pass(pass, "backward", std::span(this, 1), {}, {});
}

void Tensor::backward(const Tensor& gradient) && {
  detail::Pass pass;
  pass.temporary = this;
  detail::run_pass(pass, "backward", std::span(this, 1), std::span(&gradient, 1), {});
}

void Tensor::backward(const Tensor& gradient) const& {
  detail::Pass pass;
  detail::run_pass(pass, "backward", std::span(this, 1), std::span(&gradient, 1), {});
}

void Tensor::backward(const BackwardOptions& options) const {
  detail::Pass pass(options.create_graph, options.retain_graph, !options.inputs.empty());
  pass.accumulates = true;
  detail::run_pass(pass, "backward", std::span(this, 1), std::span(&options.gradient, 1), options.inputs);
}

}  // namespace cotangent
