// DeltaNet, its gated form and RWKV-7: what all sequence layers promise, and tests/reference/delta.json, which
// make_delta.py writes.
#include <cotangent/nn/sequence/delta_net.hpp>
#include <cotangent/nn/sequence/rwkv7.hpp>
#include <cotangent/tests/values.hpp>

#include "../attention/checks.hpp"
#include "../check_layer.hpp"
#include "../reference_layer.hpp"

using namespace cotangent;

namespace {

const nn::Rwkv7Options kSmallRanks{.decay_rank = 3, .rate_rank = 3, .gate_rank = 3};

/// With parameters other than 0, so that all gradients are seen.
template <class Layer>
Layer moved(Layer layer) {
  Generator g(3);
  for (Tensor& p : layer.parameters()) normal_(p, 0.1, 0.6, g);
  return layer;
}

}  // namespace

TEST_CASE("delta layers: all forms, streaming, padding, causality, low precision") {
  check_causal_layer(nn::DeltaNet(8, 2));
  check_causal_layer(nn::DeltaNet(8, 2, {.key_width = 4, .value_width = 12, .filter = 2, .beta = 2}));
  check_causal_layer(nn::GatedDeltaNet(8, 2));
  check_causal_layer(nn::Rwkv7TimeMix(8, 2, kSmallRanks));
}

TEST_CASE("delta layers: gradients of the input and all parameters") {
  check_layer(moved(nn::DeltaNet(4, 2, {.filter = 2})), {1, 3, 4}, 32);
  check_layer(moved(nn::GatedDeltaNet(4, 2, {.key_width = 2, .filter = 2})), {1, 3, 4}, 32);
  // the gradient of k_k is what the unit length leaves of larger numbers
  check_layer(moved(nn::Rwkv7TimeMix(4, 2, kSmallRanks)), {1, 2, 4}, 128);
}

TEST_CASE("delta layers equal their formulas in PyTorch, gradients included") {
  const Json data("delta.json");
  for (size_t n = 0; n < data.size(); ++n) {
    const Case test(data[n]);
    const auto name = test.get<std::string>("name", "");
    INFO(n << ": " << name);
    const auto check = [&](auto layer) {
      compare(test, layer, [&](auto& m) { return m(test.inputs.get("x"), {.key_mask = test.masks.get("key_mask")}); });
    };
    const nn::DeltaNetOptions options{.key_width = 6, .filter = 3};
    if (name == "DeltaNet")
      check(nn::DeltaNet(4, 2, options));
    else if (name == "GatedDeltaNet")
      check(nn::GatedDeltaNet(4, 2, options));
    else
      check(nn::Rwkv7TimeMix(4, 2, kSmallRanks));
  }
}

TEST_CASE("delta layers: starting values, settings, errors") {
  manual_seed(1);
  const nn::GatedDeltaNet gated(16, 4);
  CHECK(min(gated.a_log).item() >= 0);
  CHECK(max(gated.a_log).item() <= std::log(16.0) + 1e-6);
  const Tensor dt = log1p(exp(gated.dt_bias));
  CHECK(min(dt).item() > 0.9e-3);
  CHECK(max(dt).item() < 0.11);
  CHECK(gated.settings() == "16, 4");
  CHECK(nn::DeltaNet(16, 4, {.key_width = 8, .filter = 2, .beta = 2}).settings() ==
        "16, 4, key_width = 8, filter = 2, beta = 2");

  nn::Rwkv7TimeMix mix(64, 4, {.layer = 1, .layers = 3});
  CHECK(mix.w1.shape() == Shape{64, 32});
  CHECK(mix.x_r.to_vector<double>()[0] == 1);
  CHECK(mix.w0.to_vector<double>()[0] == Approx(-6.5));
  CHECK(mix.w0.to_vector<double>()[63] == Approx(-1.5));
  CHECK(equal(mix(randn({1, 3, 64})), zeros({1, 3, 64})));  // its output starts at 0
  CHECK(mix.settings() == "64, 4");

  CHECK_THAT(error_of([] { nn::DeltaNet(6, 4); }),
             Catch::Equals("[DeltaNet] 4 heads for a width of 6; the heads must divide the width"));
  CHECK_THAT(error_of([] { nn::GatedDeltaNet(8, 2, {.beta = 3}); }), Catch::Contains("[GatedDeltaNet] a beta of 3"));
  CHECK_THAT(error_of([] { nn::Rwkv7TimeMix(8, 3); }), Catch::Contains("[Rwkv7TimeMix] 3 heads for a width of 8"));
  CHECK_THAT(error_of([] { nn::Rwkv7TimeMix(8, 2, {.layer = 1}); }), Catch::Contains("layer 1 of 1"));
  CHECK_THAT(error_of([] {
               nn::DeltaNet layer(4, 2);
               layer(randn({1, 3, 4}), {.mask = ones({3, 3}, boolean)});
             }),
             Catch::Contains("[DeltaNet] takes no mask"));
}

TEST_CASE("delta layers: a state of float32 in low precision, and extreme tokens") {
  nn::DeltaNet layer(4, 2, {.dtype = bfloat16});
  nn::StreamState state = layer.start(1);
  layer.step(randn({1, 3, 4}).to(bfloat16), state);
  CHECK(state.own.as<nn::DeltaNetState>().kv.dtype() == float32);
  for (const double size : {0.0, 1e-20, 1e10}) {  // whose third power, r (k v), float32 still holds
    INFO(size);
    const Tensor x = randn({1, 40, 4}) * size;
    CHECK(all(isfinite(nn::DeltaNet(4, 2)(x))).item<bool>());
    CHECK(all(isfinite(nn::GatedDeltaNet(4, 2)(x))).item<bool>());
    // which is then normalized: of 1e30 the square is beyond float32, and that shows
    CHECK(all(isfinite(moved(nn::Rwkv7TimeMix(4, 2))(size > 1 ? x * 1e-5 : x))).item<bool>());
    if (size > 1) CHECK(all(isnan(moved(nn::Rwkv7TimeMix(4, 2))(x))).item<bool>());
  }
}
