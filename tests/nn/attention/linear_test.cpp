#include <cotangent/nn/attention/linear.hpp>

#include <cmath>

#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/softmax.hpp>

#include "checks.hpp"

using namespace cotangent;
using nn::SequenceForm;

TEST_CASE("LinearAttention: forms, streams and causality, with every kind of features") {
  for (FeatureMap map :
       {FeatureMap::elu_plus_one, FeatureMap::exp, FeatureMap::relu, FeatureMap::squared_relu, FeatureMap::direction})
    check_causal_layer(nn::LinearAttention(8, 2, {.features = map, .causal = true}));
  check_causal_layer(nn::LinearAttention(8, 2, {.cosine_length = 13, .causal = true}));
  check_causal_layer(nn::LinearAttention(8, 2, {.causal = true, .positions = nn::Rotary()}));
  check_causal_layer(nn::LinearAttention(8, 2, {.features = FeatureMap::exp, .causal = true, .bias = false}));
}

TEST_CASE("EfficientAttention, Performer and NormAttention: forms, streams and causality") {
  check_causal_layer(nn::EfficientAttention(8, 2, {.causal = true}));
  check_causal_layer(nn::EfficientAttention(8, 2, {.causal = true, .positions = nn::Rotary()}));
  for (FavorKernel kernel : {FavorKernel::positive, FavorKernel::hyperbolic, FavorKernel::relu})
    check_causal_layer(
        nn::Performer(8, 2, {.kernel = kernel, .features = 6, .causal = true, .positions = nn::Rotary()}));
  check_causal_layer(nn::NormAttention(8, 2, {.causal = true, .positions = nn::Rotary()}));
  check_causal_layer(nn::NormAttention(8, 2, {.features = FeatureMap::elu, .causal = true}));
}

TEST_CASE("LinearAttention is the formula over the projections of multi-head attention") {
  nn::LinearAttention layer = prepared(nn::LinearAttention(6, 2, {.dtype = float64}));
  const Tensor x = sequence(5, 6), memory = sequence(7, 6, 13);
  const auto heads = [&](const Tensor& from, int64_t part) {
    const Tensor y =
        linear(from, layer.in_proj_weight.narrow(0, 6 * part, 6), layer.in_proj_bias.narrow(0, 6 * part, 6));
    return transpose(unflatten(y, 2, {2, 3}), 1, 2);
  };
  const auto phi = [](const Tensor& t) { return feature_map(t, FeatureMap::elu_plus_one); };
  const Tensor w = matmul(phi(heads(x, 0)), transpose(phi(heads(memory, 1)), 2, 3));
  const Tensor y = matmul(w / (sum(w, -1, true) + 1e-6), heads(memory, 2));
  CHECK(largest_difference(layer(x, {.memory = memory}), layer.out_proj(flatten(transpose(y, 1, 2), 2))) < 1e-12);
}

TEST_CASE("linear attention layers refuse what they have no way to do") {
  const Tensor x = randn({1, 4, 8});
  nn::LinearAttention whole(8, 2);
  CHECK_THROWS_WITH(whole(x, {.form = SequenceForm::recurrent}), Catch::Contains("no recurrent form"));
  CHECK_THROWS_WITH(whole(x, {.form = SequenceForm::chunked}), Catch::Contains("no chunked form"));
  CHECK_THROWS_WITH(whole.start(1), Catch::Contains("step by step"));
  CHECK_THROWS_WITH(whole(x, {.mask = ones({4, 4}, boolean)}), Catch::Contains("takes no mask"));
  nn::LinearAttention causal(8, 2, {.causal = true});
  CHECK_THROWS_WITH(causal(x, {.memory = x}), Catch::Contains("is causal"));
  CHECK_THROWS_WITH(causal(x, {.form = SequenceForm::chunked, .chunk = 0}), Catch::Contains("chunks of 0"));
  CHECK_THROWS_WITH(nn::LinearAttention(8, 3), Catch::Contains("[LinearAttention] 3 heads for a width of 8"));
  CHECK_THROWS_AS(nn::LinearAttention(0, 1), ValueError);
  CHECK_THROWS_WITH(nn::LinearAttention(8, 2, {.cosine_length = -1}), Catch::Contains("cosine_length of -1"));
  CHECK_THROWS_WITH(nn::LinearAttention(8, 2, {.cosine_length = 3})(x), Catch::Contains("exceed the length 3"));
  CHECK_THROWS_WITH(nn::LinearAttention(8, 2, {.positions = nn::Alibi()}), Catch::Contains("add to scores"));
  CHECK_THROWS_WITH(nn::Performer(8, 2, {.features = -1}), Catch::Contains("-1 features"));
  CHECK(causal.settings() == "8, 2, causal = true");
}

TEST_CASE("Performer comes close to multi-head attention with the same projections") {
  manual_seed(1);
  for (bool causal : {false, true}) {
    nn::Performer layer(8, 2, {.features = 4096, .causal = causal, .dtype = float64});
    const Tensor x = sequence(12, 8) * 0.5;
    CHECK(largest_difference(layer(x), same_projections(layer, causal)(x)) < 0.02);
  }
}

TEST_CASE("Performer draws its projection anew after so many calls in training, and saves it") {
  nn::Performer layer(8, 2, {.redraw_every = 3});
  CHECK(layer.projection.shape() == Shape{6, 4});  // 4 ln 4 = 5.5
  const Tensor x = randn({1, 5, 8}), first = layer.projection;
  for (int i = 0; i < 3; ++i) layer(x);
  CHECK(equal(layer.projection, first));
  const Tensor y = layer(x);
  CHECK_FALSE(equal(layer.projection, first));
  const Tensor second = layer.projection;
  layer.eval();
  for (int i = 0; i < 9; ++i) layer(x);
  CHECK(equal(layer.projection, second));
  sum(y).backward();  // what it was computed with is still there
  bool saved = false;
  for (const auto& entry : layer.state_dict()) saved |= entry.name == "projection";
  CHECK(saved);
  layer.redraw();
  CHECK_FALSE(equal(layer.projection, second));
}

TEST_CASE("Performer goes on from its state as if it had not stopped") {
  const Tensor x = randn({1, 5, 8});
  nn::Performer layer(8, 2, {.redraw_every = 3});
  for (int i = 0; i < 5; ++i) layer(x);
  const nn::StateDict saved = layer.state_dict().clone();
  const auto drawn = [&x](nn::Performer& of) {  // the projections of the next calls
    manual_seed(7);
    Tensors result;
    for (int i = 0; i < 5; ++i) of(x), result.push_back(of.projection.clone());
    return stack(result);
  };
  const Tensor expected = drawn(layer);
  CHECK(equal(expected[0], saved["projection"]));  // the second call of three: one is left, then comes a new one
  CHECK_FALSE(equal(expected[1], saved["projection"]));
  nn::Performer other(8, 2, {.redraw_every = 3});
  other.load_state_dict(saved);
  CHECK(equal(drawn(other), expected));
}

TEST_CASE("NormAttention ignores a positive factor of the values, and its output has unit mean square") {
  nn::NormAttention layer = prepared(nn::NormAttention(8, 2, {.causal = true, .dtype = float64}));
  const Tensor x = sequence(9, 8), y = layer(x);
  {
    NoGrad guard;
    layer.in_proj_weight.narrow(0, 16, 8).mul_(3);
    layer.in_proj_bias.narrow(0, 16, 8).mul_(3);
  }
  CHECK(largest_difference(layer(x), y) < 1e-12);
  const Tensor u = nn::unit_rms(x);
  CHECK(largest_difference(mean(square(u), -1), ones({2, 9}, float64)) < 1e-12);
  Tensor zero = zeros({1, 4}, float64).requires_grad_();
  const Tensor none = nn::unit_rms(zero);
  CHECK(max(abs(none)).item() == 0);
  CHECK(isfinite(grad({sum(none)}, {zero})[0]).to_vector<bool>() == std::vector<bool>(4, true));
}

TEST_CASE("weights that are divided by their sum have unbounded gradients where softmax has not") {
  // p_j = s_j / sum(s) at s = (e, e, e): largest |dp/ds| is 2 / (9 e); it grows without bound as s falls
  const auto largest = [](const Tensor& s, auto f) {
    double most = 0;
    for (int64_t i = 0; i < s.size(0); ++i) {
      Tensor x = s.clone().requires_grad_();
      most = std::max(most, max(abs(grad({f(x)[i]}, {x})[0])).item());
    }
    return most;
  };
  const auto divided = [](const Tensor& s) { return s / sum(s); };
  const auto soft = [](const Tensor& s) { return softmax(s, 0); };
  const Tensor s = full({3}, std::exp(1.0), float64);
  CHECK(largest(s, divided) == Approx(2 / (9 * std::exp(1.0))));
  CHECK(largest(s * 1e-4, divided) == Approx(2e4 / (9 * std::exp(1.0))));
  CHECK(largest(zeros({2}, float64), soft) == Approx(0.25));
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Generator g(seed);
    const Tensor scores = randn({5}, float64, g) * 3;
    CHECK(largest(scores, soft) <= 0.25);
  }
}
