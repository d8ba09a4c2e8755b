#include <cotangent/nn/sampling.hpp>

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/nn/attention/multihead.hpp>
#include <cotangent/nn/embedding.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/print.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;
using Catch::Contains;
using nn::SamplingOptions;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<double> probabilities(const Tensor& logits, const SamplingOptions& options = {}) {
  return nn::sampling_probabilities(logits, options).to_vector<double>();
}
void check_close(const std::vector<double>& values, const std::vector<double>& expected) {
  REQUIRE(values.size() == expected.size());
  for (size_t i = 0; i < values.size(); ++i) CHECK(values[i] == Approx(expected[i]).margin(1e-12));
}
/// Logits of these probabilities.
Tensor logits_of(std::vector<double> p) {
  for (double& x : p) x = std::log(x);
  return from_vector(p, {static_cast<int64_t>(p.size())});
}

const std::vector<double> kP{0.15, 0.4, 0.05, 0.3, 0.1};

}  // namespace

TEST_CASE("sampling: temperature sharpens and flattens") {
  check_close(probabilities(logits_of(kP)), kP);
  std::vector<double> squared;
  for (const double p : kP) squared.push_back(p * p / 0.285);
  check_close(probabilities(logits_of(kP), {.temperature = 0.5}), squared);
  check_close(probabilities(logits_of(kP), {.temperature = 1e12}), {0.2, 0.2, 0.2, 0.2, 0.2});
  for (const double cold : {0.0, 1e-300, 1e-12})
    check_close(probabilities(logits_of(kP), {.temperature = cold}), {0, 1, 0, 0, 0});
  check_close(probabilities(tensor({1e30, 0, -kInfinity}, float64)), {1, 0, 0});
  check_close(probabilities(tensor({-kInfinity, 2, 2}, float64)), {0, 0.5, 0.5});
  check_close(probabilities(tensor({1, 1}, bfloat16)), {0.5, 0.5});
}

TEST_CASE("sampling: top-k and the nucleus keep the likeliest") {
  const Tensor logits = logits_of(kP);
  check_close(probabilities(logits, {.top_k = 2}), {0, 4 / 7.0, 0, 3 / 7.0, 0});
  check_close(probabilities(logits, {.top_k = 5}), kP);
  check_close(probabilities(logits, {.top_k = 50}), kP);
  check_close(probabilities(logits, {.top_p = 0.39}), {0, 1, 0, 0, 0});
  check_close(probabilities(logits, {.top_p = 0.41}), {0, 4 / 7.0, 0, 3 / 7.0, 0});
  check_close(probabilities(logits, {.top_p = 0.69}), {0, 4 / 7.0, 0, 3 / 7.0, 0});
  check_close(probabilities(logits, {.top_p = 0.71}), {3 / 17.0, 8 / 17.0, 0, 6 / 17.0, 0});
  check_close(probabilities(logits, {.top_p = 1}), kP);
  // the nucleus is taken of the top k: 4/7 of two is above a half, 4/10 of all is not
  check_close(probabilities(logits, {.top_k = 2, .top_p = 0.5}), {0, 1, 0, 0, 0});
  // and after the temperature
  check_close(probabilities(logits, {.temperature = 0.5, .top_p = 0.5}), {0, 1, 0, 0, 0});
}

TEST_CASE("sampling: of equals the first, and every way to be greedy is argmax") {
  const Tensor ties = tensor({1, 3, 3, 0, 3}, float64);
  for (const SamplingOptions& greedy : {SamplingOptions{.temperature = 0},
                                        {.top_k = 1},
                                        {.top_p = 1e-12},
                                        {.temperature = 0, .top_k = 3, .top_p = 0.9}}) {
    check_close(probabilities(ties, greedy), {0, 1, 0, 0, 0});
    for (int i = 0; i < 20; ++i) CHECK(nn::sample(ties, greedy).item<int64_t>() == 1);
  }
  check_close(probabilities(ties, {.top_k = 2}), {0, 0.5, 0.5, 0, 0});
}

TEST_CASE("sampling: tokens are drawn by their probabilities, and no other ones") {
  Generator generator(4);
  const Tensor logits = logits_of(kP).unsqueeze(0).expand({20000, 5});
  for (const SamplingOptions& options : {SamplingOptions{}, {.temperature = 0.7}, {.top_k = 3}, {.top_p = 0.8}}) {
    const std::vector<double> p = probabilities(logits[0], options);
    const Tensor drawn = nn::sample(logits, options, generator);
    CHECK(drawn.shape() == Shape{20000});
    CHECK(drawn.dtype() == int64);
    std::vector<int> counts(5);
    for (const int64_t token : drawn.to_vector<int64_t>()) ++counts.at(static_cast<size_t>(token));
    double chi = 0;  // 4 degrees of freedom at most: above 18.5 once in 1000
    for (size_t i = 0; i < 5; ++i) {
      if (p[i] == 0)
        CHECK(counts[i] == 0);
      else
        chi += std::pow(counts[i] - 20000 * p[i], 2) / (20000 * p[i]);
    }
    CHECK(chi < 18.5);
  }
  Generator a(7), b(7);
  CHECK(nn::sample(logits, {}, a).to_vector<int64_t>() == nn::sample(logits, {}, b).to_vector<int64_t>());
}

TEST_CASE("sampling: errors") {
  const Tensor logits = zeros({3});
  const auto said = [](const Tensor& x, const SamplingOptions& options = {}) {
    return error_of([&] { nn::sample(x, options); });
  };
  CHECK_THAT(said(logits, {.temperature = -1}), Contains("temperature -1; it must be 0 (greedy) or more"));
  CHECK_THAT(said(logits, {.temperature = std::nan("")}), Contains("temperature nan"));
  CHECK_THAT(said(logits, {.temperature = kInfinity}), Contains("temperature inf"));
  CHECK_THAT(said(logits, {.top_k = -1}), Contains("top_k -1"));
  CHECK_THAT(said(logits, {.top_p = 0}), Contains("top_p 0; it must be above 0 and at most 1"));
  CHECK_THAT(said(logits, {.top_p = 1.1}), Contains("top_p 1.1"));
  CHECK_THAT(said(tensor({0, kInfinity}, float64)), Contains("NaN, infinite or all -infinity"));
  CHECK_THAT(said(tensor({0, std::nan("")}, float64)), Contains("NaN, infinite or all -infinity"));
  CHECK_THAT(said(tensor({-kInfinity, -kInfinity}, float64)), Contains("NaN, infinite or all -infinity"));
  CHECK_THAT(said(zeros({0})), Contains("logits of shape (0,)"));
  CHECK_THAT(said(zeros({1, 2, 3})), Contains("logits of shape (1, 2, 3)"));
  CHECK_THAT(said(zeros({})), Contains("logits of shape ()"));
  CHECK_THAT(said(arange(3)), Contains("must be floating, got int64"));
}

TEST_CASE("sampling: generate feeds the prompt, and then each token that was drawn") {
  // the next token is the sum of all so far, modulo 5: a model whose state is a number
  int64_t sum = 0, calls = 0;
  const auto model = [&](const Tensor& tokens) {
    ++calls;
    const Tensor logits = zeros({tokens.size(0), tokens.size(1), 5});
    for (int64_t t = 0; t < tokens.size(1); ++t) {
      sum += tokens[0][t].item<int64_t>();
      logits[0][t].select(0, sum % 5) = 50;
    }
    return logits;
  };
  const Tensor written = nn::generate(model, tensor({{1, 2}}), 4);
  CHECK(written.to_vector<int64_t>() == std::vector<int64_t>{1, 2, 3, 1, 2, 4});
  CHECK(calls == 4);
  CHECK(nn::generate(model, tensor({{1, 2}}), 0).to_vector<int64_t>() == std::vector<int64_t>{1, 2});

  const auto said = [&](const Tensor& prompt, int64_t count = 1) {
    return error_of([&] { nn::generate(model, prompt, count); });
  };
  CHECK_THAT(said(tensor({1, 2})), Contains("a prompt of shape (2,); it must be (B, T) with a token at least"));
  CHECK_THAT(said(zeros({1, 0}, int64)), Contains("a prompt of shape (1, 0)"));
  CHECK_THAT(said(zeros({1, 1})), Contains("the prompt is float32"));
  CHECK_THAT(said(zeros({1, 1}, int64), -1), Contains("-1 tokens"));
  CHECK_THAT(error_of([] {
               nn::generate([](const Tensor&) { return zeros({1, 5}); }, zeros({1, 1}, int64), 1);
             }),
             Contains("tokens (1, 1) gave logits (1, 5); they must be (B, T, V)"));
}

namespace {
struct Writer : nn::Module {
  nn::Embedding table{11, 8, {.dtype = float64}};
  nn::MultiHeadAttention attention{8, 4, {.kv_heads = 2, .causal = true, .dtype = float64}};
  nn::Linear head{8, 11, {.dtype = float64}};
  COTANGENT_MODULE(table, attention, head)
  Tensor forward(const Tensor& tokens) { return head(attention(table(tokens))); }
};
}  // namespace

TEST_CASE("sampling: a key/value cache changes nothing of what is written") {
  Writer model;
  const Tensor prompt = randint(0, 11, {3, 4});
  for (const SamplingOptions& options :
       {SamplingOptions{.temperature = 0}, {.temperature = 1.5, .top_k = 7, .top_p = 0.9}}) {
    Generator with(5), without(5);
    nn::StreamState state = model.attention.start(3);
    const Tensor cached =
        nn::generate([&](const Tensor& tokens) { return model.head(model.attention.step(model.table(tokens), state)); },
                     prompt, 30, options, with);
    CHECK(state.length == 33);
    Tensor seen = zeros({3, 0}, int64);
    const Tensor whole = nn::generate(
        [&](const Tensor& tokens) {
          seen = cat({seen, tokens}, 1);
          return model(seen);
        },
        prompt, 30, options, without);
    CHECK(cached.shape() == Shape{3, 34});
    CHECK(cached.to_vector<int64_t>() == whole.to_vector<int64_t>());
    CHECK_FALSE(cached.requires_grad());
  }
}
