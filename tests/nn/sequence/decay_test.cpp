// Layers whose state decays: Retention, GatedLinearAttention, Mamba, Mamba2, RWKV-4 and MLSTM.
#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/linear_attention.hpp>
#include <cotangent/autograd/ops/selective_scan.hpp>
#include <cotangent/nn/sequence/mamba.hpp>
#include <cotangent/nn/sequence/mlstm.hpp>
#include <cotangent/nn/sequence/retention.hpp>
#include <cotangent/nn/sequence/rwkv.hpp>
#include <cotangent/tensor/range.hpp>

#include "../attention/checks.hpp"
#include "../check_layer.hpp"
#include "../reference_layer.hpp"

using namespace cotangent;

namespace {

const nn::MambaOptions kMamba{.states = 3, .step_rank = 2};
const nn::Mamba2Options kMamba2{.states = 3, .head_width = 4};

}  // namespace

TEST_CASE("layers with decays: forms, streams, padding and causality") {
  check_causal_layer(nn::Retention(8, 2));
  check_causal_layer(nn::GatedLinearAttention(8, 2, {.gate_rank = 3}));
  check_causal_layer(nn::Mamba(6, kMamba));
  check_causal_layer(nn::Mamba2(6, kMamba2));
  check_causal_layer(nn::Mamba2(4, {.states = 2, .head_width = 2, .groups = 2, .filter = 1}));
  check_causal_layer(nn::RwkvTimeMix(6));
  check_causal_layer(nn::RwkvChannelMix(6));
  check_causal_layer(nn::MLSTM(8, 2));
}

TEST_CASE("layers with decays: gradients") {
  // norms of narrow heads magnify roundings
  check_layer(nn::Retention(4, 1, {.value_width = 4}), {1, 3, 4}, 64);
  check_layer(nn::GatedLinearAttention(4, 1, {.gate_rank = 2}), {1, 3, 4}, 64);
  check_layer(nn::Mamba(2, {.states = 2, .filter = 2}), {1, 3, 2});
  check_layer(nn::Mamba2(2, {.states = 2, .head_width = 2, .filter = 2}), {1, 3, 2}, 64);
  check_layer(nn::RwkvTimeMix(3), {1, 3, 3});
  check_layer(nn::RwkvChannelMix(2, {.hidden = 3}), {1, 3, 2});
  check_layer(nn::MLSTM(4, 1), {1, 3, 4}, 64);
}

TEST_CASE("layers with decays equal the recurrences of their papers in PyTorch, gradients included") {
  const Json data("decay.json");
  CHECK(data.size() == 7);
  for (size_t i = 0; i < data.size(); ++i) {
    const Case test(data[i]);
    const auto name = test.get<std::string>("name", "");
    INFO(name);
    const auto run = [&](const auto& layer) { compare(test, layer, [&](auto& m) { return m(test.inputs.get("x")); }); };
    if (name == "Retention") run(nn::Retention(4, 2));
    if (name == "GatedLinearAttention") run(nn::GatedLinearAttention(4, 2, {.key_width = 4, .gate_rank = 3}));
    if (name == "Mamba") run(nn::Mamba(4, kMamba));
    if (name == "Mamba2") run(nn::Mamba2(4, kMamba2));
    if (name == "RwkvTimeMix") run(nn::RwkvTimeMix(4));
    if (name == "RwkvChannelMix") run(nn::RwkvChannelMix(4, {.hidden = 6}));
    if (name == "MLSTM") run(nn::MLSTM(4, 2));
  }
}

TEST_CASE("layers with decays start as their papers say") {
  const nn::Retention retention(64, 4);
  CHECK(close(exp(retention.log_decay(float64)).flatten(), tensor({31 / 32., 63 / 64., 127 / 128., 255 / 256.})));
  CHECK(retention.v_proj.weight.shape() == Shape{128, 64});
  const nn::Mamba mamba(64, {.layers = 4});
  CHECK(mamba.dt_proj.weight.shape() == Shape{128, 4});
  CHECK(allclose(exp(select(mamba.A_log, 0, 7)), arange(1, 17, 1, float32), 1e-6));
  const Tensor steps = softplus(mamba.dt_proj.bias.to(float64));
  CHECK(min(steps).item() > 0.00099);
  CHECK(max(steps).item() < 0.101);
  CHECK(max(abs(mamba.out_proj.weight)).item() < 0.5 / std::sqrt(128.));
  const nn::Mamba2 second(64);
  CHECK(second.heads == 2);
  CHECK(second.in_proj.weight.shape() == Shape{256 + 256 + 2, 64});
  const nn::RwkvTimeMix rwkv(5, {.layer = 1, .layers = 3, .dtype = float64});
  const double decay[] = {-5, -5 + 8 * std::pow(0.25, 1.35), -5 + 8 * std::pow(0.5, 1.35),
                          -5 + 8 * std::pow(0.75, 1.35), 3};
  for (int64_t c = 0; c < 5; ++c) CHECK(rwkv.time_decay[c].item() == Approx(decay[c]));
  CHECK(close(rwkv.time_first, std::log(0.3) + tensor({0, 0.5, -0.5, 0, 0.5}, float64)));
  CHECK(close(rwkv.time_mix_k, pow(arange(0, 5, 1, float64) / 5, 2 / 3.)));
  CHECK(all(rwkv.output.weight == 0).item<bool>());
  const nn::MLSTM mlstm(8, 4);
  CHECK(allclose(mlstm.f_gate.bias, tensor({3, 4, 5, 6}, float32)));
}

TEST_CASE("layers with decays refuse what they have no way to do") {
  CHECK_THROWS_WITH(nn::Retention(8, 3), Catch::Contains("[Retention] 3 heads for a width of 8"));
  CHECK_THROWS_WITH(nn::Retention(6, 2), Catch::Contains("a head width of 3"));
  CHECK_THROWS_WITH(nn::GatedLinearAttention(8, 2, {.temperature = 0}), Catch::Contains("a temperature of 0"));
  CHECK_THROWS_WITH(nn::Mamba(8, {.states = 0}), Catch::Contains("[Mamba] a size of 0"));
  CHECK_THROWS_WITH(nn::Mamba(8, {.step_min = 0}),
                    "[Mamba] steps from 0 to 0.1; they must be above 0, and the first not the larger");
  CHECK_THROWS_WITH(nn::Mamba2(64, {.step_max = std::nan("")}), Catch::Contains("[Mamba2] steps from 0.001 to nan"));
  CHECK_THROWS_WITH(nn::Mamba2(8), Catch::Contains("heads of 64 channels for an inner width of 16"));
  CHECK_THROWS_WITH(nn::RwkvTimeMix(8, {.layer = 1}), Catch::Contains("layer 1 of 1"));
  CHECK_THROWS_WITH(nn::MLSTM(8, 3), Catch::Contains("[MLSTM] 3 heads"));
  CHECK_THROWS_WITH(nn::CausalConv(3, 0), Catch::Contains("a filter of 0"));
  const Tensor x = randn({1, 3, 8});
  CHECK_THROWS_WITH(nn::Retention(8, 2)(x, {.mask = ones({3, 3}, boolean)}), Catch::Contains("takes no mask"));
  CHECK_THROWS_WITH(nn::MLSTM(8, 2)(x, {.memory = x}), Catch::Contains("is causal"));
  CHECK(nn::Mamba(8).settings() == "8");
}

TEST_CASE("retention's norm makes a positive factor of a row's scores irrelevant") {
  nn::Retention layer = prepared(nn::Retention(8, 2, {.eps = 0, .dtype = float64}));
  const Tensor x = sequence(9, 8), y = layer(x);
  {
    NoGrad guard;
    layer.q_proj.weight.mul_(7);
  }
  CHECK(largest_difference(layer(x), y) < 1e-12);
}

TEST_CASE("wkv: any shift of k changes nothing, and the mean stays among the values") {
  Generator g(5);
  const Tensor k = randn({2, 40, 3}, float64, g), v = randn({2, 40, 3}, float64, g), w = -exp(randn({3}, float64, g)),
               u = randn({3}, float64, g);
  const Tensor y = wkv(k, v, w, u).output;
  for (double shift : {-300.0, 300.0}) CHECK(largest_difference(wkv(k + shift, v, w, u).output, y) < 1e-11);
  CHECK(all(isfinite(wkv(k.to(float32) * 300, v.to(float32), w.to(float32), u.to(float32)).output)).item<bool>());
  for (int64_t t = 0; t < 40; ++t) {
    const Tensor seen = narrow(v, 1, 0, t + 1), now = select(y, 1, t);
    CHECK(all(now <= max(seen, 1).values + 1e-12).item<bool>());
    CHECK(all(now >= min(seen, 1).values - 1e-12).item<bool>());
  }
  // a fast decay leaves the last two
  const Tensor two = wkv(k, v, full({3}, -1e4, float64), u).output;
  for (int64_t t = 1; t < 40; ++t) {
    const Tensor share = sigmoid(u + select(k, 1, t) - select(k, 1, t - 1));
    CHECK(close(select(two, 1, t), share * select(v, 1, t) + (1 - share) * select(v, 1, t - 1)));
  }
}

TEST_CASE("a selective scan: small steps keep the state, large ones forget it, constant ones are a convolution") {
  Generator g(6);
  const Tensor x = randn({2, 70, 40}, float64, g), a = -exp(randn({40, 3}, float64, g)),
               b = randn({2, 70, 3}, float64, g), c = randn({2, 70, 3}, float64, g), h = randn({2, 40, 3}, float64, g);
  CHECK(equal(selective_scan(x, zeros_like(x), a, b, c, {}, h).state, h));
  const Tensor forgetful = full(x.shape(), 1e6, float64);
  const Tensor last = unsqueeze(select(x, 1, 69) * 1e6, 2) * unsqueeze(select(b, 1, 69), 1);
  CHECK(allclose(selective_scan(x, forgetful, a, b, c, {}, h).state, last, 1e-14));
  // constant step, b and c: y_t = sum over s of K_{t-s} x_s, K_i = sum_n c_n b_n dt exp(i dt a_n)
  const Tensor b1 = expand(narrow(b, 1, 0, 1), b.shape()), c1 = expand(narrow(c, 1, 0, 1), c.shape());
  const Tensor y = selective_scan(x, full(x.shape(), 0.1, float64), a, b1, c1).output;
  Tensor expected = zeros_like(y);
  for (int64_t i = 0; i < 70; ++i) {
    const Tensor weight = sum(unsqueeze(narrow(b, 1, 0, 1) * narrow(c, 1, 0, 1), 2) * 0.1 * exp(a * (0.1 * i)), 3);
    expected.narrow(1, i, 70 - i).add_(weight * narrow(x, 1, 0, 70 - i));
  }
  CHECK(largest_difference(y, expected) < 1e-12);
}

TEST_CASE("mlstm: extreme gates stay finite, and open ones without a normaliser are linear attention") {
  Generator g(7);
  const Tensor q = randn({1, 2, 20, 3}, float64, g), k = randn({1, 2, 20, 3}, float64, g),
               v = randn({1, 2, 20, 4}, float64, g);
  const Tensor none = zeros({1, 2, 20}, float64);
  for (double gate : {-800.0, 800.0}) {
    Tensor i = full({1, 2, 20}, gate, float64).requires_grad_(), f = full({1, 2, 20}, -50.0, float64).requires_grad_();
    const Tensor y = mlstm(q, k, v, i, f).output;
    CHECK(all(isfinite(y)).item<bool>());
    sum(y * y).backward();
    CHECK(all(isfinite(i.grad())).item<bool>());
    CHECK(all(isfinite(f.grad())).item<bool>());
  }
  // tiny keys keep |n q| below 1
  CHECK(largest_difference(mlstm(q, k * 1e-3, v, none, none).output * 1e3, causal_product(q, k, v)) < 1e-11);
}
