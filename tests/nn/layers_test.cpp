// Layers: values, state_dict keys, starting values and errors. Their gradients are checked in gradients_test.cpp.
#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/favor.hpp>
#include <cotangent/autograd/ops/gated_attention.hpp>
#include <cotangent/autograd/ops/linear_attention.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/norm.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/nn/attention/linear.hpp>
#include <cotangent/nn/attention/transformer.hpp>
#include <cotangent/nn/conv.hpp>
#include <cotangent/nn/dropout.hpp>
#include <cotangent/nn/embedding.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/norm.hpp>
#include <cotangent/nn/pool.hpp>
#include <cotangent/nn/shape.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

#include "names.hpp"

using namespace cotangent;

namespace {
/// All in [-bound, bound], and close to both ends.
void check_uniform(const Tensor& x, double bound) {
  double largest = 0, smallest = 0;
  for (double v : x.to_vector<double>()) largest = std::max(largest, v), smallest = std::min(smallest, v);
  CHECK(largest <= bound);
  CHECK(smallest >= -bound);
  CHECK(largest > 0.9 * bound);
  CHECK(smallest < -0.9 * bound);
}
}  // namespace

TEST_CASE("Linear is x W^T + b") {
  nn::Linear layer(2, 3);
  CHECK(keys(layer) == Names{"weight", "bias"});
  CHECK(layer.weight.shape() == Shape{3, 2});
  layer.load_state_dict({{"weight", tensor({{1.0, 2.0}, {3.0, 4.0}, {5.0, 6.0}})}, {"bias", tensor({0.5, 0.0, -1.0})}});
  CHECK(layer(tensor({{1.0, 10.0}, {0.0, 1.0}})).to_vector<float>() == std::vector<float>{21.5, 43, 64, 2.5, 4, 5});
  CHECK(layer(ones({4, 5, 2})).shape() == Shape{4, 5, 3});
  CHECK(layer(ones({2})).shape() == Shape{3});
  CHECK(layer.settings() == "2, 3");

  nn::Linear plain(2, 3, {.bias = false, .dtype = float64});
  CHECK(keys(plain) == Names{"weight"});
  CHECK(plain.weight.dtype() == float64);
  CHECK(plain.settings() == "2, 3, bias = false");
  nn::Linear large(100, 300);
  check_uniform(large.weight, 0.1);
  check_uniform(large.bias, 0.1);
  CHECK_THROWS_AS(nn::Linear(0, 3), ValueError);
  CHECK_THROWS_AS(layer(ones({4, 3})), ShapeError);
}

TEST_CASE("Embedding looks up rows") {
  nn::Embedding table(5, 3, {.padding_idx = -1});
  CHECK(keys(table) == Names{"weight"});
  const Tensor y = table(tensor({{0, 4}, {1, 0}}));
  CHECK(y.shape() == Shape{2, 2, 3});
  CHECK(y.select(0, 0).select(0, 1).to_vector<float>() == std::vector<float>{0, 0, 0});
  CHECK(equal(y.select(0, 1).select(0, 1), table.weight.select(0, 0)));
  sum(y).backward();
  CHECK(table.weight.grad().select(0, 0).to_vector<float>() == std::vector<float>{2, 2, 2});
  CHECK(table.weight.grad().select(0, 4).to_vector<float>() == std::vector<float>{0, 0, 0});
  CHECK(table.settings() == "5, 3, padding_idx = -1");
  CHECK_THROWS_AS(table(tensor({5})), IndexError);
  CHECK_THROWS_AS(nn::Embedding(5, 3, {.padding_idx = 5}), ValueError);
  CHECK_THROWS_AS(nn::Embedding(0, 3), ValueError);
}

TEST_CASE("Dropout drops in training only") {
  manual_seed(1);
  nn::Dropout dropout(0.25);
  const Tensor x = ones({1000});
  int dropped = 0;
  for (float v : dropout(x).to_vector<float>()) {
    CHECK((v == 0 || v == Approx(4.0 / 3)));
    dropped += v == 0;
  }
  CHECK(dropped > 200);
  CHECK(dropped < 300);
  dropout.eval();
  CHECK(equal(dropout(x), x));
  CHECK_THROWS_WITH(nn::Dropout(1.5), Catch::Contains("p is 1.5"));
}

TEST_CASE("AlphaDropout keeps the mean and the variance") {
  manual_seed(1);
  nn::AlphaDropout dropout(0.25);
  const Tensor x = randn({100'000}), y = dropout(x);
  CHECK(mean(y).item() == Approx(0).margin(0.02));
  CHECK(mean(square(y)).item() == Approx(1).margin(0.03));
  CHECK(dropout.settings() == "0.25");
  dropout.eval();
  CHECK(dropout(x).impl() == x.impl());
  CHECK_THROWS_WITH(nn::AlphaDropout(-1), Catch::Contains("[AlphaDropout] p is -1"));
}

TEST_CASE("Flatten keeps the batch") {
  CHECK(nn::Flatten()(ones({2, 3, 4})).shape() == Shape{2, 12});
  CHECK(nn::Flatten(0, 1)(ones({2, 3, 4})).shape() == Shape{6, 4});
  CHECK(nn::Identity()(ones({2})).shape() == Shape{2});
}

TEST_CASE("the convolution layers hold their options") {
  nn::Conv2d conv(4, 6, {3, 2}, {.stride = 2, .padding = {1, 0}, .groups = 2});
  CHECK(keys(conv) == Names{"weight", "bias"});
  CHECK(conv.weight.shape() == Shape{6, 2, 3, 2});
  CHECK(conv.bias.shape() == Shape{6});
  check_uniform(nn::Conv2d(4, 60, 5).weight, 0.1);
  check_uniform(nn::Conv2d(4, 100, 5).bias, 0.1);
  const Tensor x = randn({2, 4, 7, 8});
  CHECK(conv(x).shape() == Shape{2, 6, 4, 4});
  CHECK(equal(conv(x), conv2d(x, conv.weight, conv.bias, {.stride = 2, .padding = {1, 0}, .groups = 2})));
  CHECK(conv.settings() == "4, 6, (3, 2), stride = 2, padding = (1, 0), groups = 2");
  CHECK(nn::Conv2d(1, 8, 3, {.padding = 1, .bias = false}).settings() == "1, 8, 3, padding = 1, bias = false");
  CHECK(nn::Conv1d(3, 8, 3, {.dtype = float64})(ones({2, 3, 9}, float64)).shape() == Shape{2, 8, 7});
  CHECK(nn::Conv3d(3, 8, 3, {.dilation = 2})(ones({2, 3, 9, 5, 7})).shape() == Shape{2, 8, 5, 1, 3});

  CHECK_THROWS_WITH(nn::Conv2d(4, 6, 3, {.groups = 3}), Catch::Contains("[Conv2d] 3 groups for 4 channels to 6"));
  CHECK_THROWS_AS(nn::Conv2d(0, 6, 3), ValueError);
  CHECK_THROWS_AS(nn::Conv2d(4, 6, 0), ValueError);
  CHECK_THROWS_AS(nn::Conv2d(4, 6, 3, {.stride = 0}), ValueError);
  CHECK_THROWS_AS(nn::Conv2d(4, 6, {3, 3, 3}), ShapeError);
}

TEST_CASE("batch normalization keeps running statistics") {
  nn::BatchNorm2d norm(2, {.momentum = 0.25, .dtype = float64});
  CHECK(keys(norm) == Names{"weight", "bias", "running_mean", "running_var", "num_batches_tracked"});
  CHECK(norm.parameters().size() == 2);
  const Tensor x = tensor({1.0, 3.0, 10.0, 30.0, 5.0, 7.0, 20.0, 40.0}, float64).view({2, 2, 1, 2});
  // channel 0 holds 1 3 5 7: mean 4, variance 5 (unbiased 20/3); channel 1 holds 10 30 20 40: mean 25, variance 125
  const auto y = norm(x).to_vector<double>();
  CHECK(y[0] == Approx(-3 / std::sqrt(5 + 1e-5)));
  CHECK(y[7] == Approx(15 / std::sqrt(125 + 1e-5)));
  CHECK(norm.running_mean.to_vector<double>()[0] == Approx(0.25 * 4));
  CHECK(norm.running_var.to_vector<double>()[0] == Approx(0.75 + 0.25 * 20 / 3));
  CHECK(norm.num_batches_tracked.item() == 1);
  norm.eval();
  const auto z = norm(x).to_vector<double>();
  CHECK(z[0] == Approx((1 - 1) / std::sqrt(0.75 + 0.25 * 20 / 3 + 1e-5)).margin(1e-12));
  CHECK(z[1] == Approx((3 - 1) / std::sqrt(0.75 + 0.25 * 20 / 3 + 1e-5)));
  CHECK(norm.num_batches_tracked.item() == 1);
  CHECK(norm.settings() == "2");
  nn::BatchNorm2d copy = norm.clone();
  copy.train();
  copy(x);
  CHECK(norm.num_batches_tracked.item() == 1);

  nn::BatchNorm1d plain(3, {.affine = false, .track_running_stats = false});
  CHECK(keys(plain).empty());
  plain.eval();
  CHECK(plain(randn({8, 3})).shape() == Shape{8, 3});
  CHECK(plain(randn({8, 3, 5})).shape() == Shape{8, 3, 5});
  CHECK_THROWS_WITH(plain(ones({2, 3, 4, 4})), Catch::Contains("it must be (N, C) or (N, C, L)"));
  CHECK_THROWS_WITH(norm(ones({2, 3})), Catch::Contains("it must be (N, C, H, W)"));
  CHECK_THROWS_AS(copy(ones({2, 3, 4, 4}, float64)), ShapeError);
  CHECK_THROWS_AS(nn::BatchNorm1d(0), ValueError);
}

TEST_CASE("batch normalization applies an activation function") {
  const Tensor x = randn({4, 2, 3, 5}, float64) * 4;
  for (const nn::Activation f : nn::all_activations()) {
    if (nn::is_gated(f)) continue;
    nn::BatchNorm2d plain(2, {.dtype = float64}), active(2, {.activation = f, .dtype = float64});
    for (nn::BatchNorm2d* norm : {&plain, &active}) norm->weight.detach().fill_(3), norm->bias.detach().fill_(1.5);
    const auto expected = nn::activate(f, plain(x)).to_vector<double>(), y = active(x).to_vector<double>();
    for (size_t i = 0; i < y.size(); ++i) CHECK(y[i] == Approx(expected[i]).margin(1e-12));
  }
  nn::BatchNorm2d norm(2, {.activation = nn::Activation::relu6});
  CHECK(norm.settings() == "2, activation = relu6");
  CHECK(keys(norm) == Names{"weight", "bias", "running_mean", "running_var", "num_batches_tracked"});
}

TEST_CASE("layer normalization has weights of its shape") {
  nn::LayerNorm norm({2, 2}, {.dtype = float64});
  CHECK(keys(norm) == Names{"weight", "bias"});
  CHECK(norm.weight.shape() == Shape{2, 2});
  const auto y = norm(tensor({{{1.0, 2.0}, {3.0, 4.0}}}, float64)).to_vector<double>();
  for (size_t i = 0; i < 4; ++i) CHECK(y[i] == Approx((double(i) - 1.5) / std::sqrt(1.25 + 1e-5)));
  CHECK(norm.settings() == "(2, 2)");
  CHECK(nn::LayerNorm(8).settings() == "8");
  CHECK(keys(nn::LayerNorm(8, {.bias = false})) == Names{"weight"});
  CHECK(keys(nn::LayerNorm(8, {.affine = false})).empty());
  CHECK_THROWS_AS(nn::LayerNorm(Shape{}), ValueError);
}

TEST_CASE("normalization by the root mean square") {
  nn::RMSNorm norm(2, {.eps = 0, .dtype = float64});
  CHECK(keys(norm) == Names{"weight"});
  const auto y = norm(tensor({3.0, 4.0}, float64)).to_vector<double>();
  CHECK(y[0] == Approx(3 / std::sqrt(12.5)));
  CHECK(y[1] == Approx(4 / std::sqrt(12.5)));
  CHECK(nn::RMSNorm({2, 3}).settings() == "(2, 3)");
  CHECK(keys(nn::RMSNorm(2, {.affine = false})).empty());
  CHECK_THROWS_WITH(nn::RMSNorm(Shape{}), Catch::Contains("[RMSNorm] normalized_shape is ()"));
}

TEST_CASE("normalization to one learned length") {
  nn::ScaleNorm norm(2, {.eps = 0, .dtype = float64});
  CHECK(keys(norm) == Names{"weight"});
  CHECK(norm.weight.shape() == Shape{});
  const Tensor x = tensor({{3.0, 4.0}, {-1.0, 0.0}}, float64);
  norm.weight.detach().fill_(2);
  const auto y = norm(x).to_vector<double>();  // lengths 2 sqrt(2)
  CHECK(y[0] == Approx(2 * std::sqrt(2.0) * 0.6));
  CHECK(y[1] == Approx(2 * std::sqrt(2.0) * 0.8));
  CHECK(y[2] == Approx(-2 * std::sqrt(2.0)));
  CHECK(close(norm(x * 7.0), norm(x)));
  CHECK(norm.settings() == "2");
  CHECK_THROWS_WITH(nn::ScaleNorm(0), Catch::Contains("[ScaleNorm] normalized_shape is (0,)"));
  CHECK_THROWS_WITH(nn::ScaleNorm(2, {.eps = -1}), "[ScaleNorm] eps is -1; it must be 0 or more");

  for (auto [kind, type] : {std::pair{nn::Normalization::layer, "LayerNorm"},
                            {nn::Normalization::rms, "RMSNorm"},
                            {nn::Normalization::scale, "ScaleNorm"}}) {
    nn::AnyNorm any = nn::normalization(kind, 3, {.eps = 0.5, .bias = false, .dtype = float64});
    CHECK(any->type_name() == type);
    CHECK(keys(*any) == Names{"weight"});
    CHECK(any(zeros({2, 3}, float64)).shape() == Shape{2, 3});  // eps is not 0
    CHECK(any(zeros({2, 3}, float64)).sum().item() == 0);
  }
}

TEST_CASE("group normalization") {
  nn::GroupNorm norm(2, 4, {.dtype = float64});
  CHECK(keys(norm) == Names{"weight", "bias"});
  const auto y = norm(tensor({{1.0, 3.0, 10.0, 30.0}}, float64)).to_vector<double>();
  CHECK(y[0] == Approx(-1).epsilon(1e-4));
  CHECK(y[3] == Approx(1).epsilon(1e-4));
  CHECK(norm.settings() == "2, 4");
  CHECK(keys(nn::GroupNorm(1, 4, {.affine = false})).empty());
  CHECK_THROWS_WITH(norm(ones({2, 3, 4}, float64)),
                    Catch::Contains("[GroupNorm] x is (2, 3, 4); it must be (N, 4, ...)"));
  CHECK_THROWS_WITH(nn::GroupNorm(3, 4), Catch::Contains("3 groups of 4 channels"));
}

TEST_CASE("instance normalization is by example, or by running statistics") {
  nn::InstanceNorm1d norm(1, {.momentum = 0.5, .affine = true, .track_running_stats = true, .dtype = float64});
  CHECK(keys(norm) == Names{"weight", "bias", "running_mean", "running_var", "num_batches_tracked"});
  const Tensor x = tensor({{{1.0, 3.0}}, {{10.0, 30.0}}}, float64);  // means 2 and 20, unbiased variances 2 and 200
  const auto y = norm(x).to_vector<double>();
  CHECK(y[0] == Approx(-1).epsilon(1e-4));
  CHECK(y[3] == Approx(1).epsilon(1e-4));
  CHECK(norm.running_mean.item() == Approx(0.5 * 11));
  CHECK(norm.running_var.item() == Approx(0.5 + 0.5 * 101));
  CHECK(norm.num_batches_tracked.item() == 0);
  norm.eval();
  CHECK(norm(x).to_vector<double>()[0] == Approx((1 - 5.5) / std::sqrt(51 + 1e-5)));
  CHECK(norm(x[0]).shape() == Shape{1, 2});
  CHECK(norm.settings() == "1");
  nn::InstanceNorm2d plain(3);
  CHECK(keys(plain).empty());
  plain.eval();
  CHECK(plain(randn({2, 3, 4, 4})).shape() == Shape{2, 3, 4, 4});
  CHECK_THROWS_WITH(plain(ones({2, 3, 4})), Catch::Contains("[InstanceNorm2d] x is (2, 3, 4); it must be (N, 3, ...)"));
  CHECK_THROWS_AS(nn::InstanceNorm3d(0), ValueError);
}

TEST_CASE("pooling layers") {
  const Tensor x = arange(16).to(float32).view({1, 1, 4, 4});
  CHECK(nn::MaxPool2d(2)(x).to_vector<float>() == std::vector<float>{5, 7, 13, 15});
  CHECK(nn::AvgPool2d(2)(x).to_vector<float>() == std::vector<float>{2.5, 4.5, 10.5, 12.5});
  CHECK(nn::AdaptiveAvgPool2d(1)(x).to_vector<float>() == std::vector<float>{7.5});
  CHECK(nn::MaxPool2d(3, {.stride = 1, .padding = 1})(x).shape() == Shape{1, 1, 4, 4});
  CHECK(nn::MaxPool2d(3, {.stride = {1, 2}, .padding = 1}).settings() == "3, stride = (1, 2), padding = 1");
  CHECK(nn::AvgPool2d({2, 1}).settings() == "(2, 1)");
  CHECK(nn::AdaptiveAvgPool2d(7).settings() == "7");
}

TEST_CASE("layers refuse an eps below 0 and fractions outside [0, 1], under their own names") {
  const auto refused = [](auto make, const std::string& error) { CHECK_THROWS_WITH(make(), error); };
  const double nan = std::nan("");
  refused([] { nn::BatchNorm1d(2, {.eps = -1}); }, "[BatchNorm1d] eps is -1; it must be 0 or more");
  refused([] { nn::BatchNorm2d(2, {.momentum = 1.5}); }, "[BatchNorm2d] momentum is 1.5; it must be in [0, 1]");
  refused([] { nn::BatchNorm2d(0); }, "[BatchNorm2d] 0 channels; there must be at least 1");
  refused([=] { nn::InstanceNorm1d(2, {.eps = nan}); }, "[InstanceNorm1d] eps is nan; it must be 0 or more");
  refused([] { nn::InstanceNorm3d(2, {.momentum = -1}); }, "[InstanceNorm3d] momentum is -1; it must be in [0, 1]");
  refused([] { nn::LayerNorm(2, {.eps = -1}); }, "[LayerNorm] eps is -1; it must be 0 or more");
  refused([] { nn::RMSNorm(2, {.eps = -1}); }, "[RMSNorm] eps is -1; it must be 0 or more");
  refused([] { nn::GroupNorm(1, 2, {.eps = -1}); }, "[GroupNorm] eps is -1; it must be 0 or more");
  refused([=] { nn::Dropout{nan}; }, "[Dropout] p is nan; it must be in [0, 1]");
  refused([] { nn::LinearAttention(4, 2, {.eps = -1}); }, "[LinearAttention] eps is -1; it must be 0 or more");
  refused([] { nn::TransformerEncoderLayer(4, 2, {.dropout = 2}); },
          "[TransformerEncoderLayer] dropout is 2; it must be in [0, 1]");
  refused([] { nn::TransformerDecoderLayer(4, 2, {.eps = -1}); },
          "[TransformerDecoderLayer] eps is -1; it must be 0 or more");

  const Tensor x = ones({2, 3, 4}), q = ones({1, 1, 2, 2});
  refused([&] { layer_norm(x, {4}, {}, {}, -1); }, "[layer_norm] eps is -1; it must be 0 or more");
  refused([&] { rms_norm(x, {4}, {}, -1); }, "[rms_norm] eps is -1; it must be 0 or more");
  refused([&] { group_norm(x, 1, {}, {}, -1); }, "[group_norm] eps is -1; it must be 0 or more");
  refused([&] { batch_norm(x, {}, {}, {}, {}, true, 0.1, -1); }, "[batch_norm] eps is -1; it must be 0 or more");
  refused([&] { batch_norm(x, {}, {}, {}, {}, true, 2); }, "[batch_norm] momentum is 2; it must be in [0, 1]");
  refused([&] { instance_norm(x, {}, {}, {}, {}, true, -1); }, "[instance_norm] momentum is -1; it must be in [0, 1]");
  refused([&] { instance_norm(x, {}, {}, {}, {}, true, 0, nan); }, "[instance_norm] eps is nan; it must be 0 or more");
  refused([&] { linear_attention(q, q, q, {.eps = -1}); }, "[linear_attention] eps is -1; it must be 0 or more");
  refused([&] { squared_relu_attention(q, q, q, {.eps = -1}); },
          "[squared_relu_attention] eps is -1; it must be 0 or more");
  refused(
      [&] {
        favor_features(q, ones({3, 2}), FavorKernel::positive, -1);
      },
      "[favor_features] eps is -1; it must be 0 or more");
  refused(
      [&] {
        favor_attention(q, q, q, ones({3, 2}), {.eps = -1});
      },
      "[favor_attention] eps is -1; it must be 0 or more");
}
