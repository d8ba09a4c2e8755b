// Pooling against PyTorch's, by reference/make_spatial.py, and what it does at ties and when it is undone.
#include <cotangent/autograd/ops/pool.hpp>

#include <cmath>
#include <limits>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/cotangent.hpp>
#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tests/reference_cases.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;
namespace {

Tensor row(const Values& v) { return from_vector(v, {1, 1, int64_t(v.size())}); }

}  // namespace

TEST_CASE("pooling gives what PyTorch gives") {
  const Json cases("pool.json");
  REQUIRE(cases.size() == 25);
  for (const auto& test : cases)
    check_case(test, [&](const Tensors& inputs) {
      const auto& o = test["options"];
      const Tensor& x = inputs[0];
      const std::string op = test["op"];
      const int dims = op[op.size() - 2] - '0';
      const Spatial size = spatial_option(o, "output_size", {}), kernel = spatial_option(o, "kernel_size", {}),
                    stride = spatial_option(o, "stride", {}), padding = spatial_option(o, "padding", 0);
      const bool ceil = o.value("ceil_mode", false);
      const auto with_indices = [&](const MaxPool& y) {
        CHECK(y.indices.to_vector<int64_t>() == test["indices"][1].get<std::vector<int64_t>>());
        return y.values;
      };
      if (op.find("adaptive_avg") == 0)
        return dims == 1   ? adaptive_avg_pool1d(x, size)
               : dims == 2 ? adaptive_avg_pool2d(x, size)
                           : adaptive_avg_pool3d(x, size);
      if (op.find("adaptive_max") == 0)
        return with_indices(dims == 1   ? adaptive_max_pool1d_with_indices(x, size)
                            : dims == 2 ? adaptive_max_pool2d_with_indices(x, size)
                                        : adaptive_max_pool3d_with_indices(x, size));
      if (op.find("max_unpool") == 0) {
        const Tensor at = unpacked<int64_t>(test["at"]);
        const MaxUnpoolOptions options{stride, padding,
                                       o.contains("output_size") ? dims_of(o["output_size"]) : Shape{}};
        return dims == 1   ? max_unpool1d(x, at, kernel, options)
               : dims == 2 ? max_unpool2d(x, at, kernel, options)
                           : max_unpool3d(x, at, kernel, options);
      }
      if (op.find("max") == 0) {
        const MaxPoolOptions options{stride, padding, spatial_option(o, "dilation", 1), ceil};
        return with_indices(dims == 1   ? max_pool1d_with_indices(x, kernel, options)
                            : dims == 2 ? max_pool2d_with_indices(x, kernel, options)
                                        : max_pool3d_with_indices(x, kernel, options));
      }
      const AvgPoolOptions options{stride, padding, ceil, o.value("count_include_pad", true),
                                   o.value("divisor_override", int64_t(0))};
      return dims == 1   ? avg_pool1d(x, kernel, options)
             : dims == 2 ? avg_pool2d(x, kernel, options)
                         : avg_pool3d(x, kernel, options);
    });
}

TEST_CASE("pooling of 1 to 5") {
  const Tensor x = row({1, 2, 3, 4, 5});
  CHECK(avg_pool1d(x, 3, {.stride = 2, .padding = 1}).to_vector<double>() == Values{1, 3, 3});
  CHECK(avg_pool1d(x, 3, {.stride = 2, .padding = 1, .count_include_pad = false}).to_vector<double>() ==
        Values{1.5, 3, 4.5});
  CHECK(avg_pool1d(x, 2, {.stride = 2, .ceil_mode = true}).to_vector<double>() == Values{1.5, 3.5, 5});
  CHECK(max_pool1d(x, 3, {.stride = 2, .ceil_mode = true}).to_vector<double>() == Values{3, 5});
  CHECK(adaptive_avg_pool1d(row({0, 1, 2, 3, 4}), 3).to_vector<double>() == Values{.5, 2, 3.5});
  CHECK(adaptive_max_pool1d(row({0, 1, 2, 3, 4}), 3).to_vector<double>() == Values{1, 3, 4});
}

TEST_CASE("a window wholly in the padding has no element, and sends its gradient nowhere") {
  // a dilation beyond the input steps over it: windows at -1 and d - 1
  const auto check = [](const Tensor& x, const Spatial& padding, const Spatial& dilation, const Values& values,
                        const std::vector<int64_t>& indices, const Values& gradient) {
    for (Dtype dtype : {float64, float32, float16})
      for (bool twice : {false, true}) {
        const Tensor leaf = clone(x.to(dtype)).detach().requires_grad_();
        const MaxPoolOptions options{.stride = 1, .padding = padding, .dilation = dilation};
        const MaxPool y = x.rank() == 3   ? max_pool1d_with_indices(leaf, 2, options)
                          : x.rank() == 4 ? max_pool2d_with_indices(leaf, 2, options)
                                          : max_pool3d_with_indices(leaf, 2, options);
        CHECK(y.values.to_vector<double>() == values);
        CHECK(y.indices.to_vector<int64_t>() == indices);
        const Tensor dy = arange(1, y.values.numel() + 1, 1, dtype).view(y.values.shape());
        y.values.backward({.gradient = dy, .create_graph = twice});
        CHECK(leaf.grad().to_vector<double>() == gradient);
      }
  };
  check(row({5}), 1, 2, {-HUGE_VAL}, {-1}, {0});
  check(row({5, 6}), 2, 3, {6, -HUGE_VAL, 5}, {1, -1, 0}, {3, 1});
  check(from_vector(Values{1, 2, 3, 4}, {1, 1, 2, 2}), {1, 0}, {3, 1}, {-HUGE_VAL}, {-1}, {0, 0, 0, 0});
  check(from_vector(Values{1, 2, 3, 4}, {1, 1, 2, 2}), {0, 2}, {1, 3}, {4, -HUGE_VAL, 3}, {3, -1, 2}, {0, 0, 3, 1});
  check(from_vector(Values{7}, {1, 1, 1, 1, 1}), 1, 2, {-HUGE_VAL}, {-1}, {0});
}

TEST_CASE("of equal elements the first is the largest, and NaN wins") {
  const auto first = [](const Tensor& x) { return adaptive_max_pool1d_with_indices(x, 1).indices.item<int64_t>(); };
  CHECK(first(row({1, 7, 7, 2})) == 1);
  CHECK(first(row({1, std::nan(""), 7, 2})) == 1);
  CHECK(max_pool1d_with_indices(row({3, 3, 3}), 2, {.stride = 1}).indices.to_vector<int64_t>() ==
        std::vector<int64_t>{0, 1});
  // of a maximum that several windows share, the gradient is the sum over them
  Tensor x = row({0, 9, 1});
  max_pool1d(x.requires_grad_(), 2, {.stride = 1}).sum().backward();
  CHECK(x.grad().to_vector<double>() == Values{0, 2, 0});
}

TEST_CASE("global pooling is a mean and a maximum") {
  Generator generator(1);
  const Tensor x = randn({2, 3, 4, 5}, float64, generator);
  CHECK(allclose(adaptive_avg_pool2d(x, 1).flatten(1), mean(x, {2, 3}), 1e-12, 1e-12));
  CHECK(allclose(adaptive_max_pool2d(x, 1).flatten(1), amax(x.flatten(2), {2}), 0, 0));
}

TEST_CASE("pooling what was unpooled gives it back") {
  Generator generator(1);
  const Tensor x = rand({2, 3, 6, 8}, float64, generator);  // not negative
  const auto [y, indices] = max_pool2d_with_indices(x, 2);
  const Tensor z = max_unpool2d(y, indices, 2);
  CHECK(z.shape() == x.shape());
  CHECK(equal(max_pool2d(z, 2), y));
  const auto [w, at] = max_pool1d_with_indices(rand({3, 7}, float64, generator), 2);
  CHECK(equal(max_pool1d(max_unpool1d(w, at, 2, {.output_size = {7}}), 2), w));
}

TEST_CASE("the average pools pass the adjoint test") {
  check_adjoint({2, 2, 7}, [](const Tensor& x) { return avg_pool1d(x, 3, {.stride = 2, .ceil_mode = true}); });
  check_adjoint({1, 2, 5, 6}, [](const Tensor& x) {
    return avg_pool2d(x, {3, 2}, {.stride = {1, 2}, .padding = 1, .count_include_pad = false});
  });
  check_adjoint({1, 1, 3, 4, 5}, [](const Tensor& x) { return avg_pool3d(x, 2, {.stride = 1}); });
  check_adjoint({1, 2, 7, 5}, [](const Tensor& x) { return adaptive_avg_pool2d(x, {3, 9}); });
}

TEST_CASE("max_unpool refuses the indices of windows that overlap") {
  const auto [y, indices] = max_pool1d_with_indices(row({0, 9, 1}), 2, {.stride = 1});
  CHECK_THROWS_WITH(max_unpool1d(y, indices, 2, {.stride = 1}), Catch::Contains("index 1 occurs twice in a plane"));
  // the same index in other planes is no harm
  CHECK_NOTHROW(max_unpool1d(ones({2, 2, 1}), zeros({2, 2, 1}, int64), 2));
}

TEST_CASE("pooling of channels-last tensors equals that of planes, and its results lie alike") {
  Generator generator(1);
  const auto last = [](const Tensor& x) { return raw::in_format(x, MemoryFormat::channels_last); };
  struct Case {
    Shape x;
    int64_t kernel, stride, padding;  // a kernel of 0 is adaptive, to a result of the stride's size
  };
  for (const Case& c : {Case{{2, 5, 7, 9}, 3, 2, 1}, Case{{3, 33, 4, 4}, 0, 1, 0}, Case{{1, 2, 7, 5}, 0, 3, 0},
                        Case{{2, 1, 6, 6}, 2, 2, 0}, Case{{0, 3, 4, 4}, 2, 2, 0}, Case{{2, 37, 7, 9}, 3, 2, 1},
                        Case{{2, 70, 8, 6}, 2, 2, 0}, Case{{1, 16, 5, 6}, 3, 1, 1}, Case{{2, 129, 7, 5}, 2, 2, 0},
                        Case{{3, 31, 1, 1}, 1, 1, 0}, Case{{2, 47, 7, 5}, 0, 3, 0}, Case{{0, 47, 7, 5}, 2, 2, 0}})
    for (Dtype dtype : {float32, float64, bfloat16}) {
      CAPTURE(c.x, c.kernel, dtype);
      const double close = dtype == bfloat16 ? 1e-2 : 1e-6;
      const auto mean = [&](const Tensor& x) {
        return c.kernel == 0 ? adaptive_avg_pool2d(x, c.stride)
                             : avg_pool2d(x, c.kernel, {.stride = c.stride, .padding = c.padding});
      };
      const auto largest = [&](const Tensor& x) {
        return c.kernel == 0 ? adaptive_max_pool2d(x, c.stride)
                             : max_pool2d(x, c.kernel, {.stride = c.stride, .padding = c.padding});
      };
      const Tensor plane = randn(c.x, float64, generator).to(dtype);
      for (int which : {0, 1}) {
        const Tensor x = plane.clone().requires_grad_(), z = last(plane.clone()).requires_grad_();
        const Tensor y = which == 0 ? mean(x) : largest(x), v = which == 0 ? mean(z) : largest(z);
        CHECK(allclose(y, v, close, close));
        CHECK(raw::memory_format(v) == MemoryFormat::channels_last);
        const Tensor g = randn(y.shape(), float64, generator).to(dtype);
        y.backward(g);
        v.backward(g);
        CHECK(allclose(x.grad(), z.grad(), close, close));
        CHECK(raw::memory_format(z.grad()) == MemoryFormat::channels_last);
      }
    }
}

TEST_CASE("largest elements of channels-last tensors stand where those of planes do") {
  Generator generator(1);
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  for (int64_t channels : {3, 16, 39, 64})
    for (Dtype dtype : {float32, float64, float16}) {
      CAPTURE(channels, dtype);
      Tensor x = randint(0, 4, {2, channels, 9, 10}, int64, generator).to(dtype);  // many are equal
      x[0][1].fill_(-infinity);
      x[1][2][3][4].fill_(nan);
      x[1][0][0].fill_(nan);
      const Tensor last = x.contiguous(MemoryFormat::channels_last);
      for (const MaxPoolOptions& o : {MaxPoolOptions{.stride = 2}, MaxPoolOptions{.stride = 1, .padding = 1},
                                      MaxPoolOptions{.stride = {3, 2}, .dilation = 2},
                                      MaxPoolOptions{.stride = 4, .padding = 1, .ceil_mode = true}}) {
        const MaxPool expected = max_pool2d_with_indices(x, 3, o), got = max_pool2d_with_indices(last, 3, o);
        CHECK(equal(got.indices, expected.indices));
        CHECK(raw::memory_format(got.indices) == MemoryFormat::channels_last);
        CHECK(got.values.contiguous().to_vector<double>().size() == expected.values.to_vector<double>().size());
        CHECK(equal(isnan(got.values), isnan(expected.values)));
        CHECK(equal(where(isnan(got.values), 0, got.values), where(isnan(expected.values), 0, expected.values)));
      }
      CHECK(equal(adaptive_max_pool2d_with_indices(last, {4, 3}).indices,
                  adaptive_max_pool2d_with_indices(x, {4, 3}).indices));
    }
  // windows that lie wholly in the padding
  const Tensor x = randn({1, 20, 2, 9}, float32, generator);
  const MaxPoolOptions o{.stride = 1, .padding = {1, 0}, .dilation = {3, 1}};
  const MaxPool expected = max_pool2d_with_indices(x, {2, 1}, o),
                got = max_pool2d_with_indices(x.contiguous(MemoryFormat::channels_last), {2, 1}, o);
  CHECK(equal(got.indices, expected.indices));
  CHECK(equal(got.values, expected.values));
}

TEST_CASE("means of channels-last tensors count what those of planes count") {
  Generator generator(1);
  for (int64_t channels : {2, 16, 43}) {
    const Tensor x = randn({2, channels, 7, 10}, float64, generator), last = x.contiguous(MemoryFormat::channels_last);
    for (const AvgPoolOptions& o :
         {AvgPoolOptions{.stride = 2, .padding = 1},
          AvgPoolOptions{.stride = 2, .padding = 1, .count_include_pad = false},
          AvgPoolOptions{.stride = 3, .ceil_mode = true}, AvgPoolOptions{.stride = 1, .divisor_override = 5}}) {
      const Tensor a = x.clone().requires_grad_(), b = last.clone().requires_grad_();
      const Tensor y = avg_pool2d(a, {3, 2}, o), z = avg_pool2d(b, {3, 2}, o);
      CHECK(allclose(z, y, 1e-13, 1e-13));
      const Tensor g = randn(y.shape(), float64, generator);
      y.backward(g), z.backward(g);
      CHECK(allclose(b.grad(), a.grad(), 1e-13, 1e-13));
    }
  }
}

TEST_CASE("pools with extreme numbers are right or an error under their name") {
  const Tensor x = row({1, 5, 2, 3, 4});
  for (int64_t n :
       {INT64_MIN, -(int64_t{1} << 62), int64_t{-1}, int64_t{1} << 31, int64_t{1} << 32, int64_t{1} << 62, INT64_MAX}) {
    CAPTURE(n);
    CHECK_THAT(error_of([&] { max_pool1d(x, n); }), Catch::StartsWith("[max_pool1d]"));
    CHECK_THAT(error_of([&] { max_pool1d(x, 2, {.stride = n}); }), Catch::StartsWith("[max_pool1d]"));
    CHECK_THAT(error_of([&] { max_pool1d(x, 2, {.padding = n}); }), Catch::StartsWith("[max_pool1d]"));
    CHECK_THAT(error_of([&] { max_pool1d(x, 2, {.dilation = n}); }), Catch::StartsWith("[max_pool1d]"));
    CHECK_THAT(error_of([&] { avg_pool1d(x, n); }), Catch::StartsWith("[avg_pool1d]"));
    CHECK_THAT(error_of([&] { avg_pool1d(x, 2, {.stride = n}); }), Catch::StartsWith("[avg_pool1d]"));
    CHECK_THAT(error_of([&] { avg_pool1d(x, 2, {.padding = n}); }), Catch::StartsWith("[avg_pool1d]"));
    CHECK_THAT(error_of([&] { adaptive_avg_pool1d(x, n); }), Catch::StartsWith("[adaptive_avg_pool1d]"));
    CHECK_THAT(error_of([&] { adaptive_max_pool1d(x, n); }), Catch::StartsWith("[adaptive_max_pool1d]"));
    const MaxPool y = max_pool1d_with_indices(x, 2);
    CHECK_THAT(error_of([&] { max_unpool1d(y.values, y.indices, n); }), Catch::StartsWith("[max_unpool1d]"));
    CHECK_THAT(error_of([&] { max_unpool1d(y.values, y.indices, 2, {.stride = n}); }),
               Catch::StartsWith("[max_unpool1d]"));
    CHECK_THAT(error_of([&] { max_unpool1d(y.values, y.indices, 2, {.output_size = {n}}); }),
               Catch::StartsWith("[max_unpool1d]"));
  }
  CHECK(to_values(max_pool1d(x, 2, {.stride = INT32_MAX})) == Values{5});
  CHECK(to_values(max_pool1d(x, 2, {.stride = INT32_MAX, .ceil_mode = true})) == Values{5});
  CHECK(to_values(avg_pool1d(x, 5, {.stride = INT32_MAX})) == Values{3});
  CHECK_THAT(error_of([&] {
               adaptive_avg_pool1d(x.expand({int64_t{1} << 20, 1, 5}), INT32_MAX);
             }),
             Catch::StartsWith("[adaptive_avg_pool1d] there is no memory"));
}
