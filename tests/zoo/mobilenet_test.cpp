#include <cotangent/zoo/mobilenet.hpp>

#include <catch2/catch.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/conv.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

#include "../nn/check_layer.hpp"
#include "../nn/names.hpp"

using namespace cotangent;

namespace {

const zoo::MobileNetOptions kTiny{.in_channels = 2, .classes = 3, .stem = 3, .stem_stride = 1, .blocks = {{4, 2}, {5}}};

/// The keys of convolutions with their norms, then others.
Names with_norms(const Names& convolutions, const Names& others) {
  Names all;
  for (const std::string& name : convolutions)
    for (const char* key : {".weight", "_norm.weight", "_norm.bias", "_norm.running_mean", "_norm.running_var",
                            "_norm.num_batches_tracked"})
      all.push_back(name + key);
  all.insert(all.end(), others.begin(), others.end());
  return all;
}

}  // namespace

TEST_CASE("MobileNet has as many parameters as the paper's") {
  CHECK(zoo::MobileNet().parameter_count() == 4231976);
  CHECK(zoo::MobileNet({.width = 0.5}).parameter_count() == 1331592);
}

TEST_CASE("MobileNet turns images into logits") {
  manual_seed(1);
  zoo::MobileNet net(kTiny);
  const Tensor x = randn({2, 2, 7, 6});
  CHECK(net.features(x).shape() == Shape{2, 5, 4, 3});
  CHECK(net(x).shape() == Shape{2, 3});
  CHECK(zoo::MobileNet({.in_channels = 2, .classes = 3, .width = 0.1, .blocks = {}})(x).shape() == Shape{2, 3});

  net.eval();
  const NoGrad guard;
  zoo::MobileNet copy = net.clone();
  const Tensor y = net(x);
  CHECK(close(copy(x), y));
  copy.head.bias.add_(1);
  CHECK(close(copy(x), y + 1, 1e-6));
  CHECK(close(net(x), y));
}

TEST_CASE("MobileNet names its parameters and statistics") {
  CHECK(keys(zoo::MobileNet({.blocks = {{8}}})) ==
        with_norms({"stem", "blocks.0.depthwise", "blocks.0.pointwise"}, {"head.weight", "head.bias"}));
}

TEST_CASE("a separable convolution is a depthwise and a pointwise one") {
  manual_seed(1);
  zoo::SeparableConv2d layer(3, 4, 2);
  layer.to(float64);
  layer.eval();  // the running mean is 0 and the running variance 1
  const Tensor x = randn({2, 3, 5, 4}, float64) * 4;
  const double norm = 1 / std::sqrt(1 + 1e-5);
  Tensor y = conv2d(x, layer.depthwise.weight, {}, {.stride = 2, .padding = 1, .groups = 3});
  y = relu6(conv2d(relu6(y * norm), layer.pointwise.weight) * norm);
  CHECK(y.shape() == Shape{2, 4, 3, 2});
  CHECK(close(layer(x), y));
}

TEST_CASE("gradients of MobileNet") { check_layer(zoo::MobileNet(kTiny), {2, 2, 5, 4}); }

TEST_CASE("MobileNet says what it does not take") {
  CHECK_THROWS_WITH(zoo::MobileNet({.width = 0}), "[MobileNet] width is 0; it must be above 0");
  CHECK_THROWS_AS(zoo::MobileNet({.in_channels = 0}), ValueError);
  CHECK_THROWS_AS(zoo::MobileNet({.blocks = {{-1}}}), ValueError);
  CHECK_THROWS_AS(zoo::MobileNet({.blocks = {{8, 0}}}), ValueError);
  zoo::MobileNet net(kTiny);
  CHECK_THROWS_WITH(net(zeros({1, 3, 5, 5})), Catch::EndsWith("(in stem)"));
}
