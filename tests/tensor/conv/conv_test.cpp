#include <cotangent/tensor/conv/conv.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>

using namespace cotangent;

namespace {

/// Small integers, so that sums are exact in float32 and any order of them gives the same.
Tensor integers(const Shape& shape, Dtype dtype, uint32_t seed) {
  Tensor x = zeros(shape, float64);
  double* p = x.data<double>();
  for (int64_t i = 0; i < x.numel(); ++i) seed = seed * 1664525u + 1013904223u, p[i] = static_cast<int>(seed >> 29) - 3;
  return raw::cast(x, dtype);
}

/// Calls f(place in y, place in x, place in w) for every product that a convolution of two dimensions sums.
template <class F>
void for_products(const Shape& x, const Shape& w, const Shape& y, const raw::ConvGeometry& g, F&& f) {
  const int64_t rows = w[0] / g.groups;
  for (int64_t n = 0; n < x[0]; ++n)
    for (int64_t o = 0; o < w[0]; ++o)
      for (int64_t c = 0; c < w[1]; ++c)
        for (int64_t i = 0; i < y[2]; ++i)
          for (int64_t j = 0; j < y[3]; ++j)
            for (int64_t a = 0; a < w[2]; ++a)
              for (int64_t b = 0; b < w[3]; ++b) {
                const int64_t row = i * g.stride[1] - g.padding[1] + a * g.dilation[1];
                const int64_t column = j * g.stride[2] - g.padding[2] + b * g.dilation[2];
                if (row < 0 || row >= x[2] || column < 0 || column >= x[3]) continue;
                f(((n * w[0] + o) * y[2] + i) * y[3] + j,
                  ((n * x[1] + o / rows * w[1] + c) * x[2] + row) * x[3] + column,
                  ((o * w[1] + c) * w[2] + a) * w[3] + b);
              }
}

bool equal(const Tensor& a, const std::vector<double>& b) {
  const Tensor wide = raw::contiguous(raw::cast(a, float64));
  return std::equal(b.begin(), b.end(), wide.data<double>(), wide.data<double>() + wide.numel());
}

}  // namespace

TEST_CASE("convolutions and both their gradients equal the definition for every geometry, in both formats") {
  struct Case {
    Shape x, w;
    Spatial stride, padding, dilation;
    int64_t groups;
  };
  std::vector<Case> cases = {
      {{2, 3, 9, 11}, {5, 3, 3, 3}, 1, 1, 1, 1},             // less than a tile of rows
      {{3, 6, 28, 28}, {10, 6, 3, 3}, 1, 1, 1, 1},           // panels over the ends of rows
      {{17, 8, 4, 4}, {56, 8, 1, 1}, 1, 0, 1, 1},            // units of several images, packed rows
      {{1, 2, 70, 65}, {5, 2, 3, 5}, {2, 1}, {1, 2}, 1, 1},  // bands of one image
      {{2, 4, 13, 9}, {6, 2, 2, 3}, {1, 2}, 2, {2, 1}, 2},
      {{2, 1, 12, 30}, {4, 1, 7, 7}, 2, 3, 1, 1},
      {{3, 5, 28, 28}, {5, 1, 3, 3}, 1, 1, 1, 5},       // one channel a group, columns of vectors
      {{2, 3, 7, 5}, {3, 1, 3, 3}, 1, 1, 1, 3},         // rows shorter than a vector
      {{2, 3, 8, 16}, {6, 1, 3, 3}, 1, 0, 1, 3},        // two rows a channel
      {{1, 2, 90, 33}, {2, 1, 3, 3}, 1, 1, 1, 2},       // in bands
      {{2, 3, 15, 14}, {3, 1, 3, 3}, 2, 1, 1, 3},       // a gradient with zeros in between
      {{1, 2, 90, 61}, {2, 1, 3, 3}, {2, 3}, 1, 1, 2},  // the same in bands
      {{2, 3, 20, 17}, {3, 1, 5, 3}, {3, 2}, 2, {1, 2}, 3},
      {{3, 17, 14, 15}, {19, 17, 3, 3}, 1, 1, 1, 1},  // Winograd's tiles, the last of which are not whole
      {{2, 32, 11, 8}, {48, 16, 3, 3}, 1, {2, 0}, 1, 2},
      {{1, 16, 130, 67}, {16, 16, 3, 3}, 1, 0, 1, 1},  // in bands
      {{19, 20, 7, 4}, {33, 20, 3, 3}, 1, 1, 1, 1},
      {{3, 9, 28, 30}, {10, 9, 4, 4}, 2, 1, 1, 1},    // phases of one size, lines that fill vectors
      {{5, 36, 12, 28}, {32, 18, 4, 4}, 2, 1, 1, 2},  // Winograd's tiles of 3 x 3 results, with a stride
      {{2, 17, 61, 66}, {19, 17, 4, 4}, 2, 1, 1, 1},
      {{3, 18, 33, 30}, {16, 18, 4, 4}, 2, {2, 0}, 1, 1},  // where a tile begins with another phase
      {{2, 16, 31, 51}, {16, 16, 4, 4}, 2, {0, 3}, 1, 1},
      {{2, 16, 24, 24}, {19, 16, 3, 3}, 2, 1, 1, 1},  // kinds of fewer taps
      {{3, 34, 48, 30}, {32, 17, 3, 3}, 2, {0, 2}, 1, 2},
      {{2, 17, 23, 49}, {16, 17, 4, 3}, 2, {2, 1}, 1, 1},
      {{2, 17, 14, 15}, {18, 17, 5, 5}, 1, 2, 1, 1},  // pieces of the taps
      {{3, 32, 16, 9}, {34, 16, 3, 5}, 1, {0, 3}, 1, 2},
      {{1, 16, 70, 24}, {16, 16, 7, 6}, 1, 3, 1, 1},
      {{2, 16, 24, 24}, {16, 16, 6, 6}, 2, 2, 1, 1},
      {{2, 16, 28, 20}, {17, 16, 3, 3}, 1, 2, 2, 1},  // images of one remainder by the dilation
      {{1, 36, 24, 33}, {32, 18, 3, 3}, 1, {0, 3}, 3, 2},
      {{3, 5, 20, 17}, {7, 5, 1, 1}, 1, 0, 1, 1},      // products; the weight's gradient in chunks of rows
      {{1, 129, 3, 5}, {257, 129, 1, 1}, 1, 0, 1, 1},  // and in one
      {{2, 1, 6, 5}, {9, 1, 1, 1}, 1, 0, 1, 1},
      {{2, 9, 6, 5}, {1, 9, 1, 1}, 1, 0, 1, 1},
      {{5, 9, 1, 1}, {6, 9, 1, 1}, 1, 0, 1, 1},
      {{2, 9, 6, 5}, {4, 9, 1, 1}, {2, 3}, {1, 0}, 1, 1},  // pixels gathered into rows
      {{7, 1, 13, 28}, {6, 1, 3, 3}, 1, 1, 1, 1},
      {{2, 3, 10, 5}, {5, 3, 2, 3}, {1, 2}, {2, 4}, {3, 2}, 1},
      {{2, 3, 2, 3}, {5, 3, 3, 4}, {1, 2}, {5, 3}, 1, 1},  // some of them in the margin
      {{0, 3, 4, 5}, {6, 3, 1, 1}, 1, 0, 1, 1},
      {{2, 3, 4, 5}, {0, 3, 1, 1}, 1, 0, 1, 1},
      {{2, 0, 4, 5}, {6, 0, 1, 1}, 1, 0, 1, 1},
  };
  for (int64_t width : {1, 2, 3, 4, 6, 7, 8, 13, 14, 16, 17, 28, 31, 32, 33, 50, 63, 65, 66})  // vectors and their ends
    for (int64_t stride : {1, 2})
      for (int64_t height : {1, 6, 7}) cases.push_back({{9, 3, height, width}, {3, 1, 3, 3}, stride, 1, 1, 3});
  for (int64_t channels : {4, 5, 16, 31, 37})  // one channel a group, in vectors of channels
    for (int64_t stride : {1, 2, 3})
      for (int64_t taps : {1, 3, 4, 5})
        for (int64_t dilation : {1, 2})
          cases.push_back({{3, channels, 9, 13},
                           {channels, 1, taps, 3},
                           {stride, stride % 3 + 1},
                           {taps / 2, dilation},
                           {dilation, 1},
                           channels});
  for (const Dims& size : {Dims{8, 6}, Dims{9, 13}, Dims{3, 2}, Dims{1, 2}, Dims{2, 1}, Dims{1, 1}})
    for (int64_t channels : {5, 37})
      for (int64_t stride : {1, 2})  // whole rows of pixels
        cases.push_back({{3, channels, size[0], size[1]}, {channels, 1, 3, 3}, stride, 1, 1, channels});
  cases.push_back({{2, 37, 40, 43}, {37, 1, 3, 3}, 1, 1, 1, 37});  // in bands
  cases.push_back({{2, 37, 40, 43}, {37, 1, 3, 3}, 2, 1, 1, 37});
  cases.push_back({{70, 36, 4, 3}, {36, 1, 3, 3}, 1, 1, 1, 36});  // several images at once
  cases.push_back({{70, 36, 3, 4}, {36, 1, 3, 3}, 2, 1, 1, 36});
  cases.push_back({{3, 6, 1, 1}, {6, 1, 3, 3}, 1, 1, 1, 6});
  cases.push_back({{3, 6, 2, 1}, {6, 1, 5, 7}, 2, {4, 3}, 1, 6});  // some results read margins alone
  for (const Case& c : cases)
    for (Dtype dtype : {float32, float64}) {
      CAPTURE(c.x, c.w, c.groups, dtype);
      raw::ConvGeometry g = raw::conv_geometry("conv2d", 2, c.stride, c.padding, c.dilation, c.groups);
      const Tensor x = integers(c.x, dtype, 1), w = integers(c.w, dtype, 2), bias = integers({c.w[0]}, dtype, 3),
                   shift = integers({c.x[1]}, dtype, 5);
      const Tensor y = raw::conv("conv2d", x, w, bias, g), dy = integers(y.shape(), dtype, 4);
      const Tensor dx = raw::conv_input_grad("conv2d", dy, w, shift, x.shape(), g),
                   dw = raw::conv_weight_grad("conv2d", dy, x, w.shape(), g);
      const Tensor x64 = raw::cast(x, float64), w64 = raw::cast(w, float64), b64 = raw::cast(bias, float64),
                   dy64 = raw::cast(dy, float64), shift64 = raw::cast(shift, float64);
      const double *px = x64.data<double>(), *pw = w64.data<double>(), *pb = b64.data<double>(),
                   *pg = dy64.data<double>(), *ps = shift64.data<double>();
      const int64_t pixels = y.shape()[2] * y.shape()[3], x_pixels = c.x[2] * c.x[3];
      std::vector<double> result(static_cast<size_t>(y.numel())), input(static_cast<size_t>(x.numel())),
          weight(static_cast<size_t>(w.numel()));
      for (size_t i = 0; i < result.size(); ++i) result[i] = pb[static_cast<int64_t>(i) / pixels % c.w[0]];
      for (size_t i = 0; i < input.size(); ++i) input[i] = ps[static_cast<int64_t>(i) / x_pixels % c.x[1]];
      for_products(c.x, c.w, y.shape(), g, [&](int64_t at_y, int64_t at_x, int64_t at_w) {
        result[static_cast<size_t>(at_y)] += px[at_x] * pw[at_w];
        input[static_cast<size_t>(at_x)] += pg[at_y] * pw[at_w];
        weight[static_cast<size_t>(at_w)] += pg[at_y] * px[at_x];
      });
      CHECK(equal(y, result));
      CHECK(equal(dx, input));
      CHECK(equal(dw, weight));
      std::vector<double> unshifted = input;
      for (size_t i = 0; i < input.size(); ++i) unshifted[i] -= ps[static_cast<int64_t>(i) / x_pixels % c.x[1]];
      const auto check_both = [&](const raw::ConvGradients& both) {
        CHECK(equal(both.x, unshifted));
        CHECK(equal(both.w, weight));
      };
      check_both(raw::conv_grads("conv2d", dy, x, w, g));

      g.format = MemoryFormat::channels_last;
      const Tensor lasts = raw::in_format(x, g.format), gradient = raw::in_format(dy, g.format);
      check_both(raw::conv_grads("conv2d", gradient, lasts, w, g));
      check_both(raw::conv_grads("conv2d", gradient, raw::clone(lasts), w, g));  // in the memory of x
      for (const Tensor& v : {raw::conv("conv2d", lasts, w, bias, g), raw::conv("conv2d", x, w, bias, g)}) {
        CHECK(equal(v, result));
        CHECK(v.is_contiguous(g.format));
        CHECK((raw::memory_format(v) == g.format || v.numel() == v.shape()[0] || v.numel() == 0));
      }
      for (const Tensor& v : {raw::conv_input_grad("conv2d", gradient, w, shift, x.shape(), g),
                              raw::conv_input_grad("conv2d", dy, w, shift, x.shape(), g)}) {
        CHECK(equal(v, input));
        CHECK((raw::memory_format(v) == g.format || v.numel() == v.shape()[0] || v.numel() == 0));
      }
      CHECK(equal(raw::conv_weight_grad("conv2d", gradient, lasts, w.shape(), g), weight));
      CHECK(raw::conv_weight_grad("conv2d", dy, x, w.shape(), g).is_contiguous());
    }
}

TEST_CASE("channels-last convolutions give the same bits on any number of threads", "[threads]") {
  Generator generator(1);
  const int before = num_threads();
  for (const Shape& shape : {Shape{48, 37, 1, 1}, Shape{40, 37, 3, 3}, Shape{24, 3, 3, 3}, Shape{300, 150, 1, 1},
                             Shape{37, 1, 3, 3}, Shape{36, 1, 3, 3}, Shape{37, 1, 5, 5}}) {
    const int64_t groups = shape[1] == 1 ? shape[0] : 1, stride = shape[0] == 36 ? 2 : 1;
    CAPTURE(shape);
    raw::ConvGeometry g = raw::conv_geometry("conv2d", 2, stride, shape[2] / 2, 1, groups);
    g.format = MemoryFormat::channels_last;
    const Tensor x = raw::in_format(randn({9, groups * shape[1], 14, 13}, float32, generator), g.format),
                 w = randn(shape, float32, generator), bias = randn({shape[0]}, float32, generator);
    std::vector<std::vector<float>> runs;
    for (int threads : {1, 2, 3}) {
      set_num_threads(threads);
      const Tensor y = raw::conv("conv2d", x, w, bias, g);
      const raw::ConvGradients both = raw::conv_grads("conv2d", y, x, w, g);
      for (const Tensor& v : {y, raw::conv_input_grad("conv2d", y, w, Tensor(), x.shape(), g),
                              raw::conv_weight_grad("conv2d", y, x, w.shape(), g), both.x, both.w})
        runs.push_back(v.to_vector<float>());
    }
    for (size_t i = 5; i < runs.size(); ++i) CHECK(runs[i] == runs[i % 5]);
  }
  set_num_threads(before);
}

TEST_CASE("channels-last convolutions take low precision, and round once") {
  raw::ConvGeometry g = raw::conv_geometry("conv2d", 2, 1, 0, 1, 1);
  g.format = MemoryFormat::channels_last;
  const Tensor x = raw::in_format(integers({3, 5, 4, 7}, bfloat16, 1), g.format),
               w = integers({6, 5, 1, 1}, bfloat16, 2);
  const Tensor y = raw::conv("conv2d", x, w, Tensor(), g);
  CHECK(y.dtype() == bfloat16);
  CHECK(raw::memory_format(y) == g.format);
  g.format = MemoryFormat::contiguous;
  CHECK(y.to_vector<float>() ==
        raw::cast(raw::conv("conv2d", raw::cast(x, float32), raw::cast(w, float32), Tensor(), g), bfloat16)
            .to_vector<float>());
}

TEST_CASE("convolutions over slices are sums of those of each slice") {
  const raw::ConvGeometry g = raw::conv_geometry("conv3d", 3, 1, {1, 1, 0}, 1, 2),
                          flat = raw::conv_geometry("conv2d", 2, 1, {1, 0}, 1, 2);
  for (Dtype dtype : {float32, float64}) {
    const Tensor x = integers({2, 32, 5, 9, 10}, dtype, 1), w = integers({34, 16, 3, 3, 3}, dtype, 2);
    const Tensor y = raw::conv("conv3d", x, w, Tensor(), g), dy = integers(y.shape(), dtype, 3);
    const Tensor dx = raw::conv_input_grad("conv3d", dy, w, Tensor(), x.shape(), g),
                 dw = raw::conv_weight_grad("conv3d", dy, x, w.shape(), g);
    Tensor sum = zeros(y.shape(), dtype), dx_sum = zeros(x.shape(), dtype), dw_sum = zeros(w.shape(), dtype);
    const auto add = [](const Tensor& to, const Tensor& part) {
      raw::binary_into("add", raw::Binary::add, to, part, to);
    };
    for (int64_t i = 0; i < 5; ++i)
      for (int64_t k = std::max<int64_t>(0, 1 - i); k < std::min<int64_t>(3, 6 - i); ++k) {
        const Tensor xs = x.select(2, i + k - 1), ws = w.select(2, k), dys = dy.select(2, i);
        add(sum.select(2, i), raw::conv("conv2d", xs, ws, Tensor(), flat));
        add(dx_sum.select(2, i + k - 1), raw::conv_input_grad("conv2d", dys, ws, Tensor(), xs.shape(), flat));
        add(dw_sum.select(2, k), raw::conv_weight_grad("conv2d", dys, xs, ws.shape(), flat));
      }
    CHECK(y.to_vector<double>() == sum.to_vector<double>());
    CHECK(dx.to_vector<double>() == dx_sum.to_vector<double>());
    CHECK(dw.to_vector<double>() == dw_sum.to_vector<double>());
  }
}

TEST_CASE("Winograd's tiles round little more than sums in order do") {
  const auto distance = [](const Tensor& a, const Tensor& b) {  // of float32 from float64
    double most = 0;
    for (int64_t i = 0; i < a.numel(); ++i) most = std::max(most, std::abs(a.data<float>()[i] - b.data<double>()[i]));
    return most;
  };
  Generator generator(1);
  struct Case {
    int64_t side, taps, stride;
    double bound;
  };
  // tiles of 2 x 2 results, also of pieces of the taps, and of 3 x 3
  for (const Case& c : {Case{14, 3, 1, 1e-4}, Case{14, 5, 1, 2e-4}, Case{28, 4, 2, 2e-4}}) {
    const raw::ConvGeometry g = raw::conv_geometry("conv2d", 2, c.stride, (c.taps - 1) / 2, 1, 1);
    const Tensor x = randn({2, 64, c.side, c.side}, float32, generator),
                 w = randn({64, 64, c.taps, c.taps}, float32, generator),
                 dy = randn({2, 64, c.side / c.stride, c.side / c.stride}, float32, generator);
    const Tensor x64 = raw::cast(x, float64), w64 = raw::cast(w, float64), dy64 = raw::cast(dy, float64);
    // each is a sum of some 500 or 1000 products of normal numbers, and the largest is about 100
    CHECK(distance(raw::conv("conv2d", x, w, {}, g), raw::conv("conv2d", x64, w64, {}, g)) < c.bound);
    CHECK(distance(raw::conv_input_grad("conv2d", dy, w, {}, x.shape(), g),
                   raw::conv_input_grad("conv2d", dy64, w64, {}, x.shape(), g)) < c.bound);
    CHECK(distance(raw::conv_weight_grad("conv2d", dy, x, w.shape(), g),
                   raw::conv_weight_grad("conv2d", dy64, x64, w.shape(), g)) < c.bound);
  }
}
