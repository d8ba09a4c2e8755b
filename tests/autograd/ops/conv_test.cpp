// Convolutions against PyTorch's, by reference/make_spatial.py, and the identities between them.
#include <cotangent/autograd/ops/conv.hpp>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/norm.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tests/reference_cases.hpp>

using namespace cotangent;

namespace {

void check_equal(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  CHECK(allclose(a, b, 1e-12, 1e-12));
}

}  // namespace

TEST_CASE("convolutions give what PyTorch gives") {
  const Json cases("conv.json");
  REQUIRE(cases.size() == 16);
  for (const auto& test : cases)
    check_case(test, [&](const Tensors& x) {
      const auto& o = test["options"];
      const Tensor bias = x.size() > 2 ? x[2] : Tensor();
      const std::string op = test["op"];
      const int dims = op[op.size() - 2] - '0';
      const Spatial stride = spatial_option(o, "stride", 1), dilation = spatial_option(o, "dilation", 1);
      const int64_t groups = o.value("groups", 1);
      if (op.find("transpose") != std::string::npos) {
        const ConvTransposeOptions options{stride, spatial_option(o, "padding", 0),
                                           spatial_option(o, "output_padding", 0), groups, dilation};
        return dims == 1   ? conv_transpose1d(x[0], x[1], bias, options)
               : dims == 2 ? conv_transpose2d(x[0], x[1], bias, options)
                           : conv_transpose3d(x[0], x[1], bias, options);
      }
      const bool same = o.contains("padding") && o["padding"].is_string();
      const ConvOptions options{stride, same ? Padding(Padding::same) : Padding(spatial_option(o, "padding", 0)),
                                dilation, groups};
      return dims == 1   ? conv1d(x[0], x[1], bias, options)
             : dims == 2 ? conv2d(x[0], x[1], bias, options)
                         : conv3d(x[0], x[1], bias, options);
    });
}

TEST_CASE("conv_transpose is the adjoint of conv, whatever the geometry") {
  Generator generator(1);
  for (int64_t s : {1, 2, 3})
    for (int64_t p : {0, 1, 2})
      for (int64_t d : {1, 2})
        for (int64_t g : {1, 2})
          for (int64_t length : {9, 10}) {
            const int64_t k = 3, left = length + 2 * p - d * (k - 1) - 1;
            INFO("stride " << s << ", padding " << p << ", dilation " << d << ", groups " << g << ", " << length);
            const Tensor x = randn({2, 4, length}, float64, generator), w = randn({6, 4 / g, k}, float64, generator);
            const Tensor fx = conv1d(x, w, Tensor(), {.stride = s, .padding = p, .dilation = d, .groups = g});
            const Tensor y = randn(fx.shape(), float64, generator);
            const Tensor back = conv_transpose1d(
                y, w, Tensor(), {.stride = s, .padding = p, .output_padding = left % s, .groups = g, .dilation = d});
            REQUIRE(back.shape() == x.shape());
            CHECK((fx * y).sum().item() == Approx((x * back).sum().item()).epsilon(1e-12));
          }
}

TEST_CASE("an output_padding of a stride or more adds elements that no tap reaches") {
  Generator generator(1);
  // as many channels as Winograd's algorithm takes, and a result that the dilation divides
  const Tensor x = randn({1, 64, 31, 31}, float32, generator), w = randn({64, 64, 3, 3}, float32, generator);
  for (const Tensor& in : {x, contiguous(x, MemoryFormat::channels_last)}) {
    const Tensor y = conv_transpose2d(in, w, Tensor(), {.output_padding = 1, .dilation = 2});
    REQUIRE(y.shape() == Shape{1, 64, 36, 36});
    const Tensor inner = narrow(narrow(y, 2, 0, 35), 3, 0, 35);
    CHECK(allclose(inner, conv_transpose2d(in, w, Tensor(), {.dilation = 2}), 1e-4, 1e-4));
    CHECK(amax(abs(y.select(2, 35))).item() == 0);
    CHECK(amax(abs(y.select(3, 35))).item() == 0);
  }
}

TEST_CASE("a convolution in groups joins one of each group") {
  Generator generator(1);
  const Tensor x = randn({2, 6, 5, 4}, float64, generator), w = randn({9, 2, 3, 2}, float64, generator);
  const Tensor whole = conv2d(x, w, Tensor(), {.stride = {2, 1}, .padding = 1, .groups = 3});
  Tensors parts;
  for (int64_t g = 0; g < 3; ++g)
    parts.push_back(conv2d(narrow(x, 1, 2 * g, 2), narrow(w, 0, 3 * g, 3), Tensor(), {.stride = {2, 1}, .padding = 1}));
  check_equal(whole, cat(parts, 1));
}

TEST_CASE("a 1 x 1 convolution is a linear layer over the channels") {
  Generator generator(1);
  const Tensor x = randn({2, 3, 4, 5}, float64, generator), w = randn({6, 3, 1, 1}, float64, generator),
               b = randn({6}, float64, generator);
  check_equal(conv2d(x, w, b), linear(x.permute({0, 2, 3, 1}), w.reshape({6, 3}), b).permute({0, 3, 1, 2}));
}

TEST_CASE("dilation is a kernel with zeros in between") {
  Generator generator(1);
  const Tensor x = randn({1, 2, 9}, float64, generator), w = randn({3, 2, 3}, float64, generator);
  const Tensor stuffed = zeros({3, 2, 7}, float64);
  for (int64_t k = 0; k < 3; ++k) stuffed.select(2, 3 * k) = w.select(2, k);
  check_equal(conv1d(x, w, Tensor(), {.padding = 2, .dilation = 3}), conv1d(x, stuffed, Tensor(), {.padding = 2}));
}

TEST_CASE("conv3d with a kernel of one frame is conv2d of each") {
  Generator generator(1);
  const Tensor x = randn({2, 3, 4, 5, 6}, float64, generator), w = randn({2, 3, 1, 3, 3}, float64, generator);
  const Tensor y = conv3d(x, w, Tensor(), {.stride = {1, 2, 1}, .padding = {0, 1, 1}});
  for (int64_t t = 0; t < 4; ++t)
    check_equal(y.select(2, t), conv2d(x.select(2, t), w.select(2, 0), Tensor(), {.stride = {2, 1}, .padding = 1}));
}

TEST_CASE("conv_transpose with stride 1 is conv with the kernel turned round and its channels exchanged") {
  Generator generator(1);
  const Tensor x = randn({1, 3, 5, 6}, float64, generator), w = randn({3, 2, 3, 2}, float64, generator);
  const Tensor turned = flip(transpose(w, 0, 1), {2, 3});
  check_equal(conv_transpose2d(x, w, Tensor(), {.padding = {1, 0}, .dilation = 2}),
              conv2d(x, turned, Tensor(), {.padding = {2 * 2 - 1, 2 * 1 - 0}, .dilation = 2}));
}

TEST_CASE("the overlap map of conv_transpose is even inside if and only if the stride divides the kernel size") {
  for (int64_t k : {2, 3, 4, 5, 6})
    for (int64_t s : {1, 2, 3}) {
      if (s > k) continue;
      INFO("kernel " << k << ", stride " << s);
      const auto overlap =
          conv_transpose1d(ones({1, 1, 12}, float64), ones({1, 1, k}, float64), Tensor(), {.stride = s})
              .to_vector<double>();
      bool even = true;
      for (size_t i = size_t(k); i + size_t(k) < overlap.size(); ++i) even = even && overlap[i] == overlap[size_t(k)];
      CHECK(even == (k % s == 0));
    }
}

TEST_CASE("padding same keeps the size, for even and dilated kernels too") {
  for (int64_t k : {1, 2, 3, 4, 5})
    for (int64_t d : {1, 2, 3})
      CHECK(conv1d(ones({1, 1, 7}), ones({1, 1, k}), Tensor(), {.padding = Padding::same, .dilation = d}).shape() ==
            Shape{1, 1, 7});
  check_adjoint({1, 2, 5, 6}, [](const Tensor& x) {
    Generator generator(5);
    return conv2d(x, randn({3, 2, 4, 2}, float64, generator), Tensor(), {.padding = Padding::same});
  });
}

TEST_CASE("a bias before batch normalization changes nothing and gets no gradient") {
  Generator generator(1);
  const Tensor x = randn({3, 2, 4, 4}, float64, generator), w = randn({2, 2, 3, 3}, float64, generator);
  Tensor bias = randn({2}, float64, generator);
  const auto normalized = [&](const Tensor& b) { return batch_norm(conv2d(x, w, b), {}, {}, {}, {}, true); };
  check_equal(normalized(bias), normalized(Tensor()));
  const Tensor y = normalized(bias.requires_grad_());
  const Tensor g = grad({y}, {bias}, {.gradients = {randn(y.shape(), float64, generator)}})[0];
  for (double v : g.to_vector<double>()) CHECK(std::fabs(v) < 1e-13);
}

TEST_CASE("a convolution and its gradients lie as its input does") {
  Generator generator(1);
  const auto format = [](const Tensor& x) { return raw::memory_format(x); };
  struct Case {
    Shape x, w;
    ConvOptions options;
  };
  for (const Case& c :
       {Case{{2, 1, 6, 5}, {3, 1, 3, 3}, {.padding = 1}}, Case{{2, 4, 6, 5}, {3, 4, 1, 1}, {}},
        Case{{2, 4, 6, 5}, {4, 1, 3, 3}, {.stride = 2, .groups = 4}}, Case{{2, 20, 6, 5}, {3, 20, 3, 3}, {}}})
    for (MemoryFormat wanted : {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
      CAPTURE(c.x, c.w);
      const Tensor leaf = randn(c.x, float64, generator).contiguous(wanted).requires_grad_();
      const Tensor w = randn(c.w, float64, generator).requires_grad_();
      const Tensor x = leaf * 1, y = conv2d(x, w, Tensor(), c.options);
      x.retain_grad();
      CHECK(format(y) == wanted);
      y.sum().backward();  // a gradient whose elements are one
      CHECK(format(x.grad()) == wanted);
      CHECK(format(leaf.grad()) == wanted);
      CHECK(w.grad().is_contiguous());
      CHECK(format(conv_transpose2d(y, w, Tensor(), {.stride = c.options.stride, .groups = c.options.groups})) ==
            wanted);
    }
}

TEST_CASE("convolutions with extreme numbers are right or an error under their name") {
  const Tensor x = arange(1, 6, 1, float32).reshape({1, 1, 5}), w = ones({1, 1, 2}), one = ones({1, 1, 1});
  const auto named = Catch::StartsWith("[conv1d]"), transposed = Catch::StartsWith("[conv_transpose1d]");
  for (int64_t n :
       {INT64_MIN, -(int64_t{1} << 62), int64_t{-1}, int64_t{1} << 31, int64_t{1} << 32, int64_t{1} << 62, INT64_MAX}) {
    CHECK_THROWS_WITH(conv1d(x, w, {}, {.stride = n}), named);
    CHECK_THROWS_WITH(conv1d(x, w, {}, {.padding = n}), named);
    CHECK_THROWS_WITH(conv1d(x, w, {}, {.dilation = n}), named);
    CHECK_THROWS_WITH(conv1d(x, w, {}, {.padding = Padding::same, .dilation = n}), named);
    CHECK_THROWS_WITH(conv1d(x, w, {}, {.groups = n}), named);
    CHECK_THROWS_WITH(conv_transpose1d(x, w, {}, {.stride = n}), transposed);
    CHECK_THROWS_WITH(conv_transpose1d(x, w, {}, {.padding = n}), transposed);
    CHECK_THROWS_WITH(conv_transpose1d(x, w, {}, {.output_padding = n}), transposed);
    CHECK_THROWS_WITH(conv_transpose1d(x, w, {}, {.groups = n}), transposed);
    CHECK_THROWS_WITH(conv_transpose1d(x, w, {}, {.dilation = n}), transposed);
  }
  CHECK(conv1d(x, w, {}, {.stride = INT32_MAX}).to_vector<double>() == std::vector<double>{3});
  CHECK(conv_transpose1d(one * 3, w, {}, {.stride = INT32_MAX}).to_vector<double>() == std::vector<double>{3, 3});
  CHECK_THROWS_WITH(conv_transpose1d(one.expand({1, 1, 1 << 20}), w, {}, {.stride = INT32_MAX}),
                    Catch::StartsWith("[conv_transpose1d] there is no memory"));
  CHECK_THROWS_WITH(conv1d(x.expand({1, 1, 5}), one.expand({1, 1, int64_t{1} << 40})), named);
}

TEST_CASE("an input gradient whose strides leave gaps, or do not divide the dilation, is the adjoint") {
  Generator generator(3);
  for (int64_t size : {1, 2, 7, 12, 20})
    for (int64_t taps : {1, 2, 3, 5})
      for (int64_t stride : {1, 2, 3, 4, 6, 9, 30})
        for (int64_t dilation : {1, 2, 3, 4, 6})
          for (int64_t padding : {0, 1, 5}) {
            const int64_t room = size + 2 * padding - dilation * (taps - 1) - 1;
            if (room < 0) continue;
            CAPTURE(size, taps, stride, dilation, padding);
            const Tensor x = randn({2, 2, size}, float64, generator).requires_grad_(),
                         w = randn({3, 2, taps}, float64, generator);
            const Tensor y = conv1d(x, w, {}, {.stride = stride, .padding = padding, .dilation = dilation});
            const Tensor g = randn(y.shape(), float64, generator), v = randn(x.shape(), float64, generator);
            y.backward(g);
            const Tensor along = conv1d(v, w, {}, {.stride = stride, .padding = padding, .dilation = dilation});
            CHECK((x.grad() * v).sum().item() == Approx((g * along).sum().item()).margin(1e-12));
          }
}
