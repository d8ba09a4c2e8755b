// Layers at the edges: no examples and one, NaN and infinity, the largest and the smallest numbers, any layout in
// memory.
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/attention/multihead.hpp>
#include <cotangent/nn/attention/transformer.hpp>
#include <cotangent/nn/mixture.hpp>
#include <cotangent/nn/parametrization.hpp>
#include <cotangent/nn/peft/adalora.hpp>
#include <cotangent/nn/peft/adapter.hpp>
#include <cotangent/nn/peft/ia3.hpp>
#include <cotangent/nn/peft/lora.hpp>
#include <cotangent/nn/peft/prefix.hpp>

#include "check_layer.hpp"

using namespace cotangent;

namespace {

/// The output of a mixture alone.
struct Experts : nn::Module {
  explicit Experts(const nn::MixtureOptions& options)
      : mixture(3, nn::repeat(3, [] { return nn::Sequential(nn::Linear(3, 4), nn::Tanh(), nn::Linear(4, 2)); }),
                options) {
    eval();
  }
  nn::MixtureOfExperts mixture;
  COTANGENT_MODULE(mixture)
  Tensor forward(const Tensor& x) { return mixture(x).output; }
};

}  // namespace

TEST_CASE("edges of normalizations and parametrized layers") {
  check_edges(nn::LayerNorm(4), {3, 4});
  check_edges(nn::RMSNorm(4), {3, 4});
  check_edges(nn::ScaleNorm(4), {3, 4});
  check_edges(nn::GroupNorm(2, 4), {3, 4, 2});
  check_edges(nn::InstanceNorm1d(2, {.affine = true}), {2, 2, 5});
  check_edges(nn::RMSNorm(1), {2, 1});
  check_edges(nn::ScaleNorm(1), {2, 1});
  nn::Linear by_length(3, 2), by_value(3, 4), ntk(3, 2);
  nn::weight_norm(by_length);
  nn::spectral_norm(by_value);
  nn::ntk_parametrization(ntk);
  by_value.eval();
  check_edges(by_length, {3, 3});
  check_edges(by_value, {3, 3});
  check_edges(ntk, {3, 3});
}

TEST_CASE("edges of tuned layers") {
  const std::vector<std::string> weight{"weight"};
  const nn::Linear layer(3, 2);
  check_edges(nn::tune<nn::LoRA>(layer, {.targets = weight, .r = 2}), {3, 3});
  check_edges(nn::tune<nn::LoRA>(layer, {.targets = weight, .r = 7}), {3, 3});  // above the width
  check_edges(nn::tune<nn::LoRA>(nn::Linear(1, 1), {.targets = weight, .r = 1}), {2, 1});
  check_edges(nn::tune<nn::AdaLoRA>(layer, {.targets = weight, .r = 2, .target_r = 1}), {3, 3});
  check_edges(nn::tune<nn::IA3>(layer, {.outputs = weight, .inputs = {}}), {3, 3});
  check_edges(nn::tune<nn::Adapter>(layer, {.targets = {""}, .bottleneck = 1}), {3, 3});
  check_edges(nn::tune<nn::Prefix>(nn::MultiHeadAttention(4, 2), {.targets = {""}, .length = 1, .hidden = 2}),
              {2, 3, 4});
}

TEST_CASE("edges of transformer layers under each normalization and residual layout") {
  using enum nn::Normalization;
  const auto check = [](nn::TransformerLayerOptions o) {
    o.inner = 6, o.dropout = 0;
    check_edges(nn::TransformerEncoderLayer(4, 2, o), {2, 3, 4});
    nn::TransformerEncoderLayer layer(4, 2, o);
    CHECK(layer(zeros({2, 1, 4})).shape() == Shape{2, 1, 4});
    CHECK(layer(zeros({2, 0, 4})).shape() == Shape{2, 0, 4});
    CHECK(nn::TransformerDecoderLayer(4, 2, o)(zeros({2, 0, 4}), zeros({2, 3, 4})).shape() == Shape{2, 0, 4});
  };
  for (const nn::Normalization norm : {layer, rms, scale})
    for (const bool norm_first : {false, true}) check({.norm_first = norm_first, .norm = norm});
  for (const nn::ResidualOptions& residual : {nn::deep_norm(3), nn::rezero(), nn::fixup(3)})
    check({.residual = residual});
}

TEST_CASE("edges of mixtures of experts") {
  using enum nn::Gating;
  for (const nn::Gating gating : {dense, noisy_top_k, switch_top_1, gshard_top_2})
    check_edges(Experts({.gating = gating}), {4, 3});
  check_edges(Experts({.gating = switch_top_1}), {2, 2, 3});
}

TEST_CASE("a batch whose squares are beyond the dtype is normalized to NaN, and so is its gradient") {
  nn::BatchNorm1d norm(2);
  const Tensor x = tensor({{1.0f, 1e30f}, {2.0f, -1e30f}, {4.0f, 2e30f}}).requires_grad_(), y = norm(x);
  CHECK(all(isfinite(y.select(1, 0))).item<bool>());
  CHECK(all(isnan(y.select(1, 1))).item<bool>());
  y.square().sum().backward();
  CHECK(all(isfinite(x.grad().select(1, 0))).item<bool>());
  CHECK(all(isnan(x.grad().select(1, 1))).item<bool>());
}

TEST_CASE("a layer's length or largest singular value of 0 gives NaN, and no silent number") {
  nn::Linear rows(2, 2, {.dtype = float64}), matrix = rows.clone(), tiny = rows.clone(), low(2, 2);
  rows.weight = tensor({{0.0, 0.0}, {3.0, 4.0}}, float64);
  matrix.weight = zeros({2, 2}, float64);
  nn::weight_norm(rows);
  nn::spectral_norm(matrix);
  const Tensor x = ones({1, 2}, float64), y = rows(x).detach();
  CHECK(std::isnan(y[0][0].item()));
  CHECK(y[0][1].item() == Approx(7 + rows.bias[1].item()));
  CHECK(all(isnan(matrix(x))).item<bool>());

  // lengths whose squares are beyond the dtype
  for (const Dtype dtype : {float32, float16, bfloat16})
    for (const double size : {1e-25, 1e-4, 1e4, 1e25}) {
      if (dtype == float16 && (size < 1e-5 || size > 1e5)) continue;
      nn::Linear plain(2, 2, {.dtype = dtype});
      plain.weight = (tensor({{3.0, 4.0}, {-1.0, 2.0}}, float64) * size).to(dtype);
      const Tensor before = plain.weight.detach().to(float64);
      nn::weight_norm(plain);
      INFO(name(dtype) << " " << size);
      CHECK(allclose(plain.weight.to(float64), before, 0.02, 0));
    }
}
