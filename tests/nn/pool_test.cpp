#include <cotangent/nn/pool.hpp>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/container.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

using namespace cotangent;
using Floats = std::vector<float>;

TEST_CASE("pooling layers in one to three dimensions") {
  const Tensor line = arange(8).to(float32).view({1, 1, 8}), cube = arange(8).to(float32).view({1, 1, 2, 2, 2});
  CHECK(nn::MaxPool1d(2)(line).to_vector<float>() == Floats{1, 3, 5, 7});
  CHECK(nn::MaxPool3d(2)(cube).to_vector<float>() == Floats{7});
  CHECK(nn::AvgPool1d(3, {.stride = 2})(line).to_vector<float>() == Floats{1, 3, 5});
  CHECK(nn::AvgPool3d({2, 1, 1})(cube).to_vector<float>() == Floats{2, 3, 4, 5});
  CHECK(nn::AdaptiveAvgPool1d(2)(line).to_vector<float>() == Floats{1.5, 5.5});
  CHECK(nn::AdaptiveAvgPool3d(1)(cube).to_vector<float>() == Floats{3.5});
  CHECK(nn::AdaptiveMaxPool1d(3)(line).to_vector<float>() == Floats{2, 5, 7});
  CHECK(nn::AdaptiveMaxPool2d(2)(line.view({1, 2, 4})).to_vector<float>() == Floats{1, 3, 5, 7});
  CHECK(nn::AdaptiveMaxPool3d({1, 2, 1})(cube).to_vector<float>() == Floats{5, 7});
  CHECK(nn::Sequential(nn::MaxPool2d(2), nn::AdaptiveAvgPool2d(1))(line.view({1, 2, 4})).shape() == Shape{1, 1, 1});
  CHECK(nn::MaxPool2d(2).state_dict().empty());
}

TEST_CASE("the layers that unpool undo those that pool") {
  const Tensor x = rand({2, 3, 4, 6});
  nn::MaxPool2d pool({2, 3});
  nn::MaxUnpool2d unpool({2, 3});
  const auto [y, indices] = pool.with_indices(x);
  CHECK(equal(y, pool(x)));
  CHECK(equal(pool(unpool(y, indices)), y));
  const auto [z, at] = nn::MaxPool1d(2).with_indices(x.narrow(3, 0, 5).flatten(2));
  CHECK(nn::MaxUnpool1d(2)(z, at, Shape{20}).shape() == Shape{2, 3, 20});
  const auto [w, where] = nn::MaxPool3d(2).with_indices(x);  // (C, D, H, W)
  CHECK(nn::MaxUnpool3d(2)(w, where, x.shape()).shape() == x.shape());
  const auto [a, places] = nn::AdaptiveMaxPool2d({2, 2}).with_indices(x);
  CHECK(equal(nn::MaxPool2d({2, 3})(nn::MaxUnpool2d({2, 3})(a, places)), a));
  CHECK(nn::AdaptiveMaxPool1d(1).with_indices(arange(4).to(float32).view({1, 4})).indices.item() == 3);
  CHECK(nn::AdaptiveMaxPool3d(1).with_indices(ones({1, 2, 2, 2})).indices.item() == 0);
  CHECK_THROWS_WITH(unpool(y, indices, Shape{9, 9}), Catch::Contains("less than stride 2 away from 4"));
}

TEST_CASE("pooling layers print their settings and check them") {
  CHECK(nn::MaxPool1d(3, {.stride = 2, .padding = 1, .dilation = 2, .ceil_mode = true}).settings() ==
        "3, stride = 2, padding = 1, dilation = 2, ceil_mode = true");
  CHECK(nn::AvgPool3d({1, 2, 2}, {.count_include_pad = false, .divisor_override = 3}).settings() ==
        "(1, 2, 2), count_include_pad = false, divisor_override = 3");
  CHECK(nn::MaxUnpool2d(2, {.stride = {2, 1}}).settings() == "2, stride = (2, 1)");
  CHECK(nn::AdaptiveMaxPool2d({3, 4}).settings() == "(3, 4)");
  CHECK_THROWS_WITH(nn::MaxPool2d(0), Catch::Contains("[MaxPool2d] kernel_size (0, 0); it must be at least 1"));
  CHECK_THROWS_AS(nn::MaxPool2d({1, 2, 3}), ShapeError);
  CHECK_THROWS_AS(nn::AvgPool1d(2, {.stride = 0}), ValueError);
  CHECK_THROWS_AS(nn::MaxPool3d(2, {.padding = -1}), ValueError);
  CHECK_THROWS_AS(nn::MaxPool3d(2, {.dilation = 0}), ValueError);
  CHECK_THROWS_WITH(nn::AdaptiveAvgPool2d(0), Catch::Contains("[AdaptiveAvgPool2d] output_size (0, 0)"));
}
