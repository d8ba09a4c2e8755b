#include <cotangent/nn/parametrization.hpp>

#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/decomposition.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/statistics.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/conv.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/sequence/rnn.hpp>
#include <cotangent/optim/adam.hpp>
#include <cotangent/optim/sgd.hpp>

#include "check_layer.hpp"
#include "names.hpp"
#include "reference_layer.hpp"

using namespace cotangent;
namespace init = nn::init;

namespace {

struct Symmetric : nn::Parametrization {
  explicit Symmetric(const Tensor& weight) : original(weight) {}
  nn::Parameter original;
  COTANGENT_MEMBERS(original)
  Tensor value() override { return (original + original.t()) * 0.5; }
};

struct Cropped : Symmetric {
  using Symmetric::Symmetric;
  Tensor value() override { return original.narrow(0, 0, 1); }
};

/// Checks the gradients to second order in evaluation, where the vectors of the iteration stay.
template <class Layer>
void check_evaluated(Layer layer, const Shape& shape) {
  layer.to(float64);
  layer.eval();
  Tensors inputs{randn(shape, float64)};
  for (const Tensor& p : layer.parameters()) inputs.push_back(p);
  INFO(to_string(layer));
  check_gradients([&] { return layer(inputs[0]); }, inputs);
  check_checkpoint(layer, inputs[0]);
}

template <class Layer>
Layer normed(Layer layer, const nn::WeightNormOptions& options = {}) {
  nn::weight_norm(layer, options);
  return layer;
}
template <class Layer>
Layer spectral(Layer layer, const nn::SpectralNormOptions& options = {}) {
  nn::spectral_norm(layer, options);
  return layer;
}

double largest_singular_value(const Tensor& w) { return linalg::svdvals(w.detach()).max().item(); }

}  // namespace

TEST_CASE("weight_norm and spectral_norm equal PyTorch's, gradients and buffers included") {
  const Json data("parametrization.json");
  CHECK(data.size() == 11);
  for (size_t n = 0; n < data.size(); ++n) {
    const Case test(data[n]);
    const auto name = test.get<std::string>("name", "");
    INFO(n << ": " << name);
    const auto check = [&](auto layer) {
      layer.train(test.get("training", true));
      compare(test, layer, [&](auto& m) {
        Tensor y;
        if constexpr (std::is_same_v<decltype(layer), nn::LSTM>)
          y = m(test.inputs.get("x")).output;
        else
          y = m(test.inputs.get("x"));
        for (const auto& b : m.named_buffers()) CHECK(close(b.tensor, unpacked(test.data["buffers"][b.name]), 1e-12));
        CHECK(m.named_buffers().size() == test.data["buffers"].size());
        return y;
      });
    };
    if (name == "weight_norm linear") check(normed(nn::Linear(3, 2)));
    if (name == "weight_norm conv") check(normed(nn::Conv2d(2, 3, 2), {.dim = -3}));
    if (name == "weight_norm whole") check(normed(nn::Linear(3, 2, {.bias = false}), {.dim = std::nullopt}));
    if (name == "weight_norm bias") check(normed(nn::Linear(3, 2), {.name = "bias"}));
    if (name == "weight_norm rnn") check(normed(nn::LSTM(2, 3, {.batch_first = true}), {.name = "weight_hh_l0"}));
    if (name == "spectral_norm linear") check(spectral(nn::Linear(3, 4)));
    if (name == "spectral_norm thrice") check(spectral(nn::Conv2d(2, 3, 2), {.power_iterations = 3}));
    if (name == "spectral_norm transposed") check(spectral(nn::ConvTranspose2d(3, 2, 2)));
    if (name == "spectral_norm bias") check(spectral(nn::Linear(3, 2), {.name = "bias"}));
    if (name == "spectral_norm columns") check(spectral(nn::Conv2d(2, 2, {2, 3}), {.dim = 2}));
  }
}

TEST_CASE("gradients of parametrized layers, originals included") {
  check_layer(normed(nn::Linear(3, 2)), {4, 3});
  check_layer(normed(nn::Conv2d(2, 2, 2), {.dim = 1}), {1, 2, 3, 3});
  check_layer(normed(nn::Linear(3, 2), {.dim = std::nullopt}), {2, 3});
  nn::Linear ntk(3, 2);
  nn::ntk_parametrization(ntk);
  check_layer(ntk, {4, 3});
  nn::Linear symmetric(3, 3);
  nn::parametrize(symmetric, Symmetric(symmetric.weight));
  check_layer(symmetric, {2, 3});
  check_evaluated(spectral(nn::Linear(3, 4)), {2, 3});
  check_evaluated(spectral(nn::Conv2d(2, 2, 2)), {1, 2, 3, 3});
  check_evaluated(spectral(nn::ConvTranspose2d(2, 3, 2)), {1, 2, 2, 2});
  check_checkpoint(spectral(nn::Linear(3, 4)), randn({2, 3}));  // computed again, but the iteration goes on once
}

// In training the vectors of the iteration are constants too, if those that the call has moved.
TEST_CASE("derivatives of spectral_norm in training are those of evaluation with the same vectors, to second order") {
  manual_seed(4);
  nn::Linear layer = spectral(nn::Linear(3, 4, {.dtype = float64}));
  const Tensor x = randn({2, 3}, float64).requires_grad_(), dy = randn({2, 4}, float64);
  const Tensor w = layer.parameters()[0], ddw = randn({4, 3}, float64);
  const auto derivatives = [&] {
    const Tensor y = layer(x);
    const Tensor dw = grad({y}, {w}, {.gradients = {dy}, .create_graph = true})[0];
    const Tensors second = grad({sum(dw * ddw)}, {w, x});
    return Tensors{y.detach(), dw.detach(), second[0], second[1]};
  };
  const Tensor before = layer.named_buffers()[0].tensor.clone();
  const Tensors training = derivatives();
  CHECK_FALSE(equal(layer.named_buffers()[0].tensor, before));
  layer.eval();
  const Tensors evaluation = derivatives();  // which check_evaluated compares with differences
  for (size_t i = 0; i < 4; ++i) {
    CHECK(equal(training[i], evaluation[i]));
    CHECK(training[i].abs().max().item() > 0);
  }
}

TEST_CASE("a parametrized layer has its originals in place of the parameter") {
  nn::Linear layer(3, 2, {.dtype = float64});
  const Tensor x = randn({4, 3}, float64), y = layer(x).detach(), before = layer.weight.detach().clone();
  nn::weight_norm(layer);
  CHECK(keys(layer) == Names{"parametrizations.weight.original0", "parametrizations.weight.original1", "bias"});
  CHECK(layer.parameters().size() == 3);
  CHECK(layer.parameters()[0].shape() == Shape{2, 1});
  CHECK(close(layer(x), y));  // starts as it was
  CHECK_THAT(to_string(layer),
             Catch::Contains("parametrizations.weight: WeightNorm") && Catch::Contains("Linear(3, 2)"));

  // inside other modules
  nn::Sequential net(layer, nn::Linear(2, 2));
  CHECK(keys(net)[0] == "0.parametrizations.weight.original0");
  net.to(float64);

  // a clone shares nothing, a copy everything
  nn::Linear clone = layer.clone(), copy = layer;
  layer.parameters()[0].detach().mul_(2.0);
  CHECK(close(layer(x) - layer.bias, 2.0 * (y - layer.bias)));
  CHECK(close(clone(x), y));
  CHECK(equal(copy(x), layer(x)));
  clone.load_state_dict(layer.state_dict());
  CHECK(equal(clone(x), layer(x)));

  // trained, frozen, and forgotten
  layer(x).sum().backward();
  CHECK(layer.parameters()[0].grad().defined());
  layer.zero_grad();
  CHECK_FALSE(layer.parameters()[0].grad().defined());
  layer.requires_grad_(false);
  CHECK_FALSE(layer(x).requires_grad());
  layer.requires_grad_(true);

  nn::remove_parametrization(layer);
  CHECK(keys(layer) == Names{"weight", "bias"});
  CHECK(layer.weight.is_leaf());
  CHECK(layer.weight.requires_grad());
  CHECK(close(layer.weight, 2.0 * before));
  CHECK(equal(copy(x), layer(x)));

  nn::Linear frozen(3, 2);
  frozen.requires_grad_(false);
  nn::weight_norm(frozen);
  CHECK_FALSE(frozen(ones({1, 3})).requires_grad());
  nn::remove_parametrization(frozen);
  CHECK_FALSE(frozen.weight.requires_grad());
}

TEST_CASE("a weight's length does not change its direction, and the gradient of v is orthogonal to it") {
  nn::Linear layer(5, 3, {.dtype = float64});
  nn::weight_norm(layer);
  const Tensor g = layer.parameters()[0], v = layer.parameters()[1];
  layer(randn({4, 5}, float64)).square().sum().backward();
  CHECK(close(sum(v * v.grad(), 1), zeros({3}, float64)));
  CHECK(close(norm(layer.weight, 2, 1, true), g.detach()));
}

TEST_CASE("spectral_norm makes the largest singular value 1") {
  manual_seed(2);
  for (const auto& w : {randn({6, 4}, float64), randn({4, 6}, float64) * 1e-3}) {
    nn::Linear layer(w.size(1), w.size(0), {.dtype = float64});
    layer.weight = w;
    nn::spectral_norm(layer);
    const Tensor x = randn({2, w.size(1)}, float64);
    for (int i = 0; i < 200; ++i) layer(x);
    CHECK(largest_singular_value(layer.weight) == Approx(1).epsilon(1e-6));
    layer.eval();
    const Tensor y = layer(x);
    CHECK(equal(layer(x), y));  // the iteration rests
    CHECK(equal(nn::Linear(layer)(x), y));
    nn::remove_parametrization(layer);
    CHECK(equal(layer(x), y));
  }
}

// Jacot et al.: y = x W / sqrt(m) with W of variance 1 is the layer with weights of variance 1/m.
TEST_CASE("SGD moves an NTK layer as it moves another at the rate r/m, and Adam does not") {
  const int64_t m = 16;
  nn::Linear plain(m, 3, {.bias = false, .dtype = float64});
  init::lecun_normal_(plain.weight);
  const auto compare_steps = [&](auto make) {
    nn::Linear standard = plain.clone(), ntk = plain.clone();
    nn::ntk_parametrization(ntk);
    CHECK(close(ntk.parameters()[0], plain.weight * 4.0));
    const Tensor x = randn({8, m}, float64), target = randn({8, 3}, float64);
    CHECK(close(ntk(x), standard(x)));
    auto a = make(standard.parameters(), 0.1 / m), b = make(ntk.parameters(), 0.1);
    for (int step = 0; step < 5; ++step)
      for (auto [layer, optimizer] : {std::pair{&standard, &a}, std::pair{&ntk, &b}}) {
        optimizer->zero_grad();
        ((*layer)(x)-target).square().sum().backward();
        optimizer->step();
      }
    return largest_difference(ntk(x), standard(x));
  };
  CHECK(compare_steps([](const Tensors& p, double lr) { return optim::SGD(p, {.lr = lr}); }) < 1e-12);
  CHECK(compare_steps([](const Tensors& p, double lr) { return optim::Adam(p, {.lr = lr}); }) > 1e-2);
}

TEST_CASE("one rate trains NTK layers of all widths alike") {
  Generator generator(11);
  const Tensor x = randn({32, 4}, float64, generator), target = sin(sum(x, 1, true));
  std::vector<double> losses;
  for (const int64_t width : {32, 128, 512}) {
    manual_seed(9);
    nn::Linear first(4, width, {.dtype = float64}), last(width, 1, {.bias = false, .dtype = float64});
    for (nn::Linear* layer : {&first, &last}) init::lecun_normal_(layer->weight), nn::ntk_parametrization(*layer);
    nn::Sequential net(
        first, [](const Tensor& h) { return tanh(h); }, last);
    optim::SGD optimizer(net.parameters(), {.lr = 1e-2});
    double loss = 0;
    for (int step = 0; step < 100; ++step) {
      optimizer.zero_grad();
      const Tensor l = sum(square(net(x) - target));
      l.backward();
      optimizer.step();
      loss = l.item() / 32;
    }
    losses.push_back(loss);
  }
  CAPTURE(losses);
  const auto [least, most] = std::minmax_element(losses.begin(), losses.end());
  CHECK(*most < 0.25);  // the target has a mean square of about 0.5
  CHECK(*most < 2 * *least);
}

TEST_CASE("parametrizations say what does not fit") {
  nn::Linear layer(3, 2);
  CHECK_THROWS_WITH(nn::weight_norm(layer, {.name = "wieght"}),
                    "[weight_norm] Linear(3, 2) itself has no parameter \"wieght\"");
  nn::Linear without(3, 2, {.bias = false});
  CHECK_THROWS_AS(nn::weight_norm(without, {.name = "bias"}), ValueError);
  nn::Sequential net(layer, layer);
  CHECK_THROWS_AS(nn::weight_norm(net, {.name = "0.weight"}), ValueError);
  CHECK_THROWS_AS(nn::weight_norm(layer, {.dim = 2}), IndexError);
  CHECK_THROWS_WITH(nn::spectral_norm(layer, {.power_iterations = 0}), Catch::Contains("0 power iterations"));
  CHECK_THROWS_AS(nn::spectral_norm(layer, {.eps = -1}), ValueError);
  CHECK_THROWS_AS(nn::ntk_parametrization(layer, "bias"), ShapeError);
  CHECK_THROWS_WITH(nn::parametrize(layer, Cropped(layer.weight)),
                    "[parametrize] Cropped computes (1, 3) for the (2, 3) \"weight\"");
  CHECK_THROWS_WITH(nn::remove_parametrization(layer), Catch::Contains("is trained itself"));
  CHECK(keys(layer) == Names{"weight", "bias"});
  nn::spectral_norm(layer);
  CHECK_THROWS_WITH(nn::weight_norm(layer),
                    "[weight_norm] \"weight\" of Linear(3, 2) is computed already, by SpectralNorm");
  layer = nn::Linear(3, 2);
  CHECK(keys(layer) == Names{"weight", "bias"});
}
