// Mixtures of experts against tests/reference/mixture.json, which make_mixture.py writes token by token; and what holds
// for each of them.
#include <cotangent/nn/mixture.hpp>

#include <cmath>

#include <cotangent/autograd/autocast.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/autograd/ops/sort.hpp>
#include <cotangent/nn/activation.hpp>
#include <cotangent/nn/attention/transformer.hpp>

#include "check_layer.hpp"
#include "names.hpp"
#include "reference_layer.hpp"

using namespace cotangent;
using nn::Gating;

namespace {

nn::Sequential expert() { return nn::Sequential(nn::Linear(3, 4), nn::Tanh(), nn::Linear(4, 2)); }

/// Weights of float64 that are no round numbers, in evaluation.
template <class M>
M prepared_mixture(M m) {
  m.to(float64);
  Generator g(5);
  for (const Tensor& p : m.parameters()) normal_(p, 0.1, 1, g);
  m.eval();
  return m;
}
nn::MixtureOfExperts mixture(const nn::MixtureOptions& options, int64_t experts = 4) {
  return prepared_mixture(nn::MixtureOfExperts(3, nn::repeat(experts, expert), options));
}
nn::HierarchicalMixture two_levels(int64_t top_k, int64_t own_k, const nn::MixtureOptions& options = {}) {
  nn::MixtureOptions own = options;
  own.gating = Gating::noisy_top_k;
  own.top_k = own_k;
  const auto group = [&] { return nn::MixtureOfExperts(3, nn::repeat(2, expert), own); };
  own.top_k = top_k;
  const nn::MixtureOptions first = own;
  own.top_k = own_k;
  return prepared_mixture(nn::HierarchicalMixture(3, nn::repeat(3, group), first));
}
Tensor tokens(int64_t count, uint64_t seed = 1) {
  Generator g(seed);
  return randn({count, 3}, float64, g);
}

/// Output and loss as one vector.
template <class M>
Tensor both(M& m, const Tensor& x) {
  const nn::MixtureOutput y = m(x);
  return cat({flatten(y.output), y.loss.view({1})});
}

/// A mixture as a layer of one result, for checks of layers.
template <class M>
struct Joined : nn::Module {
  explicit Joined(M m) : mixture(std::move(m)) {}
  M mixture;
  COTANGENT_MODULE(mixture)
  Tensor forward(const Tensor& x) {
    const nn::MixtureOutput y = mixture(x);
    return y.output + y.loss.to(x.dtype());
  }
};

const Gating kAll[] = {Gating::dense, Gating::noisy_top_k, Gating::switch_top_1, Gating::gshard_top_2};

}  // namespace

TEST_CASE("mixtures equal their papers' formulas in PyTorch, losses and gradients included") {
  const Json data("mixture.json");
  CHECK(data.size() == 8);
  for (size_t i = 0; i < data.size(); ++i) {
    const Case test(data[i]);
    const auto name = test.get<std::string>("name", "");
    nn::MixtureOptions options{.top_k = test.get<int64_t>("k", 2),
                               .capacity_factor = test.get<double>("capacity", 0),
                               .balance = 0.5,
                               .z = 0.25};
    INFO(name << " " << options.top_k << " " << options.capacity_factor);
    const auto run = [&](const auto& m) {
      compare(test, m, [&](auto& own) { return both(own, test.inputs.get("x")); });
    };
    if (name == "two_levels") run(two_levels(2, 1, options));
    for (const Gating gating : kAll)
      if (options.gating = gating; to_string(nn::Router(3, 4, options)).find(name) != std::string::npos)
        run(mixture(options));
  }
}

TEST_CASE("noise of noisy_top_k moves the choice, the gates and the load as the formula says") {
  nn::MixtureOfExperts m = mixture({.gating = Gating::noisy_top_k, .balance = 1, .z = 0});
  m.train();
  const Tensor x = tokens(6);
  const NoGrad guard;
  manual_seed(9);
  const nn::MixtureOutput y = m(x);
  manual_seed(9);
  const Tensor clean = matmul(x, t(m.router.weight)), noise = randn({6, 4}).to(float64);
  const Tensor deviation = softplus(matmul(x, t(m.router.noise_weight))), h = clean + noise * deviation;
  Tensor expected = zeros({6, 2}, float64), importance = zeros({4}, float64), load = zeros({4}, float64);
  for (int64_t n = 0; n < 6; ++n) {
    const Tensor order = argsort(h[n], 0, true), gates = softmax(index_select(h[n], 0, order.narrow(0, 0, 2)), 0);
    for (int64_t k = 0; k < 2; ++k) {
      const int64_t e = order[k].item<int64_t>();
      expected[n].add_(gates[k] * m.experts[static_cast<size_t>(e)](x.narrow(0, n, 1))[0]);
      importance[e].add_(gates[k]);
    }
    for (int64_t e = 0; e < 4; ++e) {
      const bool in = order[0].item<int64_t>() == e || order[1].item<int64_t>() == e;
      const double threshold = h[n][order[in ? 2 : 1].item<int64_t>()].item();
      load[e].add_(std::erfc((threshold - clean[n][e].item()) / deviation[n][e].item() / std::sqrt(2.0)) / 2);
    }
  }
  CHECK(close(y.output, expected));
  CHECK(close(y.loss, nn::cv_squared(importance) + nn::cv_squared(load)));
}

TEST_CASE("noise on the logits moves the choice and the gates of one or two experts, in training alone") {
  const Tensor x = tokens(6);
  const NoGrad guard;
  for (const Gating gating : {Gating::switch_top_1, Gating::gshard_top_2}) {
    const nn::MixtureOptions options{.gating = gating, .second_threshold = 0, .noise = 2, .balance = 1, .z = 0.5};
    const int64_t chosen = gating == Gating::gshard_top_2 ? 2 : 1;
    nn::MixtureOfExperts m = mixture(options), silent = mixture({.gating = gating, .balance = 1, .z = 0.5});
    CHECK(equal(both(m, x), both(silent, x)));
    m.train();
    manual_seed(9);
    const nn::MixtureOutput y = m(x);
    manual_seed(9);
    const Tensor clean = matmul(x, t(m.router.weight)), h = clean + 2 * randn({6, 4}).to(float64), p = softmax(h, 1);
    Tensor expected = zeros({6, 2}, float64), first = zeros({4}, float64);
    int64_t moved = 0;
    for (int64_t n = 0; n < 6; ++n) {
      const Tensor best = argsort(h[n], 0, true).narrow(0, 0, chosen), gates = index_select(p[n], 0, best);
      for (int64_t k = 0; k < chosen; ++k)
        expected[n].add_(gates[k] / (chosen == 2 ? sum(gates) : ones({}, float64)) *
                         m.experts[static_cast<size_t>(best[k].item<int64_t>())](x.narrow(0, n, 1))[0]);
      first[best[0].item<int64_t>()].add_(1.0 / 6);
      moved += best[0].item<int64_t>() != argmax(clean[n]).item<int64_t>();
    }
    CHECK(moved > 0);
    CHECK(close(y.output, expected));
    CHECK(close(y.loss, 4 * sum(first * mean(p, {0})) + 0.5 * nn::router_z_loss(clean)));
  }
}

TEST_CASE("load_probability is how often an expert stays among the largest") {
  Generator g(2);
  const Tensor clean = tensor({{0.3, -0.2, 0.9, 0.0}}, float64), deviation = tensor({{0.5, 1.0, 0.7, 2.0}}, float64);
  const Tensor noisy = tensor({{0.6, -1.1, 0.4, 0.5}}, float64), p = nn::load_probability(clean, noisy, deviation, 2);
  constexpr int64_t kDraws = 20'000;
  for (int64_t e = 0; e < 4; ++e) {
    const Tensor drawn = noisy.expand({kDraws, 4}).clone();
    drawn.select(1, e).copy_(clean[0][e] + randn({kDraws}, float64, g) * deviation[0][e]);
    const Tensor stays = any(topk(drawn, 2, 1).indices == tensor(e), {1});
    CHECK(mean(stays.to(float64)).item() == Approx(p[0][e].item()).margin(4 * 0.5 / std::sqrt(double{kDraws})));
  }
  CHECK(equal(nn::load_probability(clean, noisy, deviation, 4), ones({1, 4}, float64)));
}

TEST_CASE("choosing all experts is the dense mixture, in one level and in two") {
  const Tensor x = tokens(5);
  nn::MixtureOfExperts all = mixture({.gating = Gating::noisy_top_k, .top_k = 4});
  nn::MixtureOfExperts dense = mixture({.gating = Gating::dense});
  dense.load_state_dict(all.state_dict(), false);
  CHECK(close(all(x).output, dense(x).output));

  nn::HierarchicalMixture h = two_levels(3, 2);
  const Tensor top = softmax(matmul(x, t(h.router.weight)), 1);
  Tensor expected = zeros({5, 2}, float64);
  for (int64_t i = 0; i < 3; ++i) {
    nn::MixtureOfExperts& group = h.groups[static_cast<size_t>(i)];
    const Tensor own = softmax(matmul(x, t(group.router.weight)), 1);
    for (int64_t j = 0; j < 2; ++j)
      expected = expected + top.narrow(1, i, 1) * own.narrow(1, j, 1) * group.experts[static_cast<size_t>(j)](x);
  }
  const nn::MixtureOutput y = h(x);
  CHECK(close(y.output, expected));
  CHECK(equal(y.load, full({6}, 5, int64)));
}

TEST_CASE("an expert's capacity counts only where it is exceeded; what is left over gives 0") {
  const Tensor x = tokens(8);
  for (const Gating gating : kAll) {
    nn::MixtureOfExperts open = mixture({.gating = gating}), wide = mixture({.gating = gating, .capacity_factor = 4});
    CHECK(equal(open(x).output, wide(x).output));
  }
  nn::MixtureOfExperts tight = mixture({.capacity_factor = 0.5});  // ceil(0.5 * 8 / 4) = 1
  const nn::MixtureOutput y = tight(x), all = mixture({})(x);
  const auto chosen = tight.router(x).experts.to_vector<int64_t>();
  std::vector<int64_t> taken(4);
  for (int64_t n = 0; n < 8; ++n) {
    const bool first = ++taken[static_cast<size_t>(chosen[static_cast<size_t>(n)])] == 1;
    CHECK(close(y.output[n], first ? all.output[n] : zeros({2}, float64)));
  }
  CHECK(y.load.max().item() == 1);
  CHECK(all.load.sum().item() == 8);
  CHECK(close(y.loss, all.loss));  // it counts what was asked for

  // second choices come after all first ones: token 1's first choice gets the place before token 0's second
  const nn::Route route{tensor({{0, 1}, {1, 0}}), ones({2, 2}, float64), ones({2}, float64), ones({2}, float64),
                        zeros({}, float64)};
  nn::MixtureOfExperts two = mixture({.gating = Gating::gshard_top_2, .capacity_factor = 1}, 2);
  const Tensor pair = tokens(2);
  const Tensor alone = two.apply_route(pair, route).output;
  CHECK(close(alone[0], two.experts[0](pair.narrow(0, 0, 1))[0]));
  CHECK(close(alone[1], two.experts[1](pair.narrow(0, 1, 1))[0]));
}

TEST_CASE("balance losses are 1 or 0 for an even spread, and E or E - 1 for a collapse") {
  const Tensor even = full({4}, 0.25, float64), one = tensor({0, 0, 1, 0}, float64);
  CHECK(nn::switch_balance_loss(even, even).item() == 1);
  CHECK(nn::switch_balance_loss(one, one).item() == 4);
  CHECK(nn::cv_squared(even).item() == 0);
  CHECK(nn::cv_squared(one * 100).item() == Approx(3));
  CHECK(nn::cv_squared(zeros({4})).item() == 0);
  const Tensor load = tensor({0.5, 0.5}, float64).requires_grad_(), p = tensor({0.7, 0.3}, float64).requires_grad_();
  nn::switch_balance_loss(load, p).backward();
  CHECK_FALSE(load.grad().defined());
  CHECK(equal(p.grad(), tensor({1, 1}, float64)));
  CHECK(nn::router_z_loss(zeros({3, 4}, float64)).item() == Approx(std::pow(std::log(4), 2)));
}

TEST_CASE("equal experts are chosen by their number, and one that nobody asks gets gradients of 0") {
  nn::MixtureOfExperts m = mixture({});
  m.router.weight.detach().zero_();
  const nn::MixtureOutput y = m(tokens(5));
  CHECK(equal(y.load, tensor({5, 0, 0, 0})));
  (sum(y.output) + y.loss).backward();
  CHECK(m.router.weight.grad().abs().max().item() > 0);  // the gate is p, not 1
  CHECK(m.experts[0].parameters()[0].grad().abs().max().item() > 0);
  for (size_t e = 1; e < 4; ++e)
    for (const Tensor& p : m.experts[e].parameters()) CHECK(equal(p.grad(), zeros_like(p)));
}

TEST_CASE("a mixture treats tokens alike, in whatever order and shape they come") {
  const Tensor x = tokens(6), order = tensor({3, 0, 5, 1, 4, 2});
  for (const Gating gating : kAll) {
    nn::MixtureOfExperts m = mixture({.gating = gating});
    const nn::MixtureOutput y = m(x), other = m(index_select(x, 0, order));
    CHECK(close(other.output, index_select(y.output, 0, order)));
    CHECK(close(other.loss, y.loss));
    CHECK(equal(other.load, y.load));
    CHECK(equal(m(x.view({2, 3, 3})).output, y.output.view({2, 3, 2})));
    CHECK(equal(m(transpose(t(x).contiguous(), 0, 1)).output, y.output));
    CHECK(close(m(x[2]).output, y.output[2]));
  }
}

TEST_CASE("the second of GShard's experts is kept by chance in training, by both rules, and always in evaluation") {
  constexpr int64_t kDraws = 20'000;
  const NoGrad guard;
  for (const double threshold : {0.5, 0.2, 0.0})
    for (const double logit : {2.5, 1.0}) {
      nn::Router router(1, 3, {.gating = Gating::gshard_top_2, .second_threshold = threshold, .dtype = float64});
      router.weight.copy_(tensor({{0.0}, {logit}, {-1.0}}, float64));
      const double second = 1 / (1 + std::exp(logit));
      const double wanted = threshold == 0 ? 1 : std::min(1.0, second / threshold);
      manual_seed(4);
      const nn::Route route = router(ones({kDraws, 1}, float64));
      const Tensor kept = route.experts.select(1, 1) == tensor(0);
      CHECK(mean(kept.to(float64)).item() == Approx(wanted).margin(4 * 0.5 / std::sqrt(double{kDraws})));
      CHECK(equal(route.experts.select(1, 0), ones({kDraws}, int64)));
      CHECK(close(route.gates.select(1, 0), full({kDraws}, 1 - second, float64)));  // whether the second is kept or not
      CHECK(close(route.gates.select(1, 1), kept.to(float64) * second));
      router.eval();
      CHECK(equal(router(ones({2, 1}, float64)).experts, tensor({{1, 0}, {1, 0}})));
    }
}

TEST_CASE("half types are routed in float32") {
  manual_seed(2);
  nn::Router router(8, 5);
  const Tensor x = randn({40, 8}).to(bfloat16);
  nn::Router low = router.clone();
  low.to(bfloat16);
  const nn::Route route = low(x);
  CHECK(route.gates.dtype() == float32);
  const Tensor p = softmax(linear(x.to(float32), low.weight.to(float32)), 1);
  CHECK(equal(route.experts, argmax(p, 1, true)));
  CHECK(equal(route.gates, amax(p, {1}, true)));
}

TEST_CASE("Autocast leaves the router in float32") {
  manual_seed(3);
  nn::Router router(16, 8);
  const Tensor x = randn({64, 16});
  const nn::Route exact = router(x);
  const Autocast guard(bfloat16);
  const nn::Route route = router(x);
  CHECK(equal(route.experts, exact.experts));
  CHECK(equal(route.gates, exact.gates));
}

TEST_CASE("gradients of mixtures, and their results in every dtype") {
  for (const Gating gating : kAll)
    check_layer(
        Joined(nn::MixtureOfExperts(2, nn::repeat(3, [] { return nn::Sequential(nn::Linear(2, 2), nn::Tanh()); }),
                                    {.gating = gating, .balance = 0.5, .z = 0.1})),
        {3, 2}, 64);
  const auto group = [] {
    return nn::MixtureOfExperts(2, nn::repeat(2, [] { return nn::Sequential(nn::Linear(2, 2)); }),
                                {.gating = Gating::noisy_top_k, .top_k = 1});
  };
  check_layer(Joined(nn::HierarchicalMixture(2, nn::repeat(2, group),
                                             {.gating = Gating::noisy_top_k, .top_k = 1, .balance = 0.5})),
              {3, 2}, 64);
}

TEST_CASE("mixtures of no tokens, of one expert, and of tokens that are not numbers") {
  for (const Gating gating : kAll) {
    nn::MixtureOfExperts m = mixture({.gating = gating});
    const nn::MixtureOutput none = m(zeros({2, 0, 3}, float64));
    CHECK(none.output.shape() == Shape{2, 0, 2});
    CHECK(std::isfinite(none.loss.item()));
    CHECK(none.load.sum().item() == 0);

    const Tensor x = tokens(4), bad = x.clone();
    bad[1][0].fill_(double{NAN});
    const nn::MixtureOutput y = m(x), other = m(bad);
    CHECK(close(other.output[0], y.output[0]));
    CHECK(close(other.output[3], y.output[3]));
    CHECK(std::isnan(other.output[1][0].item()));
    CHECK(std::isnan(other.loss.item()));
  }
  // two levels, of which the second may get no tokens; and one group
  nn::HierarchicalMixture h = two_levels(1, 1);
  CHECK(h(zeros({0, 3}, float64)).output.shape() == Shape{0, 2});
  CHECK(std::isfinite(h(zeros({0, 3}, float64)).loss.item()));
  CHECK(std::isfinite(h(tokens(1)).loss.item()));
  nn::HierarchicalMixture alone = prepared_mixture(nn::HierarchicalMixture(
      3, {nn::MixtureOfExperts(3, nn::repeat(2, expert), {.gating = Gating::noisy_top_k, .top_k = 1})},
      {.gating = Gating::noisy_top_k, .top_k = 1}));
  CHECK(close(alone(tokens(4)).output, alone.groups[0](tokens(4)).output));
  const Tensor broken = tokens(4);
  broken[1][0].fill_(double{NAN});
  CHECK(std::isnan(h(broken).output[1][0].item()));
  CHECK(close(h(broken).output[3], h(tokens(4)).output[3]));
  CHECK(std::isnan(h(broken).loss.item()));
  nn::MixtureOfExperts single = mixture({.balance = 1, .z = 0}, 1);
  const Tensor x = tokens(3);
  CHECK(close(single(x).output, single.experts[0](x)));
  CHECK(single(x).loss.item() == 1);
}

TEST_CASE("mixtures name their parameters, and start as their papers say") {
  nn::MixtureOfExperts m(3, nn::repeat(2, expert), {.gating = Gating::noisy_top_k});
  CHECK(keys(m) == Names{"router.weight", "router.noise_weight", "experts.0.0.weight", "experts.0.0.bias",
                         "experts.0.2.weight", "experts.0.2.bias", "experts.1.0.weight", "experts.1.0.bias",
                         "experts.1.2.weight", "experts.1.2.bias"});
  CHECK(equal(m.router.weight, zeros({2, 3})));
  CHECK(equal(m.router.noise_weight, zeros({2, 3})));
  CHECK(keys(nn::Router(3, 2)) == Names{"weight"});
  manual_seed(1);
  const nn::Router router(100, 200);
  CHECK(mean(square(router.weight)).item() == Approx(0.001).epsilon(0.05));
  CHECK(to_string(router).find("Router(100, 200, switch_top_1)") != std::string::npos);
  nn::MixtureOfExperts copy = m.clone();
  copy.router.weight.detach().fill_(1);
  CHECK(m.router.weight.sum().item() == 0);
}

TEST_CASE("a transformer block with experts in place of its feed-forward") {
  manual_seed(1);
  nn::TransformerEncoderLayer attention(3, 1, {.inner = 0, .dropout = 0, .norm_first = true});
  nn::LayerNorm norm(3);
  nn::MixtureOfExperts experts(
      3, nn::repeat(2, [] { return nn::Sequential(nn::Linear(3, 6), nn::ReLU(), nn::Linear(6, 3)); }));
  const Tensor y = attention(randn({2, 4, 3}));
  const nn::MixtureOutput added = experts(norm(y));
  CHECK((y + added.output).shape() == Shape{2, 4, 3});
  (mean(square(y + added.output)) + added.loss).backward();
  for (const Tensor& p : attention.parameters()) CHECK(p.grad().defined());
  CHECK(experts.router.weight.grad().abs().max().item() > 0);
}

TEST_CASE("mixtures say what they do not take") {
  const auto make = [](const nn::MixtureOptions& o, int64_t count = 2) {
    return [=] { nn::MixtureOfExperts(3, nn::repeat(count, expert), o); };
  };
  CHECK(error_of(make({}, 0)) == "[Router] a width of 3 and 0 experts; there must be at least 1 of each");
  CHECK(error_of(make({.gating = Gating::noisy_top_k, .top_k = 3})) ==
        "[Router] 3 of 2 experts for each token; there must be 1 at least, and no more than there are");
  CHECK(error_of(make({.gating = Gating::gshard_top_2}, 1)).find("[Router] 2 of 1 experts") == 0);
  CHECK(error_of(make({.capacity_factor = -1})).find("[Router] capacity_factor is -1") == 0);
  CHECK(error_of(make({.noise = -1})).find("[Router] noise is -1") == 0);
  CHECK(error_of(make({.balance = double{NAN}})).find("[Router] balance is nan") == 0);
  CHECK(error_of(make({.second_threshold = -0.1})).find("[Router] second_threshold is -0.1") == 0);
  CHECK(error_of(make({.z = -1})).find("[Router] z is -1") == 0);
  CHECK(error_of(make({.gating = Gating::noisy_top_k, .top_k = 0})).find("[Router] 0 of 2 experts") == 0);
  nn::MixtureOfExperts m = mixture({});
  CHECK(error_of([&] {
          m(zeros({2, 4}, float64));
        }) == "[MixtureOfExperts] x has shape (2, 4); its last dimension must be 3");
  CHECK(error_of([&] { m.router(zeros({4}, float64)); }).find("[Router] x has shape (4,); it must be (tokens, 3)") ==
        0);
  const Tensor x = tokens(2), gates = ones({2, 1}, float64), ids = zeros({2, 1}, int64), one = ones({}, float64);
  const auto route = [&](const Tensor& experts, const Tensor& by) {
    return error_of([&] { m.apply_route(x, {experts, by, ones({4}, float64), ones({4}, float64), one}); });
  };
  CHECK(route(ids, gates) == "nothing thrown");
  CHECK(route(ids + 4, gates) == "[MixtureOfExperts] a route to expert 4 of 4");
  CHECK(route(ids.narrow(0, 0, 1), gates).find("[MixtureOfExperts] x (2, 3) with a route of experts (1, 1)") == 0);
  CHECK(route(ids, ones({2, 2}, float64)).find("and gates (2, 2)") != std::string::npos);
  nn::MixtureOfExperts uneven(3, {nn::Sequential(nn::Linear(3, 2)), nn::Sequential(nn::Linear(3, 1))});
  CHECK(error_of([&] { uneven(zeros({2, 3})); }).find("[MixtureOfExperts] expert 1 makes (0, 1) of 0 tokens") == 0);
  CHECK(error_of([] {
          nn::load_probability(ones({2, 3}), ones({2, 3}), ones({3}), 1);
        }).find("[load_probability]") == 0);
  for (const int64_t k : {0, 4})
    CHECK(error_of([&] {
            const Tensor z = ones({2, 3});
            nn::load_probability(z, z, z, k);
          }).find("[load_probability] the " + std::to_string(k) + " largest of 3 experts") == 0);
  CHECK(error_of([] { nn::switch_balance_loss(ones({3}), ones({1})); }) ==
        "[switch_balance_loss] load (3,) and importance (1,); both must be (experts)");
  CHECK(error_of([] { nn::router_z_loss(ones({3})); }).find("[router_z_loss] logits of shape (3,)") == 0);
  CHECK(error_of([&] {
          nn::HierarchicalMixture(3, {m, m});
        }) == "[HierarchicalMixture] a router of switch_top_1; all must be noisy_top_k");
}
