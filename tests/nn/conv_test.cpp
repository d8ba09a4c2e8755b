#include <cotangent/nn/conv.hpp>

#include <algorithm>

#include <catch2/catch.hpp>
#include <cmath>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/resize.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

#include "../reference_cases.hpp"
#include "names.hpp"

using namespace cotangent;

TEST_CASE("a transposed convolution layer holds its options") {
  nn::ConvTranspose2d up(4, 6, {3, 2}, {.stride = 2, .padding = {1, 0}, .output_padding = 1, .groups = 2});
  CHECK(keys(up) == Names{"weight", "bias"});
  CHECK(up.weight.shape() == Shape{4, 3, 3, 2});
  CHECK(up.bias.shape() == Shape{6});
  const Tensor x = randn({2, 4, 5, 6});
  CHECK(up(x).shape() == Shape{2, 6, 10, 13});
  CHECK(equal(up(x), conv_transpose2d(x, up.weight, up.bias,
                                      {.stride = 2, .padding = {1, 0}, .output_padding = 1, .groups = 2})));
  CHECK(up.settings() == "4, 6, (3, 2), stride = 2, padding = (1, 0), output_padding = 1, groups = 2");
  CHECK(nn::ConvTranspose1d(2, 3, 4, {.bias = false, .dilation = 2}).settings() ==
        "2, 3, 4, dilation = 2, bias = false");
  CHECK(keys(nn::ConvTranspose1d(2, 3, 4, {.bias = false})) == Names{"weight"});
  CHECK(nn::ConvTranspose1d(2, 3, 4, {.stride = 2, .padding = 1})(ones({2, 5})).shape() == Shape{3, 10});
  CHECK(nn::ConvTranspose3d(2, 3, 2, {.stride = 2, .dtype = float64})(ones({1, 2, 1, 2, 3}, float64)).shape() ==
        Shape{1, 3, 2, 4, 6});
  // uniform in 1/sqrt(out/groups * kernel), as PyTorch counts it
  const nn::ConvTranspose2d wide(50, 8, 5, {.groups = 2});
  for (const Tensor& p : {Tensor(wide.weight), Tensor(wide.bias)})
    for (double v : p.to_vector<double>()) REQUIRE(std::fabs(v) <= 0.1f);
  const auto w = wide.weight.to_vector<double>();
  CHECK(*std::max_element(w.begin(), w.end()) > 0.099);
}

TEST_CASE("the convolution layers take PyTorch's weights under their names") {
  const Json cases("conv_layers.json");
  REQUIRE(cases.size() == 4);
  const auto check = [](const Json& test, auto layer) {
    nn::StateDict state;
    Names names;
    for (const auto& [name, packed] : test["state"].items()) state.add(name, unpacked(packed));
    for (const auto& name : test["names"]) names.push_back(name);
    CHECK(keys(layer) == names);
    layer.load_state_dict(state);
    CHECK(allclose(layer(unpacked(test["x"])), unpacked(test["y"]), 1e-12, 1e-12));
  };
  check(cases[0], nn::Conv2d(4, 2, {2, 3}, {.padding = Padding::same, .groups = 2, .dtype = float64}));
  check(cases[1], nn::ConvTranspose1d(2, 3, 4, {.stride = 2, .padding = 1, .dtype = float64}));
  check(cases[2], nn::ConvTranspose2d(4, 2, {2, 3}, {.stride = {2, 1}, .groups = 2, .dtype = float64}));
  check(cases[3], nn::ConvTranspose3d(1, 2, 2, {.stride = 2, .output_padding = 1, .bias = false, .dtype = float64}));
}

TEST_CASE("a transposed convolution reaches each size that its convolution makes the same of") {
  nn::ConvTranspose2d up(1, 1, 3, {.stride = 3, .padding = 1});
  nn::Conv2d down(1, 1, 3, {.stride = 3, .padding = 1});
  for (int64_t h : {7, 8, 9}) {
    const Tensor small = down(ones({1, 1, h, 7}));
    CHECK(small.shape() == Shape{1, 1, 3, 3});
    CHECK(up(small, Shape{h, 7}).shape() == Shape{1, 1, h, 7});
    CHECK(up(small, Shape{1, 1, h, 7}).shape() == Shape{1, 1, h, 7});  // of which the spatial sizes count
  }
  CHECK_THROWS_WITH(up(ones({1, 1, 3, 3}), Shape{10, 7}), Catch::Contains("size 0 must be from 7 to 9"));
  CHECK_THROWS_WITH(up(ones({1, 1, 3, 3}), Shape{7, 6}), Catch::Contains("size 1 must be from 7 to 9"));
  CHECK_THROWS_WITH(up(ones({1, 1, 3, 3}), Shape{7}), Catch::Contains("give the 2 spatial sizes"));
}

TEST_CASE("wrong options of convolution layers are errors when they are made") {
  CHECK_THROWS_WITH(nn::ConvTranspose2d(4, 6, 3, {.groups = 4}),
                    Catch::Contains("[ConvTranspose2d] 4 groups for 4 channels to 6"));
  CHECK_THROWS_WITH(nn::ConvTranspose2d(4, 6, 3, {.output_padding = 1}),
                    Catch::Contains("[ConvTranspose2d] output_padding (1, 1) must be smaller"));
  CHECK_THROWS_AS(nn::ConvTranspose1d(4, 0, 3), ValueError);
  CHECK_THROWS_AS(nn::ConvTranspose1d(4, 4, 0), ValueError);
  CHECK_THROWS_AS(nn::ConvTranspose3d(4, 4, 3, {.stride = 0}), ValueError);
  CHECK_THROWS_AS(nn::ConvTranspose3d(4, 4, {3, 3}), ShapeError);
  CHECK_THROWS_WITH(nn::Conv2d(4, 6, 3, {.stride = {1, 2}, .padding = Padding::same}),
                    Catch::Contains("[Conv2d] padding same goes with stride 1, got (1, 2)"));
}

TEST_CASE("a convolution layer with padding same keeps the size") {
  nn::Conv2d conv(2, 3, {4, 3}, {.padding = Padding::same, .dilation = {1, 2}});
  CHECK(conv(ones({1, 2, 5, 6})).shape() == Shape{1, 3, 5, 6});
  CHECK(conv.settings() == "2, 3, (4, 3), padding = same, dilation = (1, 2)");
}

TEST_CASE("a transposed convolution with a linear kernel is linear upsampling but for the borders") {
  CHECK(nn::init::bilinear_kernel_(empty({1, 1, 4}, float64)).to_vector<double>() ==
        std::vector<double>{.25, .75, .75, .25});
  for (int64_t f : {2, 3, 4, 5}) {
    INFO("factor " << f);
    const int64_t k = 2 * f - f % 2, p = f / 2;
    nn::ConvTranspose1d line(2, 2, k, {.stride = f, .padding = p, .bias = false, .dtype = float64});
    nn::init::bilinear_kernel_(line.weight);
    const Tensor x = randn({1, 2, 6}, float64);
    const Tensor up = interpolate(x, {.scale_factor = double(f), .mode = Interpolation::linear});
    const Tensor y = line(x);
    REQUIRE(y.shape() == up.shape());
    CHECK(allclose(y.narrow(2, f, 4 * f), up.narrow(2, f, 4 * f), 1e-13, 1e-13));
    CHECK(!allclose(y.narrow(2, 0, 1), up.narrow(2, 0, 1)));

    nn::ConvTranspose2d image(2, 2, k, {.stride = f, .padding = p, .groups = 2, .bias = false, .dtype = float64});
    nn::init::bilinear_kernel_(image.weight);
    const Tensor z = randn({1, 2, 4, 5}, float64);
    CHECK(allclose(image(z).narrow(2, f, 2 * f).narrow(3, f, 3 * f),
                   interpolate(z, {.scale_factor = double(f), .mode = Interpolation::bilinear})
                       .narrow(2, f, 2 * f)
                       .narrow(3, f, 3 * f),
                   1e-13, 1e-13));
  }
  // by 2, only the two end samples differ
  nn::ConvTranspose1d twice(1, 1, 4, {.stride = 2, .padding = 1, .bias = false, .dtype = float64});
  nn::init::bilinear_kernel_(twice.weight);
  const Tensor x = tensor({{{1.0, 2.0, 4.0, 8.0}}}, float64);
  CHECK(twice(x).to_vector<double>() == std::vector<double>{.75, 1.25, 1.75, 2.5, 3.5, 5, 7, 6});
  CHECK_THROWS_AS(nn::init::bilinear_kernel_(empty({2, 2})), ShapeError);
  CHECK_THROWS_WITH(nn::init::bilinear_kernel_(empty({3, 2, 4})), Catch::Contains("a divisor of in"));
}
