#include <cotangent/autograd/transforms/reversible.hpp>

#include <algorithm>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/transforms/recomputation_internal.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace detail {
namespace {

struct Couplings {
  std::vector<OwnedFunction> functions;
  std::vector<Surroundings> first;  // of each of them
  std::vector<Edge> edges;          // of all inputs, the pair first; the node owns them
  std::vector<Saved> kept;          // whether what the functions capture was written
};

template <class F>
Tensor applied(const F& f, const Tensor& b) {
  Tensor y = f({b})[0];
  if (t_autocast.enabled) y = to(y, b.dtype());
  if (y.shape() != b.shape() || y.dtype() != b.dtype())
    fail<ShapeError>("[reversible] a function turns {} {} into {} {}; it must keep both", b.dtype(), b.shape(),
                     y.dtype(), y.shape());
  return y;
}

/// The first pair from the last, with the random numbers of the first run.
Tensors first_pair(const Couplings& c, Tensor a, Tensor b) {
  const NoGrad guard;
  for (size_t n = c.functions.size(); n-- > 0;) {
    const SecondRun run(c.first[n]);
    Tensor before = b - applied(c.functions[n], a);
    b = std::exchange(a, std::move(before));
  }
  return {a, b};
}

/// All couplings from the first pair on, recorded: for derivatives of the gradient.
Tensors run_from_first(const Backward& backward, const void* attributes) {
  const Couplings& c = *static_cast<const Couplings*>(attributes);
  Tensors pair = first_pair(c, backward.output(0).detach(), backward.output(1).detach());
  for (size_t i = 0; i < 2; ++i)
    if (c.edges[i].node) pair[i] = at_edge(pair[i], c.edges[i]);
  for (size_t n = 0; n < c.functions.size(); ++n) {
    const SecondRun run(c.first[n]);
    pair = {pair[1], pair[0] + applied(c.functions[n], pair[1])};
  }
  return pair;
}

Gradients pull_back_couplings(const Backward& backward, const Couplings& c) {
  check_unwritten("reversible", c.kept);
  if (backward.creates_graph()) return backward.through(run_from_first, &c);
  const EnableGrad guard;
  Tensors ends{Tensor()};
  std::vector<int> places;
  for (int i = 2; i < backward.inputs(); ++i)
    if (backward.needs(i)) {
      const Edge& edge = c.edges[static_cast<size_t>(i)];
      record_after(edge.node);
      places.push_back(i);
      ends.push_back(at_edge(make_tensor({0}, backward.dtype(i)), edge));
    }
  Gradients gradients = Gradients::undefined(backward.inputs());
  Tensor a = backward.output(0).detach(), b = backward.output(1).detach(), da = backward.grad(0), db = backward.grad(1);
  for (size_t n = c.functions.size(); n-- > 0;) {
    const uint64_t start = newest_order();  // all before belongs to the pass around
    const SecondRun run(c.first[n]);
    ends[0] = a.detach().requires_grad_();
    const Tensor y = applied(c.functions[n], ends[0]);
    if (y.requires_grad()) {
      Tensors found = grad_above(start + 1, {y}, ends, {.gradients = {db}, .allow_unused = true});
      if (found[0].defined()) da = da + found[0];
      for (size_t k = 0; k < places.size(); ++k)
        if (found[k + 1].defined()) accumulate(gradients[places[k]], std::move(found[k + 1]));
    }
    const NoGrad plain;
    Tensor before = b - y;
    b = std::exchange(a, std::move(before));
    std::swap(da, db);
  }
  gradients[0] = std::move(da), gradients[1] = std::move(db);
  return gradients;
}

}  // namespace
}  // namespace detail

template <>
inline constexpr bool is_attribute<detail::Couplings> = true;  // what it keeps, it checks itself

namespace detail {

Tensors reversible(const std::vector<FunctionRef>& functions, OwnedFunction (*own)(void* function), const Tensor& a,
                   const Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype() || !a.is_floating())
    fail<ShapeError>("[reversible] a pair of {} {} and {} {}; both must have one shape and floating dtype", a.dtype(),
                     a.shape(), b.dtype(), b.shape());
  Tensors pair{a, b};
  if (!grad_enabled() || functions.empty()) {
    for (const FunctionRef& f : functions) pair = {pair[1], pair[0] + applied(f, pair[1])};
    return pair;
  }
  Couplings c;
  std::vector<Tensor> owners;  // of the edges, until the node has them
  pair = {a.detach(), b.detach()};
  for (const FunctionRef& f : functions) {
    c.first.emplace_back();
    const uint64_t start = newest_order();
    const Tensor leaf = pair[1].detach().requires_grad_();
    std::vector<Saved> within;
    Tensor y = [&] {
      FirstRun run;
      Tensor result = applied(f, leaf);
      within = std::move(run.within);
      return result;
    }();
    if (y.requires_grad()) {
      Reached reached = reach({y}, start, within);
      within.clear();
      for (const Edge& e : reached.edges)
        if (!is_at(leaf, e) && std::none_of(owners.begin(), owners.end(), [&](const Tensor& x) { return is_at(x, e); }))
          owners.push_back(at_edge(make_tensor({0}, e.node->slots()[e.output].dtype), e));
      y = y.detach();
      reached.leave_captured({leaf, y});
      std::move(reached.kept.begin(), reached.kept.end(), std::back_inserter(c.kept));
    }
    const NoGrad plain;
    pair = {pair[1], pair[0] + y};
  }
  // a leaf that only `owners` holds was made within a function, and has gone
  std::erase_if(owners, [](const Tensor& x) { return x.impl()->node->is_leaf() && x.impl()->node->refs.unique(); });
  for (const FunctionRef& f : functions) c.functions.push_back(own(f.function));
  std::vector<TensorRef> inputs{a, b};
  inputs.insert(inputs.end(), owners.begin(), owners.end());
  for (const TensorRef& x : inputs)
    c.edges.push_back(x.tensor->requires_grad() ? Edge{history(*x.tensor), x.tensor->impl()->output} : Edge{});
  if (!should_record(inputs.data(), inputs.size())) return pair;
  tell_around(c.kept);
  const auto rule = [](const Backward& backward, const Couplings& all) { return pull_back_couplings(backward, all); };
  record_outputs<Couplings, decltype(rule)>("reversible", inputs.data(), inputs.size(), pair.data(), 2,
                                            Keep::output(0) | Keep::output(1), c);
  return pair;
}

Tensors reversed(const std::vector<FunctionRef>& functions, const Tensor& a, const Tensor& b) {
  const NoGrad guard;
  Tensors pair{a, b};
  for (size_t n = functions.size(); n-- > 0;) pair = {pair[1] - applied(functions[n], pair[0]), pair[0]};
  return pair;
}

}  // namespace detail
}  // namespace cotangent
