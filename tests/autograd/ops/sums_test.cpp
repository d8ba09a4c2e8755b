// Sums, means and variances of many numbers, and of large ones.
#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/loss.hpp>
#include <cotangent/autograd/ops/pool.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/statistics.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

TEST_CASE("sums and means and norms and variances of ten million") {
  constexpr int64_t n = 10000000;
  const double x = static_cast<double>(0.1f);
  const Tensor all = full({n}, 0.1);
  const Tensor pattern = full({n}, 0), half = pattern.view({n / 2, 2});
  half.select(1, 0).fill_(1);  // 1, 0, 1, 0: a variance of 1/4
  CHECK(mse_loss(all, zeros({n})).item() == Approx(x * x).epsilon(2e-6));
  for (const Shape& shape : {Shape{1, n}, Shape{10, n / 10}, Shape{n / 2, 2}, Shape{n / 8, 8}, Shape{n / 500, 500}}) {
    const int64_t dim = shape[0] < shape[1] ? 1 : 0;
    const double count = static_cast<double>(shape[static_cast<int>(dim)]);
    INFO("shape " << shape[0] << ", " << shape[1]);
    const Tensor rows = all.view(shape),
                 steps = dim == 1 ? pattern.view(shape) : reshape(pattern, {shape[1], shape[0]}).transpose(0, 1);
    const auto check = [](const Tensor& y, double expected) {
      CHECK(amax(y).item() == Approx(expected).epsilon(2e-6));
      CHECK(amin(y).item() == Approx(expected).epsilon(2e-6));
    };
    check(sum(rows, dim), x * count);
    check(mean(rows, dim), x);
    check(norm(rows, 2, dim), x * std::sqrt(count));
    check(var(steps, dim, {.correction = 0}), 0.25);
    check(var(steps.contiguous(), dim, {.correction = 0}), 0.25);
    CHECK(amin(var(rows, dim)).item() >= 0);
  }
}

TEST_CASE("variances of large numbers, whose mean float32 does not hold, and their gradients") {
  // 10^6 and 10^6 + 1/16 in turns: the mean lies between two neighbours
  for (int64_t n : {2, 64, 4096, 200000})
    for (int64_t columns : {1, 3}) {
      INFO(n << " rows of " << columns);
      const Tensor x = (remainder(arange(0, n, 1, float32), full({}, 2)) / 16 + 1e6).view({n, 1});
      const Tensor leaf = expand(x, {n, columns}).contiguous().requires_grad_();
      const Tensor sign = expand(remainder(arange(0, n, 1, float32), full({}, 2)).view({n, 1}) * 2 - 1, {n, columns});
      for (bool create_graph : {false, true}) {
        const Tensor v = var(leaf, 0, {.correction = 0}), s = cotangent::std(leaf, 0, {.correction = 0});
        CHECK(allclose(v, full({columns}, 1.0 / 1024), 1e-6, 0));
        CHECK(allclose(s, full({columns}, 1.0 / 32), 1e-6, 0));
        const double share = 1 / static_cast<double>(n);
        CHECK(allclose(grad({sum(v)}, {leaf}, {.create_graph = create_graph})[0], sign * (share / 16), 1e-5, 0));
        CHECK(allclose(grad({sum(s)}, {leaf}, {.create_graph = create_graph})[0], sign * share, 1e-5, 0));
      }
    }
}

TEST_CASE("means of 65520 numbers in low precision: summed, divided and scaled before they are rounded") {
  constexpr int64_t n = 65520;
  for (Dtype dtype : {float16, bfloat16}) {
    INFO(name(dtype));
    const Tensor leaf = full({1, 1, 240, 273}, 300, dtype).requires_grad_(), row = leaf.view({n}),
                 steps = (remainder(arange(0, n, 1, float32), full({}, 2)) * 2).to(dtype);
    const auto check = [&](const Tensor& y, double value, double slope) {
      CHECK(y.dtype() == dtype);
      CHECK(y.item() == Approx(value).epsilon(4e-3));
      for (bool create_graph : {false, true}) {
        const Tensor g = grad({y}, {leaf}, {.retain_graph = true, .create_graph = create_graph})[0];
        CHECK(amax(g).item() == Approx(slope).epsilon(4e-3));
        CHECK(amin(g).item() == Approx(slope).epsilon(4e-3));
      }
    };
    check(mean(row), 300, 1.0 / n);
    check(squeeze(mean(leaf, {2, 3})), 300, 1.0 / n);
    check(mean(mean(leaf, 3)), 300, 1.0 / n);
    check(squeeze(avg_pool2d(leaf, {240, 273})), 300, 1.0 / n);
    check(squeeze(adaptive_avg_pool2d(leaf, {1, 1})), 300, 1.0 / n);
    check(norm(row * 0.5), 150 * std::sqrt(static_cast<double>(n)), 0.5 / std::sqrt(static_cast<double>(n)));
    check(logsumexp(row), 300 + std::log(static_cast<double>(n)), 1.0 / n);
    CHECK(var(steps).item() == 1);
    CHECK(cotangent::std(steps).item() == 1);
    CHECK(sum(steps * 0.25).item() == Approx(n * 0.25).epsilon(4e-3));
    CHECK(var(row).item() == 0);
  }
}
