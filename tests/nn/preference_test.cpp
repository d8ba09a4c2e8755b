// DPO and GRPO: their formulas in PyTorch (tests/reference/make_preference.py), and what a model comes to by them.
#include <cotangent/nn/preference.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

#include "../check_gradients.hpp"
#include "../json.hpp"

using namespace cotangent;

namespace {

const double kReference[] = {0.4, -0.3, 0.0, 1.1};  // logits of a reference of four answers
const double kRewards[] = {1.0, 2.0, -0.5, 0.3};

Tensor of(const double (&values)[4]) { return from_vector(Values(values, values + 4), {4}); }

/// The probabilities to which steepest descent comes on loss(log-probabilities), from the reference on.
template <class F>
Tensor descend(double rate, F loss) {
  Tensor logits = of(kReference).requires_grad_();
  for (int step = 0; step < 1500; ++step)
    logits = (logits - rate * grad({loss(log_softmax(logits, 0))}, {logits})[0]).detach().requires_grad_();
  return softmax(logits.detach(), 0);
}

/// The same values, with the columns one after another in memory.
Tensor by_columns(const Tensor& x) { return x.rank() == 2 ? transpose(transpose(x, 0, 1).contiguous(), 0, 1) : x; }

/// What is as good as a reward and as close to the reference as can be: reference times exp(r / beta).
Tensor tilted(const Tensor& reward, double beta) { return softmax(of(kReference) + reward / beta, 0); }

}  // namespace

TEST_CASE("DPO and GRPO equal their formulas in PyTorch, gradients included") {
  const Json data("preference.json");
  CHECK(data.size() == 6);
  for (size_t i = 0; i < data.size(); ++i) {
    const Json test = data[i];
    Tensors x;
    for (const Json packed : test["inputs"]) x.push_back(unpacked(packed).requires_grad_());
    const bool dpo = test["name"].get<std::string>() == "dpo";
    const auto loss = [&](Reduction reduction) {
      if (dpo)
        return nn::dpo_loss(x[0], x[1], x[2], x[3],
                            {.beta = test["beta"], .label_smoothing = test["smoothing"], .reduction = reduction});
      return nn::grpo_loss(x[0], x[1], x[2], nn::group_advantages(x[3]).flatten(),
                           {.epsilon = test["epsilon"],
                            .beta = test["beta"],
                            .weighted_penalty = test["weighted"],
                            .mask = unpacked(test["mask"]).to(boolean),
                            .reduction = reduction});
    };
    const Tensor y = loss(Reduction::none);
    CHECK(close(y, unpacked(test["y"])));
    CHECK(loss(Reduction::mean).item() == Approx(test["mean"].get<double>()).epsilon(1e-12));
    CHECK(close(loss(Reduction::sum), sum(y)));
    y.backward(unpacked(test["dy"]));
    for (size_t k = 0; k < 4; ++k)
      if (k < test["gradients"].size())
        CHECK(close(x[k].grad(), unpacked(test["gradients"][k])));
      else
        CHECK_FALSE(x[k].grad().defined());
  }
}

TEST_CASE("gradients of DPO and GRPO") {
  Generator g(1);
  const auto leaf = [&](const Shape& shape) { return randn(shape, float64, g).requires_grad_(); };
  const Tensor a = leaf({4}), b = leaf({4}), c = randn({4}, float64, g), d = randn({4}, float64, g);
  check_gradients([&] { return nn::dpo_loss(a, b, c, d, {.beta = 0.7, .label_smoothing = 0.1}); }, {a, b});
  const Tensor own = leaf({3, 2}), old = randn({3, 2}, float64, g), reference = randn({3, 2}, float64, g);
  const Tensor advantages = tensor({1.0, -2.0, 0.5}, float64);
  for (const bool weighted : {false, true})
    check_gradients(
        [&] { return nn::grpo_loss(own, old, reference, advantages, {.epsilon = 0.9, .weighted_penalty = weighted}); },
        {own});
  const Tensor logits = leaf({2, 3, 4});
  check_gradients([&] { return nn::token_log_probabilities(logits, tensor({{0, 3, 1}, {2, 2, 0}})); }, {logits});
}

TEST_CASE("DPO comes to margins that are the logits of the preferences, the optimum of rewards near a reference") {
  const double beta = 0.5;
  // of answers i and j, i is preferred with the probability sigmoid(r_i - r_j)
  std::vector<int64_t> first, second;
  Values weights;
  for (int64_t i = 0; i < 4; ++i)
    for (int64_t j = 0; j < 4; ++j)
      if (i != j) {
        first.push_back(i), second.push_back(j);
        weights.push_back(1 / (1 + std::exp(kRewards[j] - kRewards[i])));
      }
  const Tensor i = from_vector(first, {12}), j = from_vector(second, {12}), p = from_vector(weights, {12});
  const Tensor reference = log_softmax(of(kReference), 0);
  const auto at = [](const Tensor& x, const Tensor& index) { return index_select(x, 0, index); };
  const Tensor pi = descend(1, [&](const Tensor& x) {
    return sum(p * nn::dpo_loss(at(x, i), at(x, j), at(reference, i), at(reference, j),
                                {.beta = beta, .reduction = Reduction::none}));
  });
  const Tensor margin = beta * (log(pi) - reference);
  CHECK(close(at(margin, i) - at(margin, j), log(p / (1 - p)), 1e-8));
  CHECK(close(pi, tilted(of(kRewards), beta), 1e-8));

  // label_smoothing is a preference of 1 - e for one side
  const Tensor smooth = descend(4, [&](const Tensor& x) {
    return nn::dpo_loss(x.narrow(0, 0, 1), x.narrow(0, 1, 1), reference.narrow(0, 0, 1), reference.narrow(0, 1, 1),
                        {.beta = beta, .label_smoothing = 0.2});
  });
  const Tensor m = beta * (log(smooth) - reference);
  CHECK((m[0] - m[1]).item() == Approx(std::log(0.8 / 0.2)).epsilon(1e-8));
}

TEST_CASE("GRPO with a weighted penalty comes to the reference times exp(A / beta)") {
  // all answers of one token, each as often as the model gives it; `old` is the model itself at each step
  const double beta = 0.8;
  const Tensor reference = log_softmax(of(kReference), 0).unsqueeze(1), a = nn::group_advantages(of(kRewards));
  const auto come_to = [&](bool weighted) {
    return descend(0.5, [&](const Tensor& x) {
      const Tensor old = x.detach();
      return sum(exp(old) * nn::grpo_loss(x.unsqueeze(1), old.unsqueeze(1), reference, a,
                                          {.beta = beta, .weighted_penalty = weighted, .reduction = Reduction::none}));
    });
  };
  CHECK(close(come_to(true), tilted(a, beta), 1e-8));

  // The article's penalty is sampled from the model but not weighted: its expected gradient is that of
  // KL(reference | model), and the model comes to beta reference / (c - A), with the c for which this sums to 1.
  const Tensor pi = come_to(false), shares = softmax(of(kReference), 0) * beta;
  double low = a.max().item(), high = low + 10;
  for (int k = 0; k < 200; ++k) {
    const double c = (low + high) / 2;
    (sum(shares / (c - a)).item() > 1 ? low : high) = c;
  }
  CHECK(close(pi, shares / (low - a), 1e-8));
  CHECK_FALSE(close(pi, tilted(a, beta), 0.01));
}

TEST_CASE("GRPO follows no ratio beyond the clip, and counts no padding") {
  const Tensor own = log(tensor({{2.0}, {2.0}, {0.5}, {0.5}}, float64)).requires_grad_(), zero = zeros({4, 1}, float64);
  const Tensor a = tensor({1.0, -1.0, 1.0, -1.0}, float64);
  const Tensor y = nn::grpo_loss(own, zero, zero, a, {.beta = 0, .reduction = Reduction::none});
  CHECK(close(y, tensor({-1.2, 2.0, -0.5, 0.8}, float64)));
  y.backward(ones({4}, float64));
  CHECK(close(own.grad().flatten(), tensor({0.0, 2.0, -0.5, 0.0}, float64)));

  const Tensor padded = tensor({{-1.0, -double{INFINITY}}, {std::nan(""), -2.0}}, float64).requires_grad_();
  const Tensor mask = tensor({{true, false}, {false, true}}), other = tensor({{-1.5, 0.0}, {0.0, -1.0}}, float64);
  const Tensor loss = nn::grpo_loss(padded, other, other, tensor({1.0, 1.0}, float64), {.mask = mask});
  const Tensor plain = nn::grpo_loss(tensor({{-1.0}, {-2.0}}, float64), tensor({{-1.5}, {-1.0}}, float64),
                                     tensor({{-1.5}, {-1.0}}, float64), tensor({1.0, 1.0}, float64));
  CHECK(close(loss, plain));
  loss.backward();
  CHECK(padded.grad()[0][1].item() == 0);
  CHECK(padded.grad()[1][0].item() == 0);
  CHECK(std::isfinite(padded.grad()[0][0].item()));
}

TEST_CASE("advantages have mean 0 and deviation 1 in a group, and are 0 where all rewards are equal") {
  const Tensor a = nn::group_advantages(tensor({{1.0, 2.0, 3.0}, {5.0, 5.0, 5.0}}, float64));
  CHECK(close(a, tensor({{-1.0, 0.0, 1.0}, {0.0, 0.0, 0.0}}, float64), 1.1e-4));
  CHECK(equal(a[1], zeros({3}, float64)));
  CHECK(nn::group_advantages(zeros({0, 3})).shape() == Shape{0, 3});
}

TEST_CASE(
    "DPO of a model that is the reference costs log 2, of one that is sure nothing, and of one that is wrong much") {
  const Tensor x = tensor({-1.0, -2.0}, float64);
  CHECK(nn::dpo_loss(x, x + 1, x, x + 1).item() == Approx(std::log(2)));
  const Tensor sure = tensor({0.0, -double{INFINITY}}, float64), one = tensor({0.0}, float64);
  CHECK(nn::dpo_loss(sure.narrow(0, 0, 1), sure.narrow(0, 1, 1), one, one).item() == 0);
  CHECK(nn::dpo_loss(sure.narrow(0, 1, 1), sure.narrow(0, 0, 1), one, one).item() == double{INFINITY});
  CHECK(nn::dpo_loss(one * 0, one - 1e6, one, one).item() == 0);
  CHECK(nn::dpo_loss(one - 1e6, one, one, one).item() == Approx(1e5));
  const Tensor logits = randn({2, 3, 5}, float32), tokens = randint(0, 5, {2, 3});
  CHECK(close(nn::token_log_probabilities(logits, tokens).flatten(),
              -cross_entropy(logits.flatten(0, 1), tokens.flatten(), {.reduction = Reduction::none}), 1e-6));
}

TEST_CASE("DPO and GRPO at the edges: no answers, no tokens, NaN, ratios beyond all numbers, half types, any layout") {
  const Tensor none = zeros({0}, float64), no_tokens = zeros({2, 0}, float64), a = tensor({1.0, -1.0}, float64);
  CHECK(nn::dpo_loss(none, none, none, none, {.reduction = Reduction::sum}).item() == 0);
  CHECK(
      nn::grpo_loss(zeros({0, 3}), zeros({0, 3}), zeros({0, 3}), zeros({0}), {.reduction = Reduction::none}).numel() ==
      0);
  CHECK(nn::grpo_loss(no_tokens, no_tokens, no_tokens, a).item() == 0);
  CHECK(nn::token_log_probabilities(zeros({0, 4}), zeros({0}, int64)).shape() == Shape{0});

  const Tensor x = tensor({-1.0, -2.0}, float64), bad = tensor({std::nan(""), -2.0}, float64);
  for (int place = 0; place < 4; ++place) {
    Tensors all(4, x);
    all[static_cast<size_t>(place)] = bad;
    const Tensor y = nn::dpo_loss(all[0], all[1], all[2], all[3], {.reduction = Reduction::none});
    CHECK(std::isnan(y[0].item()));
    CHECK(y[1].item() == Approx(std::log(2)));
    for (Tensor& m : all) m = m.unsqueeze(1);
    const Tensor z = nn::grpo_loss(all[0], all[1], all[2], all[3].flatten(), {.reduction = Reduction::none});
    CHECK(std::isnan(z[0].item()));
    CHECK(std::isfinite(z[1].item()));
  }
  const Tensor advantages = nn::group_advantages(tensor({{1.0, std::nan("")}, {1.0, 2.0}}, float64));
  CHECK(all(isnan(advantages[0])).item<bool>());
  CHECK(advantages[1][1].item() == Approx(std::sqrt(0.5)).epsilon(1e-3));

  // a token 1000 times as likely as exp can say: beyond the clip it pulls no more, or pushes without a limit
  const Tensor own = tensor({{0.0}, {0.0}, {0.0}}, float64).requires_grad_(), zero = zeros({3, 1}, float64);
  const Tensor y = nn::grpo_loss(own, zero - 1e6, zero, tensor({2.0, 0.0, -1.0}, float64),
                                 {.beta = 0, .reduction = Reduction::none});
  CHECK(close(y.narrow(0, 0, 2), tensor({-2.4, 0.0}, float64)));
  CHECK(y[2].item() == double{INFINITY});
  y.narrow(0, 0, 2).sum().backward();
  CHECK(equal(own.grad().narrow(0, 0, 2), zero.narrow(0, 0, 2)));
  CHECK(close(nn::grpo_loss(own, zero, zero, ones({3}, float64), {.epsilon = 2}), tensor(-1.0, float64)));

  Generator g(3);
  for (const Dtype dtype : {float32, float16, bfloat16}) {
    INFO(name(dtype));
    const auto drawn = [&](const Shape& shape) { return (randn(shape, float64, g) * 3 - 5).to(dtype); };
    const Tensor p = drawn({4, 3}), q = drawn({4, 3}), r = drawn({4, 3}), b = drawn({4});
    const auto both = [&](Dtype own_dtype, bool transposed) {
      const auto in = [&](const Tensor& t) {
        const Tensor own_t = t.to(own_dtype);
        return transposed ? by_columns(own_t) : own_t;
      };
      const Tensor leaf = in(p).detach().requires_grad_();
      const Tensor loss = nn::grpo_loss(leaf, in(q), in(r), b.to(own_dtype), {.reduction = Reduction::none});
      const Tensor first = leaf.select(1, 0);
      const Tensor pairs = nn::dpo_loss(first, in(q).select(1, 0), in(r).select(1, 0), in(r).select(1, 1),
                                        {.label_smoothing = 0.1, .reduction = Reduction::none});
      CHECK(loss.dtype() == own_dtype);
      CHECK(pairs.dtype() == own_dtype);
      (loss.sum() + pairs.sum()).backward();
      return Tensors{loss.detach(), pairs.detach(), leaf.grad()};
    };
    const Tensors wide = both(float64, false);
    for (const bool transposed : {false, true}) {
      const Tensors low = both(dtype, transposed);
      for (size_t i = 0; i < 3; ++i)
        CHECK(allclose(low[i].to(float64), wide[i], dtype == bfloat16 ? 0.02 : 0.002, 1e-4));
    }
  }
}

TEST_CASE("DPO and GRPO say what they do not take") {
  const Tensor x = zeros({3}), m = zeros({2, 3}), a = zeros({2});
  CHECK(error_of([&] { nn::dpo_loss(x, x, zeros({2}), x); }) ==
        "[dpo_loss] reference_chosen has shape (2,); it must be (3,), that of the log-probabilities");
  CHECK(error_of([&] { nn::dpo_loss(x, x, x, x, {.beta = -1}); }).find("[dpo_loss] beta is -1") == 0);
  CHECK(error_of([&] { nn::dpo_loss(x, x, x, x, {.label_smoothing = 2}); }).find("[dpo_loss] label_smoothing is 2") ==
        0);
  CHECK(error_of([&] { nn::grpo_loss(x, x, x, a); }) ==
        "[grpo_loss] log-probabilities of shape (3,); they must be (answers, tokens)");
  CHECK(error_of([&] { nn::grpo_loss(m, m, m, x); }) ==
        "[grpo_loss] advantages of shape (3,); with log-probabilities (2, 3) they must be (2,)");
  CHECK_THROWS_AS(nn::grpo_loss(m, m, m, a, {.mask = m}), DTypeError);
  CHECK_THROWS_AS(nn::grpo_loss(m, m, m, a, {.mask = ones({2, 2}, boolean)}), ShapeError);
  CHECK_THROWS_AS(nn::group_advantages(zeros({2, 1})), ShapeError);
  CHECK(error_of([] {
          nn::token_log_probabilities(zeros({2, 3, 4}), zeros({2, 4}, int64));
        }) == "[token_log_probabilities] logits (2, 3, 4) and tokens (2, 4); they must be (.., V) and (..)");
  CHECK_THROWS_AS(nn::token_log_probabilities(zeros({2, 4}), full({2}, 4, int64)), IndexError);
  for (const double bad : {-0.1, double{NAN}}) {
    CHECK_THROWS_AS(nn::dpo_loss(x, x, x, x, {.label_smoothing = bad}), ValueError);
    CHECK_THROWS_AS(nn::grpo_loss(m, m, m, a, {.epsilon = bad}), ValueError);
    CHECK_THROWS_AS(nn::grpo_loss(m, m, m, a, {.beta = bad}), ValueError);
  }
}
