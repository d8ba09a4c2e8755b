#include <cotangent/nn/attention/gated.hpp>

#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/linalg.hpp>

#include "checks.hpp"

using namespace cotangent;
using nn::GatedWeights;

namespace {

nn::GatedAttentionUnit make_unit(const nn::GatedAttentionUnitOptions& options) {
  return prepared(nn::GatedAttentionUnit(6, options));
}

}  // namespace

TEST_CASE("GatedAttentionUnit: forms, streams and causality, with all weights and biases") {
  for (GatedWeights weights : {GatedWeights::squared_relu, GatedWeights::squared_relu_by_length,
                               GatedWeights::squared_relu_by_row, GatedWeights::softmax})
    for (int64_t max_length : {20, 512})
      check_causal_layer(nn::GatedAttentionUnit(
          6, {.key_width = 4, .weights = weights, .length = 16, .max_length = max_length, .causal = true}));
}

TEST_CASE("MixedChunkAttention: forms, streams and causality") {
  for (ChunkNorm norm : {ChunkNorm::chunk, ChunkNorm::preceding})
    for (int64_t size : {1, 4, 32})
      check_causal_layer(nn::MixedChunkAttention(6, {.key_width = 4, .size = size, .norm = norm, .causal = true}));
  check_causal_layer(
      nn::MixedChunkAttention(6, {.key_width = 4, .size = 4, .local = false, .relative_bias = false, .causal = true}));
  // the rotations of some dimensions, as in the paper
  check_causal_layer(
      nn::MixedChunkAttention(6, {.key_width = 6, .size = 4, .causal = true, .positions = nn::Rotary({.width = 4})}));
  check_causal_layer(nn::GatedAttentionUnit(
      6, {.key_width = 6, .length = 13, .relative_bias = false, .causal = true, .positions = nn::T5Bias(1)}));
  check_causal_layer(
      nn::GatedAttentionUnit(6, {.key_width = 6, .length = 13, .causal = true, .positions = nn::Rotary({.width = 4})}));
}

TEST_CASE("GatedAttentionUnit with weights that are the identity is a gated linear unit") {
  nn::GatedAttentionUnit unit = make_unit({.key_width = 4, .weights = GatedWeights::softmax});
  const Tensor x = sequence(7, 6);
  const Tensors parts = split(silu(unit.in_proj(x)), {12, 12, 4}, 2);
  CHECK(largest_difference(unit(x, {.mask = eye(7, 7, boolean)}), unit.out_proj(parts[0] * parts[1])) < 1e-12);
}

TEST_CASE("GatedAttentionUnit with gates of 1 is attention") {
  nn::GatedAttentionUnit unit = make_unit({.key_width = 4, .weights = GatedWeights::softmax, .relative_bias = false});
  Tensor x = sequence(7, 6);
  x.narrow(2, 0, 1).fill_(1);
  {
    NoGrad guard;
    Tensor gates = unit.in_proj.weight.narrow(0, 0, 12);
    gates.zero_();
    gates.narrow(1, 0, 1).fill_(1.2784645427610738);  // where silu is 1
  }
  const Tensors parts = split(silu(unit.in_proj(x)), {12, 12, 4}, 2);
  const auto map = [&](int64_t i) { return unsqueeze(parts[2] * unit.gamma[i] + unit.beta[i], 1); };
  const Tensor y = scaled_dot_product_attention(map(0), map(1), unsqueeze(parts[1], 1));
  CHECK(largest_difference(unit(x), unit.out_proj(squeeze(y, 1))) < 1e-10);
}

TEST_CASE("GatedAttentionUnit: the biases are (R_i a).(R_j b) and a table by distance") {
  const Tensor x = sequence(7, 6);
  for (GatedWeights weights : {GatedWeights::squared_relu, GatedWeights::softmax}) {
    nn::GatedAttentionUnit rotary = make_unit({.key_width = 4, .weights = weights});
    Tensor bias = zeros({7, 7}, float64);
    const auto turned = [](const Tensor& a, int64_t i, int64_t c) {
      const double angle = static_cast<double>(i) * std::pow(10000.0, -static_cast<double>(c) / 2);
      const double p = a[c].item(), q = a[c + 2].item();
      return std::pair(p * std::cos(angle) - q * std::sin(angle), p * std::sin(angle) + q * std::cos(angle));
    };
    for (int64_t i = 0; i < 7; ++i)
      for (int64_t j = 0; j < 7; ++j)
        for (int64_t c = 0; c < 2; ++c) {
          const auto [a0, a1] = turned(rotary.bias_a, i, c);
          const auto [b0, b1] = turned(rotary.bias_b, j, c);
          bias.data<double>()[i * 7 + j] += a0 * b0 + a1 * b1;
        }
    nn::GatedAttentionUnit plain = make_unit({.key_width = 4, .weights = weights, .relative_bias = false});
    plain.load_state_dict(rotary.state_dict(), false);
    CHECK(largest_difference(rotary(x), plain(x, {.mask = bias})) < 1e-12);
    CHECK(largest_difference(rotary(x), plain(x)) > 1e-3);

    nn::GatedAttentionUnit table = make_unit({.key_width = 4, .weights = weights, .max_length = 9});
    plain.load_state_dict(table.state_dict(), false);
    for (int64_t i = 0; i < 7; ++i)
      for (int64_t j = 0; j < 7; ++j) bias.data<double>()[i * 7 + j] = table.bias_table[i - j + 8].item();
    CHECK(largest_difference(table(x), plain(x, {.mask = bias})) < 1e-12);
  }
}

TEST_CASE("GatedAttentionUnit starts close to 0, and two of them have 12 d^2 parameters") {
  manual_seed(3);
  nn::GatedAttentionUnit unit(64);
  const Tensor x = randn({2, 32, 64});
  CHECK(mean(square(unit(x))).item() < 1e-3 * mean(square(x)).item());
  CHECK(unit.in_proj.weight.shape() == Shape{2 * 128 + 128, 64});
  nn::GatedAttentionUnit large(768, {.relative_bias = false});
  CHECK(2 * static_cast<double>(large.parameter_count()) == Approx(12 * 768.0 * 768).epsilon(0.03));
}

TEST_CASE("gated attention starts where squared rectified scores have gradients, at any width") {
  manual_seed(3);
  const auto rms = [](const Tensor& t) { return std::sqrt(mean(square(t)).item()); };
  for (int64_t width : {16, 256}) {
    nn::GatedAttentionUnit unit(width, {.key_width = width / 2});
    nn::MixedChunkAttention mixed(width, {.key_width = width / 2, .size = 8});
    const Tensor x = randn({2, 32, width});
    const Tensor z = silu(unit.in_proj(x)).narrow(2, 4 * width, width / 2);
    const Tensor q = z * unit.gamma[0] + unit.beta[0], k = z * unit.gamma[1] + unit.beta[1];
    const Tensor scores = matmul(q, transpose(k, 1, 2)) / std::sqrt(static_cast<double>(width / 2));
    CHECK(mean((scores > 0).to(float32)).item() > 0.9);
    CHECK(mean(scores).item() > 0.5);
    CHECK(mean(scores).item() < 4);
    const auto check = [&](auto& layer) {
      const Tensor y = layer(x);
      sum(y * randn(y.shape())).backward();
      // a relative change of the maps tells about as much as one of the last weights
      const double last = rms(layer.out_proj.weight.grad() * layer.out_proj.weight);
      CHECK(rms(layer.gamma.grad().narrow(0, 0, 2)) > last);
    };
    check(unit);
    check(mixed);
  }
  CHECK(sum(abs(nn::GatedAttentionUnit(8, {.weights = GatedWeights::softmax}).beta)).item() == 0);
  CHECK(sum(abs(nn::MixedChunkAttention(8).beta.narrow(0, 2, 2))).item() == 0);
}

TEST_CASE("MixedChunkAttention in one chunk without the linear part is a gated attention unit") {
  for (bool causal : {false, true}) {
    nn::MixedChunkAttention mixed = prepared(nn::MixedChunkAttention(
        6, {.key_width = 4, .size = 16, .global = false, .causal = causal, .positions = nn::AnyPosition()}));
    nn::GatedAttentionUnit unit = make_unit({.key_width = 4, .length = 16, .max_length = 16, .causal = causal});
    NoGrad guard;
    for (auto [to, from] :
         {std::pair(&unit.in_proj.weight, &mixed.in_proj.weight),
          std::pair(&unit.out_proj.weight, &mixed.out_proj.weight), std::pair(&unit.bias_table, &mixed.bias_table)})
      to->copy_(*from);
    unit.gamma.copy_(mixed.gamma.narrow(0, 0, 2));
    unit.beta.copy_(mixed.beta.narrow(0, 0, 2));
    const Tensor x = sequence(13, 6);
    CHECK(largest_difference(mixed(x), unit(x)) < 1e-12);
  }
}

TEST_CASE("MixedChunkAttention turns the first 32 dimensions of its maps, or all of fewer, unless told otherwise") {
  const Tensor x = sequence(13, 6);
  for (auto [key_width, turned] : {std::pair{48, 32}, {32, 32}, {5, 4}, {2, 2}, {1, 0}}) {
    const nn::AnyPosition first = turned ? nn::AnyPosition(nn::Rotary({.width = turned})) : nn::AnyPosition();
    nn::MixedChunkAttention mixed = prepared(nn::MixedChunkAttention(6, {.key_width = key_width, .size = 4}));
    const auto difference = [&](const nn::AnyPosition& positions) {
      nn::MixedChunkAttention other(6, {.key_width = key_width, .size = 4, .positions = positions, .dtype = float64});
      other.load_state_dict(mixed.state_dict());
      return largest_difference(mixed(x), other(x));
    };
    CHECK(difference(first) == 0);
    CHECK((difference({}) > 0) == (turned > 0));
  }
}

TEST_CASE("gated attention layers refuse what they have no way to do") {
  const Tensor x = randn({1, 4, 6});
  nn::GatedAttentionUnit causal(6, {.causal = true}), table(6, {.max_length = 3});
  CHECK_THROWS_WITH(causal.start(1), Catch::Contains("step by step"));  // n would change with every token
  CHECK_THROWS_WITH(table(x), Catch::Contains("4 positions; the table of its bias ends at max_length = 3"));
  CHECK_THROWS_WITH(nn::GatedAttentionUnit(6)(x, {.memory = x}), Catch::Contains("takes no memory"));
  CHECK_THROWS_WITH(nn::GatedAttentionUnit(6, {.key_width = 0}), Catch::Contains("a key_width of 0"));
  CHECK_THROWS_WITH(nn::GatedAttentionUnit(6, {.expanded = -1}), Catch::Contains("an expanded width of -1"));
  CHECK_THROWS_WITH(nn::GatedAttentionUnit(0), Catch::Contains("a width of 0"));
  CHECK_THROWS_WITH(nn::GatedAttentionUnit(6, {.length = -1}), Catch::Contains("a length of -1"));
  CHECK_THROWS_WITH(nn::GatedAttentionUnit(6, {.max_length = 0}), Catch::Contains("a max_length of 0"));
  CHECK_THROWS_WITH(nn::GatedAttentionUnit(6, {.key_width = 3}), Catch::Contains("must be even"));
  CHECK_THROWS_WITH(nn::MixedChunkAttention(6, {.size = 0}), Catch::Contains("a chunk size of 0"));
  CHECK_THROWS_WITH(nn::MixedChunkAttention(6)(x, {.memory = x}), Catch::Contains("takes no memory"));
  CHECK_THROWS_WITH(nn::MixedChunkAttention(6)(x, {.mask = ones({4, 4}, boolean)}), Catch::Contains("takes no mask"));
  for (const nn::AnyPosition& added : {nn::AnyPosition(nn::Alibi()), nn::AnyPosition(nn::T5Bias(1))})
    CHECK_THROWS_WITH(nn::MixedChunkAttention(6, {.positions = added}),
                      Catch::Contains("takes no positions that add to scores"));
  CHECK_THROWS_WITH(nn::MixedChunkAttention(6)(x, {.form = nn::SequenceForm::recurrent}),
                    Catch::Contains("no recurrent form"));
}
