#include <cotangent/nn/attention/position.hpp>

#include <cmath>
#include <set>

#include <catch2/catch.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/linear_attention.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/attention/gated.hpp>
#include <cotangent/nn/attention/multihead.hpp>
#include <cotangent/nn/attention/relative.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/memory/allocator.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

#include "../../check_gradients.hpp"

using namespace cotangent;

namespace {

/// A causal attention with these positions gives the same by steps of 7 + 1 + 5 tokens as in one pass.
void check_streaming(const nn::AnyPosition& positions, int64_t heads = 2) {
  nn::MultiHeadAttention attention(8, heads, {.causal = true, .positions = positions, .dtype = float64});
  const Tensor x = randn({2, 13, 8}, float64);
  nn::StreamState state = attention.start(2);
  const Tensor y = cat({attention.step(x.narrow(1, 0, 7), state), attention.step(x.narrow(1, 7, 1), state),
                        attention.step(x.narrow(1, 8, 5), state)},
                       1);
  CHECK(close(y, attention(x)));
  CHECK_FALSE(close(y, nn::MultiHeadAttention(attention)(flip(x, 1)), 1e-3));
}

}  // namespace

TEST_CASE("sinusoidal positions turn with the distance") {
  const Tensor p = nn::sinusoidal_positions(12, 6, 0, 10'000, float64);
  CHECK(p[0].to_vector<double>() == std::vector<double>{0, 1, 0, 1, 0, 1});
  CHECK(p[3][2].item() == Approx(std::sin(3 * std::pow(10'000, -2.0 / 6))));
  CHECK(p[3][3].item() == Approx(std::cos(3 * std::pow(10'000, -2.0 / 6))));
  for (int64_t k : {1, 5})  // <p_k, p_(k+m)> depends on m only
    CHECK(sum(p[k] * p[k + 4]).item() == Approx(sum(p[0] * p[4]).item()).epsilon(1e-12));
  // p_(k+m) is p_k, turned; (sin, cos) turn the other way round than (cos, sin)
  CHECK(close(rope(p.narrow(0, 2, 3), tensor({-5.0, -5.0, -5.0}, float64)), p.narrow(0, 7, 3)));
  CHECK(close(nn::sinusoidal_positions(4, 6, 5, 10'000, float64), p.narrow(0, 5, 4)));

  nn::SinusoidalEncoding encoding(6);
  const Tensor x = randn({2, 4, 6}, float64);
  CHECK(close(encoding(x, 5), x + p.narrow(0, 5, 4)));
  CHECK(close(nn::SinusoidalEncoding(6, {.multiply = true})(x), x * p.narrow(0, 0, 4)));
  CHECK(encoding.settings() == "6");
  CHECK_THROWS_WITH(encoding(ones({4, 5})), Catch::Contains("it must be (.., T, 6)"));
  CHECK_THROWS_AS(nn::SinusoidalEncoding(0), ValueError);
}

TEST_CASE("learned positions end with their table") {
  nn::LearnedEncoding encoding(5, 4, {.dtype = float64});
  const Tensor x = randn({2, 3, 4}, float64);
  CHECK(close(encoding(x, 2), x + encoding.weight.narrow(0, 2, 3)));
  CHECK(encoding.state_dict().contains("weight"));
  CHECK(encoding.settings() == "5, 4");
  CHECK_THROWS_WITH(encoding(x, 3), Catch::Contains("position 5 is beyond a table of 5"));
  CHECK_THROWS_AS(encoding(x, -1), ValueError);
  CHECK_THROWS_AS(encoding(ones({3, 5})), ShapeError);
  CHECK_THROWS_AS(nn::LearnedEncoding(0, 4), ValueError);
  CHECK_THROWS_WITH(nn::LearnedEncoding(4, 4, {.hierarchy = 0.5}), Catch::Contains("coincide"));
  check_gradients([&] { return nn::LearnedEncoding(encoding)(x, 1) * x; }, {x, encoding.weight});
  nn::LearnedEncoding product(5, 4, {.multiply = true, .dtype = float64});
  CHECK(close(product(x), x * product.weight.narrow(0, 0, 3)));
  check_gradients([&] { return product(x, 1); }, {x, product.weight});
}

TEST_CASE("a hierarchy stretches n learned positions to n^2") {
  nn::LearnedEncoding encoding(4, 3, {.hierarchy = 0.4, .dtype = float64});
  const Tensor all = encoding.rows(0, 16);
  CHECK(close(all.narrow(0, 0, 4), encoding.weight));
  const auto v = all.to_vector<double>();
  std::set<std::vector<double>> distinct;
  for (auto i = v.begin(); i != v.end(); i += 3) distinct.insert({i, i + 3});
  CHECK(distinct.size() == 16);
  const Tensor p = encoding.weight.detach(), u = (p - 0.4 * p[0]) / 0.6;
  CHECK(close(all[9], 0.4 * u[2] + 0.6 * u[1]));
  CHECK_THROWS_AS(encoding.rows(10, 7), ValueError);
  check_gradients([&] { return encoding.rows(3, 6); }, {encoding.weight});
}

TEST_CASE("rotary scores depend on the distance only") {
  for (const RopeOptions& o : {RopeOptions{}, RopeOptions{.layout = RopeLayout::half_split}, RopeOptions{.width = 4}}) {
    const Tensor q = randn({1, 6}, float64), k = randn({1, 6}, float64);
    auto score = [&](int64_t m, int64_t n) { return sum(rope(q, m, o) * rope(k, n, o)).item(); };
    CHECK(score(3, 1) == Approx(score(10, 8)).epsilon(1e-12));
    CHECK(score(1'000'003, 1'000'001) == Approx(score(3, 1)).epsilon(1e-9));  // angles are computed in float64
    CHECK(score(3, 1) != Approx(score(1, 3)).epsilon(1e-6));
    CHECK(close(sum(square(rope(q, 7, o))), sum(square(q))));
    CHECK(equal(rope(q, 0, o), q));
    CHECK(close(rope(rope(q, 2, o), 5, o), rope(q, 7, o)));
  }
  const Tensor x = randn({5, 6}, float64);
  CHECK(equal(rope(x, 3, {.width = 4}).narrow(1, 4, 2), x.narrow(1, 4, 2)));  // the rest stays
}

TEST_CASE("the layouts of rotary positions differ by a permutation") {
  const Tensor x = randn({5, 6}, float64);
  const Tensor halves = tensor({0, 2, 4, 1, 3, 5});
  CHECK(close(rope(index_select(x, 1, halves), 2, {.layout = RopeLayout::half_split}),
              index_select(rope(x, 2), 1, halves)));
}

TEST_CASE("rotary positions go with linear attention") {
  manual_seed(1);
  const Tensor q = randn({1, 2, 9, 4}, float64), k = randn({1, 2, 9, 4}, float64), v = randn({1, 2, 9, 3}, float64);
  const Tensor fq = feature_map(q, FeatureMap::elu), fk = feature_map(k, FeatureMap::elu);
  auto run = [&](LinearForm form) {
    return linear_attention(fq, fk, v,
                            {.causal = true, .form = form, .chunk = 4, .rotated_q = rope(fq), .rotated_k = rope(fk)});
  };
  CHECK(close(run(LinearForm::parallel), run(LinearForm::recurrent)));
  CHECK(close(run(LinearForm::parallel), run(LinearForm::chunked)));
}

TEST_CASE("ALiBi's slopes halve, also when the heads are no power of two") {
  CHECK(close(nn::alibi_slopes(8, float64),
              tensor({1 / 2., 1 / 4., 1 / 8., 1 / 16., 1 / 32., 1 / 64., 1 / 128., 1 / 256.}, float64)));
  const auto twelve = nn::alibi_slopes(12, float64).to_vector<double>();
  CHECK(twelve[7] == 1 / 256.);
  for (int i = 0; i < 4; ++i) CHECK(twelve[size_t(8 + i)] == Approx(std::exp2(-0.5 - i)));
  CHECK(twelve[8] == Approx(0.7071).margin(5e-5));
  CHECK(twelve[11] == Approx(0.0884).margin(5e-5));
  CHECK_THROWS_AS(nn::alibi_slopes(0), ValueError);

  // m j and -m (i - j) differ by a constant of the row, which the softmax does not see
  const Tensor scores = randn({2, 4, 4}, float64);
  const Tensor seen = nn::causal_mask(4, 4), m = nn::alibi_slopes(2, float64).view({2, 1, 1});
  auto rows = [&](const Tensor& bias) { return softmax(where(seen, scores + bias, -1e300), -1); };
  const Tensor bias = nn::Alibi().bias(nn::distances(4, 4, 0), 2, float64);
  CHECK(close(rows(toeplitz(bias, 4, 4)), rows(m * to(arange(4), float64))));
  CHECK(nn::Alibi().parameters().empty());
}

TEST_CASE("T5 buckets the distances") {
  const Tensor near = arange(0, 40);
  const auto both = nn::t5_buckets(near).to_vector<int64_t>();
  const auto after = nn::t5_buckets(-near).to_vector<int64_t>();
  for (size_t n = 0; n < 40; ++n) {
    const int64_t expected = n < 8 ? int64_t(n) : n < 12 ? 8 : n < 16 ? 9 : n < 23 ? 10 : n < 32 ? 11 : 12;
    CHECK(both[n] == expected);
    CHECK(after[n] == (n == 0 ? 0 : expected + 16));
  }
  const nn::T5Options causal{.bidirectional = false};
  const auto before = nn::t5_buckets(near, causal).to_vector<int64_t>();
  for (size_t n = 0; n < 21; ++n) CHECK(before[n] == (n < 16 ? int64_t(n) : n < 19 ? 16 : 17));
  CHECK(nn::t5_buckets(tensor({-3, 127, 128, 100'000}), causal).to_vector<int64_t>() ==
        std::vector<int64_t>{0, 31, 31, 31});
  CHECK(nn::t5_buckets(tensor({127, 128, -128})).to_vector<int64_t>() == std::vector<int64_t>{15, 15, 31});
  CHECK_THROWS_WITH(nn::T5Bias(2, {.buckets = 30}), Catch::Contains("a multiple of 4"));
  CHECK_THROWS_AS(nn::T5Bias(2, {.max_distance = 8}), ValueError);
  CHECK_THROWS_AS(nn::T5Bias(0), ValueError);
}

TEST_CASE("T5's bias is Toeplitz, and its gradient sums over buckets") {
  nn::T5Bias bias(2, {.dtype = float64});
  const Tensor distance = unsqueeze(arange(20), 1) - arange(20);
  const Tensor b = bias.bias(distance, 2, float64);
  CHECK(b.shape() == Shape{2, 20, 20});
  CHECK(equal(b.narrow(1, 0, 19).narrow(2, 0, 19), b.narrow(1, 1, 19).narrow(2, 1, 19)));
  CHECK(equal(nn::distances(2, 3, 4), arange(2, 6)));
  CHECK(nn::distances(0, 0, 0).numel() == 0);
  CHECK(equal(toeplitz(bias.bias(nn::distances(20, 20, 0), 2, float64), 20, 20), b));
  const Tensor dy = randn({2, 20, 20}, float64);
  b.backward(dy);
  const Tensor buckets = nn::t5_buckets(distance);
  for (int64_t bucket : {0, 8, 17, 26})
    CHECK(close(bias.weight.grad()[bucket], sum(where(buckets == bucket, dy, 0), {1, 2})));
  CHECK(bias.state_dict().contains("weight"));
  CHECK(bias.settings() == "2, buckets = 32");
  CHECK_THROWS_WITH(bias.bias(distance, 3, float64), Catch::Contains("a table for 2 heads in an attention of 3"));
}

TEST_CASE("every encoding of an attention streams") {
  check_streaming(nn::Rotary());
  check_streaming(nn::Rotary({.layout = RopeLayout::half_split, .width = 2}));
  check_streaming(nn::Alibi());
  check_streaming(nn::Alibi(), 1);
  nn::T5Bias bias(2, {.bidirectional = false, .std = 1, .dtype = float64});
  check_streaming(bias);
}

TEST_CASE("layers that are made with one T5 table share it") {
  const nn::MultiHeadAttentionOptions options{.positions = nn::T5Bias(2)};
  nn::MultiHeadAttention a(4, 2, options), b(4, 2, options);
  CHECK(a.state_dict().contains("positions.weight"));
  CHECK(a.state_dict()["positions.weight"].shares_storage(b.state_dict()["positions.weight"]));
  CHECK_FALSE(a.clone().state_dict()["positions.weight"].shares_storage(b.state_dict()["positions.weight"]));
}

TEST_CASE("positions leave attention in memory linear in the length") {
  const auto extra = [](auto layer, int64_t length) {
    const Tensor x = randn({1, length, 8});
    const int64_t before = memory_stats().current_bytes;
    reset_peak_memory();
    sum(layer(x)).backward();
    return static_cast<double>(memory_stats().peak_bytes - before);
  };
  const auto check = [&](const auto& layer) { CHECK(extra(layer, 2048) < 4.5 * extra(layer, 512)); };
  for (const nn::AnyPosition& positions :
       {nn::AnyPosition(nn::Rotary()), nn::AnyPosition(nn::Alibi()), nn::AnyPosition(nn::T5Bias(2)),
        nn::AnyPosition(nn::Shaw(4)), nn::AnyPosition(nn::TransformerXL(8, 2)),
        nn::AnyPosition(nn::Disentangled(8, 2))})
    check(nn::MultiHeadAttention(8, 2, {.causal = true, .positions = positions}));
  check(nn::GatedAttentionUnit(
      8, {.key_width = 8, .weights = nn::GatedWeights::softmax, .causal = true, .positions = nn::Rotary()}));
}
