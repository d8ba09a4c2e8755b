#include <cotangent/nn/mixture.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/autocast.hpp>
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/autograd/ops/sort.hpp>
#include <cotangent/autograd/ops/statistics.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent::nn {

// ---- losses ----

Tensor cv_squared(const Tensor& x) { return var(x, {}, {.correction = 0}) / (square(mean(x)) + 1e-10); }

Tensor load_probability(const Tensor& clean, const Tensor& noisy, const Tensor& deviation, int64_t k) {
  if (clean.rank() != 2 || noisy.shape() != clean.shape() || deviation.shape() != clean.shape())
    fail<ShapeError>("[load_probability] clean {}, noisy {} and deviation {}; all must be (tokens, experts)",
                     clean.shape(), noisy.shape(), deviation.shape());
  if (k < 1 || k > clean.size(1))
    fail<ValueError>("[load_probability] the {} largest of {} experts; take 1 at least, and no more than there are", k,
                     clean.size(1));
  if (k == clean.size(1)) return ones_like(clean);
  const Tensor best = topk(noisy, k + 1, 1).values;
  const Tensor kth = narrow(best, 1, k - 1, 1), next = narrow(best, 1, k, 1);
  const Tensor threshold = where(noisy > next, next, kth);  // those among the k leave the place to the next
  return 0.5 * (1 + erf((clean - threshold) / deviation * std::sqrt(0.5)));
}

Tensor switch_balance_loss(const Tensor& load, const Tensor& importance) {
  if (load.shape() != importance.shape())
    fail<ShapeError>("[switch_balance_loss] load {} and importance {}; both must be (experts)", load.shape(),
                     importance.shape());
  return static_cast<double>(load.numel()) * sum(load.detach() * importance);
}

namespace {

/// Of no rows it is 0.
Tensor mean_of_rows(const Tensor& x) { return sum(x, {0}) / static_cast<double>(std::max<int64_t>(x.size(0), 1)); }

}  // namespace

Tensor router_z_loss(const Tensor& logits) {
  if (logits.rank() != 2)
    fail<ShapeError>("[router_z_loss] logits of shape {}; they must be (tokens, experts)", logits.shape());
  return mean_of_rows(square(logsumexp(logits, {1})));
}

// ---- Router ----

namespace {

const char* name(Gating gating) {
  constexpr const char* names[] = {"dense", "noisy_top_k", "switch_top_1", "gshard_top_2"};
  return names[static_cast<size_t>(gating)];
}

/// The gates of the chosen at their experts, 0 elsewhere: (n, E).
Tensor spread(const Route& route, int64_t experts) {
  return scatter_add(zeros({route.gates.size(0), experts}, route.gates.dtype()), 1, route.experts, route.gates);
}

}  // namespace

Router::Router(int64_t width, int64_t experts, const MixtureOptions& o) : options(o) {
  if (width < 1 || experts < 1)
    fail<ValueError>("[Router] a width of {} and {} experts; there must be at least 1 of each", width, experts);
  const int64_t chosen = o.gating == Gating::noisy_top_k ? o.top_k : o.gating == Gating::gshard_top_2 ? 2 : 1;
  if (chosen < 1 || chosen > experts)
    fail<ValueError>("[Router] {} of {} experts for each token; there must be 1 at least, and no more than there are",
                     chosen, experts);
  for (const auto& [option, value] : {std::pair{"second_threshold", o.second_threshold},
                                      {"capacity_factor", o.capacity_factor},
                                      {"noise", o.noise},
                                      {"balance", o.balance},
                                      {"z", o.z}})
    cotangent::detail::check_not_negative("Router", option, value);
  weight = zeros({experts, width}, o.dtype);
  if (o.gating == Gating::noisy_top_k)
    noise_weight = zeros({experts, width}, o.dtype);
  else
    init::normal_(weight, 0, std::sqrt(0.1 / static_cast<double>(width)));
}

std::string Router::settings() const {
  return fmt::format("{}, {}, {}", weight.size(1), weight.size(0), name(options.gating));
}

Route Router::forward(const Tensor& x) {
  if (x.rank() != 2 || x.size(1) != weight.size(1))
    fail<ShapeError>("[Router] x has shape {}; it must be (tokens, {})", x.shape(), weight.size(1));
  const Autocast off(bfloat16, false);  // of logits that are rounded, other experts would be the largest
  const Dtype wide = compute_dtype(x.dtype());
  const Tensor in = x.to(wide), logits = linear(in, weight.to(wide));
  const int64_t tokens = x.size(0), experts = weight.size(0);
  Route route;
  route.z = router_z_loss(logits);

  if (options.gating == Gating::noisy_top_k) {
    const Tensor deviation = softplus(linear(in, noise_weight.to(wide)));
    const Tensor noisy = is_training() ? logits + randn(logits.shape(), float32).to(wide) * deviation : logits;
    const SortResult best = topk(noisy, options.top_k, 1);
    route.experts = best.indices;
    route.gates = softmax(best.values, 1);
    route.importance = sum(spread(route, experts), {0});
    route.load = sum(load_probability(logits, noisy, deviation, options.top_k), {0});
    return route;
  }

  const bool noisy = is_training() && options.noise > 0 && options.gating != Gating::dense;
  const Tensor h = noisy ? logits + options.noise * randn(logits.shape(), float32).to(wide) : logits;
  const Tensor p = softmax(h, 1);
  route.importance = mean_of_rows(p);
  if (options.gating == Gating::dense) {
    route.experts = expand(arange(experts), {tokens, experts});
    route.gates = p;
    route.load = ones({experts}, wide);
    return route;
  }
  route.experts = topk(h, options.gating == Gating::gshard_top_2 ? 2 : 1, 1).indices;
  route.gates = gather(p, 1, route.experts);
  route.load = mean_of_rows(one_hot(select(route.experts, 1, 0), experts).to(wide));
  if (options.gating == Gating::switch_top_1) return route;
  route.gates = route.gates / sum(route.gates, {1}, true);
  if (is_training()) {
    const Tensor kept =
        cat({ones({tokens, 1}, boolean),
             narrow(route.gates, 1, 1, 1) > rand({tokens, 1}, float32).to(wide) * options.second_threshold},
            1);
    route.experts = where(kept, route.experts, -1);
    route.gates = where(kept, route.gates, 0);
  }
  return route;
}

// ---- MixtureOfExperts ----

namespace {

/// A choice of `experts` (n, k) is known by its place, token k + choice. Of each expert the places where it is asked:
/// first choices before second ones, and no more than it takes.
std::vector<std::vector<int64_t>> places_of(const Tensor& experts, int64_t count, double capacity_factor) {
  const int64_t tokens = experts.size(0), choices = experts.size(1);
  const auto asked = experts.to_vector<int64_t>();
  const double share = capacity_factor * static_cast<double>(tokens) / static_cast<double>(count);
  const size_t capacity = capacity_factor > 0 && share < static_cast<double>(tokens)
                              ? static_cast<size_t>(std::ceil(share))
                              : static_cast<size_t>(tokens);
  std::vector<std::vector<int64_t>> places(static_cast<size_t>(count));
  for (int64_t choice = 0; choice < choices; ++choice)
    for (int64_t place = choice; place < tokens * choices; place += choices) {
      const int64_t expert = asked[static_cast<size_t>(place)];
      if (expert >= count) fail<IndexError>("[MixtureOfExperts] a route to expert {} of {}", expert, count);
      if (expert < 0) continue;
      auto& own = places[static_cast<size_t>(expert)];
      if (own.size() < capacity) own.push_back(place);
    }
  return places;
}

/// Sums what expert(i, its tokens, their gates) gives, each times its gate, over the tokens of x (n, d).
template <class F>
Tensor combine(const Tensor& x, const Route& route, const std::vector<std::vector<int64_t>>& places, F expert) {
  const int64_t choices = route.experts.size(1);
  const Tensor gates = flatten(route.gates);
  Tensors rows, results;
  for (size_t i = 0; i < places.size(); ++i) {
    const Tensor place = from_vector(places[i], {static_cast<int64_t>(places[i].size())});
    rows.push_back(floor_divide(place, choices));
    const Tensor gate = index_select(gates, 0, place);
    const Tensor y = expert(i, index_select(x, 0, rows.back()), gate);
    if (y.rank() != 2 || y.size(0) != gate.size(0) || (i > 0 && y.size(1) != results[0].size(1)))
      fail<ShapeError>("[MixtureOfExperts] expert {} makes {} of {} tokens{}; it must be ({}, width), of one width", i,
                       y.shape(), gate.size(0), i > 0 ? fmt::format(", and the first {}", results[0].shape()) : "",
                       gate.size(0));
    results.push_back(y * unsqueeze(gate, 1).to(y.dtype()));
  }
  const Tensor all = cat(results, 0);
  return index_add(zeros({x.size(0), all.size(1)}, all.dtype()), 0, cat(rows, 0), all);
}

Tensor counts_of(const std::vector<std::vector<int64_t>>& places) {
  std::vector<int64_t> counts;
  counts.reserve(places.size());
  for (const auto& own : places) counts.push_back(static_cast<int64_t>(own.size()));
  return from_vector(counts, {static_cast<int64_t>(counts.size())});
}

Tensor loss_of(const MixtureOptions& o, const Tensor& importance, const Tensor& load, const Tensor& z) {
  if (o.gating == Gating::dense) return o.z * z;
  const Tensor balance = o.gating == Gating::noisy_top_k ? cv_squared(importance) + cv_squared(load)
                                                         : switch_balance_loss(load, importance);
  return o.balance * balance + o.z * z;
}

/// x (.., d) as (n, d).
Tensor as_tokens(const char* layer, const Tensor& x, int64_t width) {
  if (x.rank() < 1 || x.size(-1) != width)
    fail<ShapeError>("[{}] x has shape {}; its last dimension must be {}", layer, x.shape(), width);
  return reshape(x, {x.numel() / width, width});
}

/// y (n, d') in the shape of x (.., d).
Tensor as_given(const Tensor& y, const Tensor& x) {
  Shape shape = x.shape();
  shape[shape.rank() - 1] = y.size(1);
  return reshape(y, shape);
}

}  // namespace

MixtureOfExperts::MixtureOfExperts(int64_t width, std::vector<Sequential> experts_, const MixtureOptions& o)
    : router(width, static_cast<int64_t>(experts_.size()), o), experts(std::move(experts_)) {}

MixtureOutput MixtureOfExperts::apply_route(const Tensor& x, const Route& route) {
  if (x.rank() != 2 || route.experts.rank() != 2 || route.experts.size(0) != x.size(0) ||
      route.gates.shape() != route.experts.shape())
    fail<ShapeError>(
        "[MixtureOfExperts] x {} with a route of experts {} and gates {}; they must be (tokens, {}) and "
        "(tokens, choices) twice",
        x.shape(), route.experts.shape(), route.gates.shape(), router.weight.size(1));
  const auto places = places_of(route.experts, static_cast<int64_t>(experts.size()), router.options.capacity_factor);
  const Tensor y =
      combine(x, route, places, [&](size_t i, const Tensor& part, const Tensor&) { return experts[i](part); });
  return {y, loss_of(router.options, route.importance, route.load, route.z), counts_of(places)};
}

MixtureOutput MixtureOfExperts::forward(const Tensor& x) {
  const Tensor tokens = as_tokens("MixtureOfExperts", x, router.weight.size(1));
  MixtureOutput result = apply_route(tokens, router(tokens));
  result.output = as_given(result.output, x);
  return result;
}

// ---- HierarchicalMixture ----

HierarchicalMixture::HierarchicalMixture(int64_t width, std::vector<MixtureOfExperts> groups_, const MixtureOptions& o)
    : router(width, static_cast<int64_t>(groups_.size()), o), groups(std::move(groups_)) {
  const auto check = [](const Router& r) {
    if (r.options.gating != Gating::noisy_top_k)
      fail<ValueError>("[HierarchicalMixture] a router of {}; all must be noisy_top_k", name(r.options.gating));
  };
  check(router);
  for (const MixtureOfExperts& group : groups) check(group.router);
}

MixtureOutput HierarchicalMixture::forward(const Tensor& x) {
  const Tensor tokens = as_tokens("HierarchicalMixture", x, router.weight.size(1));
  const Route route = router(tokens);
  const auto places = places_of(route.experts, static_cast<int64_t>(groups.size()), router.options.capacity_factor);
  Tensors importance, load, counts, z;
  const Tensor y = combine(tokens, route, places, [&](size_t i, const Tensor& part, const Tensor& gate) {
    MixtureOfExperts& group = groups[i];
    const Route own = group.router(part);
    const MixtureOutput result = group.apply_route(part, own);
    importance.push_back(sum(spread(own, result.load.numel()) * unsqueeze(gate, 1), {0}));
    load.push_back(select(route.load, 0, static_cast<int64_t>(i)) * own.load /
                   static_cast<double>(std::max<int64_t>(part.size(0), 1)));
    z.push_back(own.z);
    counts.push_back(result.load);
    return result.output;
  });
  return {as_given(y, x), loss_of(router.options, cat(importance, 0), cat(load, 0), route.z + mean(stack(z, 0))),
          cat(counts, 0)};
}

}  // namespace cotangent::nn
