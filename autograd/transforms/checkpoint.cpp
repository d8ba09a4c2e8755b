#include <cotangent/autograd/transforms/checkpoint.hpp>

#include <algorithm>
#include <set>
#include <unordered_set>
#include <utility>

#include <cotangent/autograd/transforms/recomputation_internal.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace detail {

bool is_at(const Tensor& x, const Edge& e) {
  return x.defined() && x.impl()->node == e.node && x.impl()->output == e.output;
}

namespace {
constinit thread_local FirstRun* t_first_run = nullptr;
}

FirstRun::FirstRun() : around(std::exchange(t_first_run, this)) {}
FirstRun::~FirstRun() { t_first_run = around; }
const FirstRun* innermost_run() { return t_first_run; }

void tell_around(const std::vector<Saved>& kept) {
  if (t_first_run) t_first_run->within.insert(t_first_run->within.end(), kept.begin(), kept.end());
}

Reached reach(const Tensors& results, uint64_t start, const std::vector<Saved>& within) {
  Reached reached;
  std::set<std::pair<const Node*, int>> ends;
  std::unordered_set<const Node*> seen;
  std::unordered_set<const Storage*> memories;
  std::vector<Node*> stack;
  const auto is_older = [&](const Edge& e) { return e.node && e.node->order <= start; };
  const auto visit = [&](const Edge& e) {
    if (is_older(e)) {
      if (ends.emplace(e.node, e.output).second) reached.edges.push_back(e);
    } else if (e.node && seen.insert(e.node).second) {
      stack.push_back(e.node);
    }
  };
  for (const Tensor& y : results) visit({history(y), y.impl()->output});
  while (!stack.empty()) {
    Node* node = stack.back();
    stack.pop_back();
    for (int i = 0; i < node->edge_count; ++i) visit(node->edges()[i]);
    for (const Saved& s : std::span(node->saved(), node->saved_count))
      if (s.tensor.defined() && memories.insert(s.tensor.impl()->storage).second)
        reached.kept.push_back({s.tensor.detach(), s.version});
  }
  for (const Saved& s : within)
    if (memories.insert(s.tensor.impl()->storage).second) reached.kept.push_back({s.tensor.detach(), s.version});
  return reached;
}

void Reached::leave_captured(const Tensors& others) {
  std::erase_if(kept, [&](const Saved& s) {
    return is_sole_owner(s.tensor) || std::any_of(others.begin(), others.end(), [&](const Tensor& x) {
             return x.defined() && x.shares_storage(s.tensor);
           });
  });
}

void check_unwritten(const char* op, const std::vector<Saved>& kept) {
  for (const Saved& s : kept)
    if (s.tensor.version() != s.version)
      fail<GradError>(
          "[{}] a tensor of shape {} that the function reads was written in place after its first run (version {}, "
          "read "
          "at {}); write to it after backward()",
          op, s.tensor.shape(), s.tensor.version(), s.version);
}

namespace {

struct Checkpointed {
  OwnedFunction f;
  size_t inputs, results;  // that f takes, and that it gives with a history
  Surroundings first;
  std::vector<Edge> edges;  // of the node, which owns them
  std::vector<Saved> kept;  // without histories: whether what f captures was written
  size_t edges_read;        // by f, of these
  size_t own_leaves;        // that f makes itself, and differentiates within
};

Tensors with_history(const Tensors& results) {
  Tensors found;
  for (const Tensor& y : results)
    if (y.requires_grad()) found.push_back(y);
  return found;
}

Tensors run_again(const Backward& b, const void* attributes) {
  const Checkpointed& c = *static_cast<const Checkpointed*>(attributes);
  check_unwritten("checkpoint", c.kept);
  const uint64_t start = newest_order();
  Tensors inputs;
  for (size_t i = 0; i < c.inputs; ++i) inputs.push_back(b.recorded_input(static_cast<int>(i)));
  const SecondRun guard(c.first);
  Tensors results = with_history(c.f(inputs));
  if (results.size() != c.results)
    fail<GradError>(
        "[checkpoint] the function gives {} results with a history when it is run again, and gave {}; it "
        "must compute the same",
        results.size(), c.results);
  for (size_t i = 0; i < results.size(); ++i)
    if (b.has_grad(static_cast<int>(i))) {
      const Tensor &y = results[i], &dy = b.grad(static_cast<int>(i));
      if (y.shape() != dy.shape() || y.dtype() != dy.dtype())
        fail<GradError>(
            "[checkpoint] the function gives {} {} when it is run again, and gave {} {}; it must compute the "
            "same",
            y.dtype(), y.shape(), dy.dtype(), dy.shape());
    }
  size_t known = 0;
  const std::vector<Edge> edges = reach(results, start).edges;
  for (const Edge& e : edges)
    known += std::any_of(c.edges.begin(), c.edges.end(),
                         [&](const Edge& other) { return other.node == e.node && other.output == e.output; });
  if (known != c.edges_read || edges.size() - known != c.own_leaves)
    fail<GradError>(
        "[checkpoint] the function reads other tensors when it is run again; leave what it captures as it "
        "was until backward()");
  return results;
}

}  // namespace
}  // namespace detail

template <>
inline constexpr bool is_attribute<detail::Checkpointed> = true;  // what it keeps, it checks itself

namespace detail {

Tensors checkpoint(FunctionRef f, OwnedFunction (*own)(void* function), const Tensors& inputs) {
  if (!grad_enabled()) return f(inputs);
  if (inputs.size() > Keep::kMaxInputs)
    fail<ValueError>("[checkpoint] {} inputs; it takes up to {}, let the function capture the others", inputs.size(),
                     Keep::kMaxInputs);
  const Surroundings first;
  std::vector<uint32_t> versions;
  for (const Tensor& x : inputs) {
    versions.push_back(x.defined() ? x.version() : 0);
    if (x.requires_grad()) record_after(history(x));
  }
  const uint64_t start = newest_order();
  std::vector<Saved> within;
  Tensors results = [&] {
    FirstRun run;
    Tensors y = f(inputs);
    within = std::move(run.within);
    return y;
  }();
  Tensors recorded = with_history(results);
  if (recorded.empty()) return results;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].defined() && inputs[i].version() != versions[i])
      fail<GradError>(
          "[checkpoint] the function writes to its input {} in place, and would find it changed when it is run again; "
          "let it write to a clone()",
          i);

  Reached reached = reach(recorded, start, within);
  within.clear();
  Tensors besides;  // the function's inputs: they stand for what it reads beside them
  for (const Edge& e : reached.edges)
    if (std::none_of(inputs.begin(), inputs.end(), [&](const Tensor& x) { return is_at(x, e); }))
      besides.push_back(at_edge(make_tensor({0}, e.node->slots()[e.output].dtype), e));
  recorded.clear();
  std::vector<size_t> places;
  Tensors outputs;
  for (size_t i = 0; i < results.size(); ++i) {
    const bool has_history = results[i].requires_grad();
    results[i] = apart(results[i], inputs);
    if (!has_history) continue;
    places.push_back(i);
    outputs.push_back(results[i]);
  }
  // the first run has gone: a leaf that only `besides` holds was made in it, as was a memory that nobody else holds
  Tensors known = inputs;
  known.insert(known.end(), results.begin(), results.end());
  reached.leave_captured(known);
  const size_t own_leaves = std::erase_if(
      besides, [](const Tensor& x) { return x.impl()->node->is_leaf() && x.impl()->node->refs.unique(); });

  std::vector<TensorRef> refs(inputs.begin(), inputs.end());
  refs.insert(refs.end(), besides.begin(), besides.end());
  tell_around(reached.kept);
  Checkpointed attributes{own(f.function),
                          inputs.size(),
                          outputs.size(),
                          first,
                          {},
                          std::move(reached.kept),
                          reached.edges.size() - own_leaves,
                          own_leaves};
  for (const TensorRef& x : refs)
    if (x.tensor->requires_grad()) attributes.edges.push_back({history(*x.tensor), x.tensor->impl()->output});
  const auto rule = [](const Backward& b, const Checkpointed& c) { return b.through(run_again, &c); };
  record_outputs<Checkpointed, decltype(rule)>("checkpoint", refs.data(), refs.size(), outputs.data(), outputs.size(),
                                               Keep::of_list(static_cast<int>(inputs.size())), attributes);
  for (size_t k = 0; k < places.size(); ++k) results[places[k]] = std::move(outputs[k]);
  return results;
}

}  // namespace detail

}  // namespace cotangent
