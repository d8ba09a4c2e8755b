#include <cotangent/nn/upsample.hpp>

#include <catch2/catch.hpp>
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/container.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/indexing.hpp>
#include <cotangent/tensor/random.hpp>

#include "names.hpp"

using namespace cotangent;

TEST_CASE("the upsampling layers are interpolate") {
  using enum Interpolation;
  const Tensor x = randn({2, 3, 4, 5});
  for (Interpolation mode : {nearest, nearest_exact, bilinear, bicubic, area}) {
    nn::Upsample up({.size = {7, 9}, .mode = mode});
    CHECK(equal(up(x), interpolate(x, {.size = {7, 9}, .mode = mode})));
  }
  nn::Upsample bicubic_corners({.scale_factor = 2.5, .mode = bicubic, .align_corners = true});
  CHECK(equal(bicubic_corners(x), interpolate(x, {.scale_factor = 2.5, .mode = bicubic, .align_corners = true})));
  nn::Upsample smooth({.size = {2, 3}, .mode = bilinear, .antialias = true});
  CHECK(equal(smooth(x), interpolate(x, {.size = {2, 3}, .mode = bilinear, .antialias = true})));
  CHECK(nn::Upsample({.scale_factor = 2, .mode = linear})(x[0]).shape() == Shape{3, 4, 10});
  CHECK(nn::Upsample({.scale_factor = {1, 2, 3}, .mode = trilinear})(ones({1, 1, 2, 2, 2})).shape() ==
        Shape{1, 1, 2, 4, 6});
  CHECK(equal(nn::UpsamplingNearest2d({.scale_factor = 2})(x), interpolate(x, {.scale_factor = 2})));
  CHECK(equal(nn::UpsamplingBilinear2d({.size = {7, 6}})(x),
              interpolate(x, {.size = {7, 6}, .mode = bilinear, .align_corners = true})));
  CHECK(nn::Upsample({.scale_factor = 2}).state_dict().empty());
  CHECK(nn::Sequential(nn::Upsample({.scale_factor = 2}), nn::PixelUnshuffle(2))(x).shape() == Shape{2, 12, 4, 5});
}

TEST_CASE("the upsampling layers print their settings") {
  using enum Interpolation;
  CHECK(nn::Upsample({.scale_factor = 2}).settings() == "scale_factor = 2, mode = nearest");
  CHECK(nn::Upsample({.size = {3, 4}, .mode = bicubic, .align_corners = true, .antialias = true}).settings() ==
        "size = (3, 4), mode = bicubic, align_corners = true, antialias = true");
  CHECK(nn::Upsample({.scale_factor = {1.5, 2}, .mode = bilinear, .recompute_scale_factor = true}).settings() ==
        "scale_factor = (1.5, 2), mode = bilinear, recompute_scale_factor = true");
  CHECK(to_string(nn::UpsamplingBilinear2d({.scale_factor = 2})).find("UpsamplingBilinear2d(scale_factor = 2") == 0);
  CHECK(nn::PixelShuffle(3).settings() == "3");
}

TEST_CASE("wrong settings of upsampling layers are errors when they are made") {
  using enum Interpolation;
  CHECK_THROWS_WITH(nn::Upsample({}), Catch::Contains("[Upsample] neither size and scale_factor is given"));
  CHECK_THROWS_WITH(nn::Upsample({.size = {3}, .scale_factor = 2}),
                    Catch::Contains("[Upsample] both size and scale_factor"));
  CHECK_THROWS_WITH(nn::Upsample({.size = {0}}), Catch::Contains("[Upsample] size (0,); it must be at least 1"));
  CHECK_THROWS_WITH(nn::Upsample({.scale_factor = 0}), Catch::Contains("[Upsample] scale_factor 0 must be positive"));
  CHECK_THROWS_AS(nn::Upsample({.scale_factor = {2, -1}}), ValueError);
  CHECK_THROWS_AS(nn::Upsample({.scale_factor = {1, 2, 3, 4}}), ValueError);
  CHECK_THROWS_WITH(nn::Upsample({.scale_factor = 2, .align_corners = true}),
                    Catch::Contains("align_corners has no meaning for nearest"));
  CHECK_THROWS_WITH(nn::Upsample({.scale_factor = 2, .mode = area, .antialias = true}),
                    Catch::Contains("antialias is for bilinear and bicubic, not area"));
  CHECK_THROWS_WITH(nn::Upsample({.size = {3}, .recompute_scale_factor = true}),
                    Catch::Contains("recompute_scale_factor goes with scale_factor"));
  CHECK_THROWS_WITH(nn::UpsamplingNearest2d({}), Catch::Contains("[UpsamplingNearest2d] neither"));
  CHECK_THROWS_WITH(nn::UpsamplingNearest2d({.scale_factor = 2})(ones({1, 1, 4})),
                    Catch::Contains("[UpsamplingNearest2d] shape (1, 1, 4) is not (N, C, H, W)"));
  CHECK_THROWS_WITH(nn::UpsamplingBilinear2d({.scale_factor = 2})(ones({1, 1, 4})),
                    Catch::Contains("bilinear takes 2"));
  CHECK_THROWS_AS(nn::Upsample({.size = {3, 4, 5}})(ones({1, 1, 4, 4})), ValueError);
  CHECK_THROWS_AS(nn::PixelShuffle(0), ValueError);
  CHECK_THROWS_AS(nn::PixelUnshuffle(0), ValueError);
  CHECK_THROWS_WITH(nn::PixelShuffle(2)(ones({1, 3, 2, 2})), Catch::Contains("the channels must be a multiple of 4"));
  CHECK_THROWS_WITH(nn::PixelUnshuffle(2)(ones({1, 3, 3, 2})), Catch::Contains("multiples of 2"));
  CHECK_THROWS_WITH(nn::SubPixelConv2d(1, 1, 0), Catch::Contains("[SubPixelConv2d] a factor of 0"));
}

TEST_CASE("a sub-pixel convolution is a transposed convolution with its elements in another order") {
  for (const auto& [r, k] : {std::pair<int64_t, int64_t>{2, 3}, {3, 3}, {2, 5}, {4, 1}}) {
    INFO("factor " << r << ", kernel " << k);
    nn::SubPixelConv2d up(2, 3, r, {.kernel_size = k, .icnr = false, .bias = false, .dtype = float64});
    nn::ConvTranspose2d transposed(2, 3, r * k,
                                   {.stride = r, .padding = r * (k - 1) / 2, .bias = false, .dtype = float64});
    const Tensor from = up.conv.weight.detach();
    Tensor to = transposed.weight.detach();
    for (int64_t co = 0; co < 3; ++co)
      for (int64_t i = 0; i < r; ++i)
        for (int64_t j = 0; j < r; ++j)
          for (int64_t u = 0; u < k; ++u)
            for (int64_t v = 0; v < k; ++v)
              to.index_put_({Slice(), co, r * (k - 1 - u) + i, r * (k - 1 - v) + j},
                            from.index({co * r * r + i * r + j, Slice(), u, v}));
    Tensor x = randn({2, 2, 4, 5}, float64);
    x.requires_grad_();
    const Tensor a = up(x), b = transposed(x), dy = randn(a.shape(), float64);
    REQUIRE(a.shape() == b.shape());
    CHECK(allclose(a, b, 1e-13, 1e-13));
    CHECK(allclose(grad({a}, {x}, {.gradients = {dy}})[0], grad({b}, {x}, {.gradients = {dy}})[0], 1e-13, 1e-13));
  }
}

TEST_CASE("ICNR starts a sub-pixel convolution as nearest-neighbour upsampling of one convolution") {
  for (int64_t r : {2, 3}) {
    nn::SubPixelConv2d up(2, 3, r, {.dtype = float64});
    CHECK(keys(up) == Names{"conv.weight", "conv.bias"});
    CHECK(up.conv.weight.shape() == Shape{3 * r * r, 2, 3, 3});
    nn::Conv2d one(2, 3, 3, {.padding = 1, .dtype = float64});
    for (int64_t o = 0; o < 3; ++o) {
      one.weight.detach()[o].copy_(up.conv.weight.detach()[o * r * r]);
      one.bias.detach()[o].copy_(up.conv.bias.detach()[o * r * r]);
    }
    const Tensor x = randn({2, 2, 4, 5}, float64);
    CHECK(allclose(up(x), interpolate(one(x), {.scale_factor = double(r)}), 1e-13, 1e-13));
    nn::SubPixelConv2d plain(2, 3, r, {.icnr = false, .dtype = float64});
    const Tensor y = plain(x),
                 blocks = interpolate(y.slice(2, 0, 100, r).slice(3, 0, 100, r), {.scale_factor = double(r)});
    CHECK(!allclose(y, blocks));
  }
  CHECK(to_string(nn::SubPixelConv2d(1, 1, 2)).find("SubPixelConv2d(upscale_factor = 2)") == 0);
  CHECK_THROWS_WITH(nn::init::icnr_(empty({6, 1, 3, 3}), 2), Catch::Contains("must be a multiple of 4"));
  CHECK_THROWS_AS(nn::init::icnr_(empty({4, 1, 3, 3}), 0), ValueError);
}
