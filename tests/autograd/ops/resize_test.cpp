// Interpolation against PyTorch's, by reference/make_spatial.py; published values; pixel_shuffle.
#include <cotangent/autograd/ops/resize.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/ops/pool.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/cotangent.hpp>
#include <cotangent/tensor/copy.hpp>
#include <cotangent/tests/reference_cases.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;
namespace {

Interpolation mode_of(const std::string& text) {
  using enum Interpolation;
  for (Interpolation mode : {nearest, linear, bilinear, bicubic, trilinear, area})
    if (text == name(mode)) return mode;
  REQUIRE(text == "nearest-exact");
  return nearest_exact;
}

InterpolateOptions options_of(const Json& o) {
  InterpolateOptions options{.mode = mode_of(o["mode"])};
  if (o.contains("size")) options.size = o["size"].is_array() ? dims_of(o["size"]) : Shape{o["size"].get<int64_t>()};
  if (o.contains("scale_factor")) options.scale_factor = o["scale_factor"].get<double>();
  options.align_corners = o.value("align_corners", false);
  options.recompute_scale_factor = o.value("recompute_scale_factor", false);
  options.antialias = o.value("antialias", false);
  return options;
}

/// A row of numbers at another size; the modes for images see it as one.
Values resized(const Values& x, const InterpolateOptions& o) {
  using enum Interpolation;
  const bool image = o.mode == bilinear || o.mode == bicubic;
  const auto n = int64_t(x.size());
  InterpolateOptions options = o;
  if (image && o.size.rank() == 1) options.size = {1, o.size[0]};
  return interpolate(from_vector(x, image ? Shape{1, 1, 1, n} : Shape{1, 1, n}), options).to_vector<double>();
}

void check_values(const Values& y, const Values& expected, double tolerance = 1e-6) {
  REQUIRE(y.size() == expected.size());
  for (size_t i = 0; i < y.size(); ++i) CHECK(y[i] == Approx(expected[i]).margin(tolerance));
}

}  // namespace

TEST_CASE("interpolation and pixel shuffling give what PyTorch gives") {
  const Json cases("resize.json");
  REQUIRE(cases.size() == 66);
  for (const auto& test : cases) {
    if (test["op"] == "taken") continue;
    check_case(test, [&](const Tensors& x) {
      const auto& o = test["options"];
      return test["op"] == "interpolate"     ? interpolate(x[0], options_of(o))
             : test["op"] == "pixel_shuffle" ? pixel_shuffle(x[0], o["factor"].get<int64_t>())
                                             : pixel_unshuffle(x[0], o["factor"].get<int64_t>());
    });
  }
}

TEST_CASE("the nearest modes take the inputs that PyTorch takes, and give the gradient back to them") {
  const Json reference("resize.json");
  for (const auto& test : reference.back()["cases"]) {
    INFO(test);
    Tensor x = arange(0, test["n"].get<int64_t>(), 1, float32).view({1, 1, -1});
    const Tensor y = interpolate(x.requires_grad_(), options_of(test));
    const auto taken = test["taken"].get<std::vector<int64_t>>();
    CHECK(y.to_vector<int64_t>() == taken);
    y.backward(ones_like(y));
    std::vector<int64_t> counts(size_t(x.numel()), 0);
    for (int64_t i : taken) ++counts[size_t(i)];
    CHECK(x.grad().to_vector<int64_t>() == counts);
  }
}

TEST_CASE("1, 2, 4, 8 at other sizes") {
  using enum Interpolation;
  const Values x{1, 2, 4, 8};
  check_values(resized(x, {.size = {8}, .mode = linear}), {1, 1.25, 1.75, 2.5, 3.5, 5, 7, 8});
  check_values(resized(x, {.size = {8}, .mode = linear, .align_corners = true}),
               {1, 1.428571, 1.857143, 2.571429, 3.428571, 4.571429, 6.285714, 8});
  check_values(resized(x, {.size = {8}, .mode = bicubic}),
               {.89453125, 1.15625, 1.5625, 2.41796875, 3.16015625, 5.1171875, 7.1640625, 8.421875}, 1e-12);
  CHECK(resized(x, {.size = {6}, .mode = nearest}) == Values{1, 1, 2, 4, 4, 8});
  CHECK(resized(x, {.size = {6}, .mode = nearest_exact}) == Values{1, 2, 2, 4, 8, 8});
  check_values(resized(x, {.size = {6}, .mode = linear}), {1, 1.5, 2.333333, 3.666667, 6, 8});
  CHECK(resized(x, {.size = {3}, .mode = nearest}) == Values{1, 2, 4});
  CHECK(resized(x, {.size = {3}, .mode = nearest_exact}) == Values{1, 4, 8});
  check_values(resized(x, {.size = {3}, .mode = linear}), {1.166667, 3, 7.333333});
}

TEST_CASE("a scale factor gives the positions, unless they are recomputed from the sizes") {
  using enum Interpolation;
  const Values x{0, 1, 2, 3, 4};
  const Values given = resized(x, {.scale_factor = 2.3, .mode = linear}),
               recomputed = resized(x, {.scale_factor = 2.3, .mode = linear, .recompute_scale_factor = true});
  CHECK(given.size() == 11);
  CHECK(given[1] == Approx(.152174).margin(1e-6));
  CHECK(recomputed[1] == Approx(.181818).margin(1e-6));
}

TEST_CASE("a scale factor that keeps or doubles the size still gives the positions") {
  using enum Interpolation;
  const Values x{0, 1, 2};
  CHECK(resized(x, {.scale_factor = 1.1}) == Values{0, 0, 1});  // floor(o / 1.1)
  CHECK(resized(x, {.scale_factor = 1.3}) == Values{0, 0, 1});
  CHECK(resized(x, {.scale_factor = 2.1}) == Values{0, 0, 0, 1, 1, 2});
  CHECK(resized(x, {.scale_factor = 1.3, .mode = nearest_exact}) == Values{0, 1, 1});
  for (double factor : {1.1, 2.1}) {
    CHECK(resized(x, {.scale_factor = factor, .recompute_scale_factor = true}) ==
          resized(x, {.scale_factor = std::floor(factor)}));
    const Tensor leaf = arange(0, 3, 1, float64).view({1, 1, 3, 1}).requires_grad_();
    const Tensor y = interpolate(leaf, {.scale_factor = {factor, 1}});
    CHECK(y.to_vector<double>() == resized(x, {.scale_factor = factor}));
    y.sum().backward();
    CHECK(leaf.grad().to_vector<double>() == (factor < 2 ? Values{2, 1, 0} : Values{3, 2, 1}));
  }
}

TEST_CASE("antialiasing averages over what an output covers") {
  using enum Interpolation;
  const Values x{0, 1, 2, 3, 4, 5, 6, 7};
  check_values(resized(x, {.size = {4}, .mode = bilinear}), {.5, 2.5, 4.5, 6.5});
  check_values(resized(x, {.size = {4}, .mode = bilinear, .antialias = true}), {.714286, 2.5, 4.5, 6.285714});
  CHECK(resized(x, {.size = {3}, .mode = area}) == Values{1, 3.5, 6});
}

TEST_CASE("the cubic kernel of -0.75 neither keeps ramps nor the range") {
  using enum Interpolation;
  // a quarter of the way from 0 to 1, between two more inputs on either side
  Values weights;
  for (size_t k = 0; k < 4; ++k) {
    Values x(6, 0.0);
    x[k + 1] = 1;
    weights.push_back(resized(x, {.size = {12}, .mode = bicubic})[5]);  // at (5 + .5)/2 - .5 = 2.25
  }
  check_values(weights, {-.10546875, .87890625, .26171875, -.03515625}, 1e-15);
  CHECK(resized({-2, -1, 0, 1, 2, 3}, {.size = {12}, .mode = bicubic})[5] == Approx(.296875).epsilon(1e-12));
  const Values edge = resized({0, 0, 0, 1, 1, 1}, {.size = {12}, .mode = bicubic});
  CHECK(*std::max_element(edge.begin(), edge.end()) > 1.05);
  CHECK(*std::min_element(edge.begin(), edge.end()) < -0.05);
}

TEST_CASE("every mode passes the adjoint test and keeps constants") {
  using enum Interpolation;
  const auto check = [](const Shape& shape, InterpolateOptions o) {
    INFO(name(o.mode) << (o.align_corners ? ", corners" : "") << (o.antialias ? ", antialias" : ""));
    check_adjoint(shape, [&](const Tensor& x) { return interpolate(x, o); });
    const Tensor y = interpolate(full(shape, 3, float64), o);
    CHECK(allclose(y, full(y.shape(), 3, float64), 1e-14, 1e-14));
  };
  const Shape shapes[] = {{2, 2, 6}, {2, 2, 5, 6}, {1, 2, 3, 4, 5}}, sizes[] = {{13}, {11, 4}, {7, 2, 6}};
  for (int i = 0; i < 3; ++i) {
    for (Interpolation mode : {nearest, nearest_exact, area, i == 0 ? linear : i == 1 ? bilinear : trilinear}) {
      check(shapes[i], {.size = sizes[i], .mode = mode});
      check(shapes[i], {.scale_factor = 1.7, .mode = mode});
    }
    check(shapes[i], {.size = sizes[i],
                      .mode = i == 0   ? linear
                              : i == 1 ? bilinear
                                       : trilinear,
                      .align_corners = true});
  }
  for (Interpolation mode : {bilinear, bicubic})
    for (bool corners : {false, true})
      for (bool antialias : {false, true})
        for (const Shape& size : {Shape{11, 4}, Shape{3, 13}, Shape{2, 3}})
          check(shapes[1], {.size = size, .mode = mode, .align_corners = corners, .antialias = antialias});
  // many more outputs than inputs: more than 2 n^2 of them, where corners are aligned
  for (int64_t n : {2, 3, 4}) check({1, 1, n}, {.size = {2 * n * n + 3}, .mode = linear, .align_corners = true});
}

TEST_CASE("area is adaptive average pooling, and a size that stays gives the same") {
  using enum Interpolation;
  Generator generator(1);
  const Tensor x = randn({2, 3, 7, 5}, float64, generator);
  CHECK(allclose(interpolate(x, {.size = {3, 8}, .mode = area}), adaptive_avg_pool2d(x, {3, 8}), 1e-14, 1e-14));
  for (Interpolation mode : {nearest, nearest_exact, bilinear, bicubic, area})
    CHECK(allclose(interpolate(x, {.size = {7, 5}, .mode = mode}), x, 1e-14, 1e-14));
}

TEST_CASE("pixel_shuffle and pixel_unshuffle are inverse permutations") {
  const Tensor x = arange(16).to(float64).view({1, 4, 2, 2});
  CHECK(pixel_shuffle(x, 2).to_vector<double>() == Values{0, 4, 1, 5, 8, 12, 9, 13, 2, 6, 3, 7, 10, 14, 11, 15});
  Generator generator(1);
  const Tensor y = randn({2, 18, 3, 6}, float64, generator), square = randn({2, 18, 3, 6}, float64, generator);
  CHECK(equal(pixel_unshuffle(pixel_shuffle(y, 3), 3), y));
  CHECK(equal(pixel_shuffle(pixel_unshuffle(y, 3), 3), y));
  CHECK((pixel_shuffle(y, 3) * pixel_shuffle(y, 3)).sum().item() == Approx((y * y).sum().item()).epsilon(1e-13));
  check_adjoint({2, 18, 3, 6}, [](const Tensor& v) { return pixel_shuffle(v, 3); });
  for (int64_t channels : {1, 2, 3, 6})
    CHECK_THROWS_WITH(pixel_shuffle(ones({1, channels, 2, 2}), 2), Catch::Contains("must be a multiple of 4"));
  CHECK_THROWS_AS(pixel_shuffle(x, 0), ValueError);
  CHECK_THROWS_AS(pixel_unshuffle(x, 0), ValueError);
  CHECK_THROWS_AS(pixel_shuffle(ones({4, 4}), 2), ShapeError);
}

TEST_CASE("channels-last images are resized and shuffled as planes are, and stay channels-last") {
  Generator generator(1);
  const auto check = [&](const Tensor& x, const auto& f) {
    const Tensor a = x.clone().requires_grad_(),
                 b = raw::in_format(x.clone(), MemoryFormat::channels_last).requires_grad_();
    const Tensor y = f(a), z = f(b);
    const double close = x.dtype() == float64 ? 1e-13 : x.dtype() == float32 ? 1e-5 : 2e-2;
    CHECK(allclose(z, y, close, close));
    CHECK(raw::memory_format(z) == MemoryFormat::channels_last);
    const Tensor g = randn(y.shape(), float64, generator).to(x.dtype());
    y.backward(g), z.backward(raw::in_format(g, MemoryFormat::channels_last));
    CHECK(allclose(b.grad(), a.grad(), close, close));
    CHECK(raw::memory_format(b.grad()) == MemoryFormat::channels_last);
  };
  for (Dtype dtype : {float32, float64, bfloat16})
    for (int64_t channels : {1, 3, 8, 35})
      for (const Shape& plane : {Shape{5, 7}, Shape{1, 6}, Shape{16, 17}}) {
        CAPTURE(dtype, channels, plane);
        const Tensor x = randn({2, channels, plane[0], plane[1]}, float64, generator).to(dtype);
        for (Interpolation mode : {Interpolation::nearest, Interpolation::nearest_exact, Interpolation::bilinear,
                                   Interpolation::bicubic, Interpolation::area}) {
          CAPTURE(name(mode));
          check(x, [&](const Tensor& t) { return interpolate(t, {.scale_factor = 2, .mode = mode}); });
          check(x, [&](const Tensor& t) { return interpolate(t, {.size = {3, 11}, .mode = mode}); });
        }
        check(x, [&](const Tensor& t) {
          return interpolate(t, {.size = {4, 3}, .mode = Interpolation::bilinear, .antialias = true});
        });
      }
  for (int64_t channels : {9, 18, 99}) {
    const Tensor x = randn({2, channels, 6, 3}, float64, generator);
    check(x, [](const Tensor& t) { return pixel_shuffle(t, 3); });
    check(x, [](const Tensor& t) { return pixel_unshuffle(t, 3); });
  }
}

TEST_CASE("extreme factors are errors") {
  const Tensor x = ones({1, 4, 2, 2}), none = ones({1, 0, 2, 2});
  for (int64_t n :
       {INT64_MIN, int64_t{-1}, int64_t{0}, int64_t{1} << 31, int64_t{1} << 32, int64_t{1} << 62, INT64_MAX}) {
    CHECK_THROWS_WITH(pixel_shuffle(x, n), Catch::StartsWith("[pixel_shuffle]"));
    CHECK_THROWS_WITH(pixel_unshuffle(x, n), Catch::StartsWith("[pixel_unshuffle]"));
    CHECK_THROWS_WITH(interpolate(x, {.size = {n, n}}), Catch::StartsWith("[interpolate]"));
  }
  CHECK_THROWS_WITH(pixel_shuffle(none, int64_t{1} << 31), Catch::StartsWith("[pixel_shuffle]"));
  CHECK(pixel_shuffle(none, 2).shape() == Shape{1, 0, 4, 4});
}

TEST_CASE("interpolate takes floating tensors of one to three spatial dimensions") {
  CHECK(error_of([] {
          interpolate(ones({1, 1, 4}, int64), {.size = {2}});
        }) == "[interpolate] takes a floating tensor, got int64; convert it with to()");
  CHECK(error_of([] {
          interpolate(ones({1, 4}), {.size = {2}});
        }) == "[interpolate] shape (1, 4) is not (N, C, W), (N, C, H, W) or (N, C, D, H, W)");
}
