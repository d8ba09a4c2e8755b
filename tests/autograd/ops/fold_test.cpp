// im2col and col2im against PyTorch's unfold and fold, by reference/make_spatial.py, and their identities.
#include <cotangent/autograd/ops/fold.hpp>

#include <cotangent/autograd/ops/conv.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tests/reference_cases.hpp>

using namespace cotangent;

TEST_CASE("im2col and col2im give what PyTorch's unfold and fold give") {
  const Json cases("fold.json");
  REQUIRE(cases.size() == 6);
  for (const auto& test : cases)
    check_case(test, [&](const Tensors& x) {
      const auto& o = test["options"];
      const FoldOptions options{spatial_option(o, "dilation", 1), spatial_option(o, "padding", 0),
                                spatial_option(o, "stride", 1)};
      const Spatial kernel = spatial_option(o, "kernel_size", {});
      return test["op"] == "unfold" ? im2col(x[0], kernel, options)
                                    : col2im(x[0], spatial_option(o, "output_size", {}), kernel, options);
    });
}

TEST_CASE("col2im after im2col counts the patches that hold an element") {
  Generator generator(1);
  const Tensor x = randn({2, 3, 7, 6}, float64, generator);
  for (const FoldOptions& o : {FoldOptions{}, FoldOptions{.padding = 2}, FoldOptions{.dilation = 2, .padding = 1},
                               FoldOptions{.padding = {0, 1}, .stride = {2, 3}}}) {
    const auto folded = [&](const Tensor& v) { return col2im(im2col(v, {3, 2}, o), {7, 6}, {3, 2}, o); };
    CHECK(allclose(folded(x), x * folded(ones_like(x)), 1e-14, 1e-14));
  }
}

TEST_CASE("a convolution is a product with the columns") {
  Generator generator(1);
  const Tensor x = randn({2, 3, 7, 6}, float64, generator), w = randn({4, 3, 3, 2}, float64, generator);
  const Tensor y = conv2d(x, w, Tensor(), {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}});
  const Tensor columns = im2col(x, {3, 2}, {.dilation = {1, 2}, .padding = {1, 2}, .stride = {2, 1}});
  CHECK(allclose(matmul(w.reshape({4, -1}), columns), y.flatten(2), 1e-12, 1e-12));
}

TEST_CASE("im2col and col2im are adjoint") {
  const FoldOptions o{.dilation = {1, 2}, .padding = {2, 1}, .stride = {2, 3}};
  check_adjoint({2, 3, 6, 7}, [&](const Tensor& x) { return im2col(x, {3, 2}, o); });
  Generator generator(1);
  const Tensor x = randn({2, 3, 6, 7}, float64, generator), fx = im2col(x, {3, 2}, o),
               y = randn(fx.shape(), float64, generator);
  CHECK((fx * y).sum().item() == Approx((x * col2im(y, {6, 7}, {3, 2}, o)).sum().item()).epsilon(1e-12));
}

TEST_CASE("folds with extreme numbers are errors under their name") {
  const Tensor x = ones({1, 2, 3, 4}), columns = ones({1, 4, 4});
  for (int64_t n : {INT64_MIN, int64_t{-1}, int64_t{1} << 31, int64_t{1} << 32, int64_t{1} << 62, INT64_MAX}) {
    CHECK_THROWS_WITH(im2col(x, n), Catch::StartsWith("[im2col]"));
    CHECK_THROWS_WITH(im2col(x, 2, {.dilation = n}), Catch::StartsWith("[im2col]"));
    CHECK_THROWS_WITH(im2col(x, 2, {.padding = n}), Catch::StartsWith("[im2col]"));
    CHECK_THROWS_WITH(im2col(x, 2, {.stride = n}), Catch::StartsWith("[im2col]"));
    CHECK_THROWS_WITH(col2im(columns, n, 2), Catch::StartsWith("[col2im]"));
  }
  CHECK_THROWS_WITH(im2col(x, 2, {.padding = INT32_MAX}), Catch::StartsWith("[im2col]"));
  CHECK_THROWS_WITH(col2im(columns, INT32_MAX, 1, {.padding = INT32_MAX}), Catch::StartsWith("[col2im]"));
}
