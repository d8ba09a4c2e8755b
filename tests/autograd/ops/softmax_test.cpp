// Softmax, its logarithm, logsumexp and cross entropy at the ends of their range.
#include <cotangent/autograd/ops/softmax.hpp>

#include <array>
#include <cmath>
#include <limits>

#include <catch2/catch.hpp>
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/loss.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/statistics.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

TEST_CASE("softmax and its relatives of four equal numbers, however large") {
  struct Size {
    Dtype dtype;
    double value, tolerance;
  };
  for (const auto& [dtype, size, tolerance] : {Size{float32, 1e9, 1e-6},
                                               {float32, -1e9, 1e-6},
                                               {float64, 1e17, 1e-14},
                                               {float64, -1e300, 1e-14},
                                               {bfloat16, 1e9, 1e-2},
                                               {float16, 1000, 1e-3},
                                               {float16, -65504, 1e-3}})
    for (int64_t dim : {0, 1})
      for (bool create_graph : {false, true}) {
        INFO(name(dtype) << " " << size << " along " << dim << (create_graph ? ", recorded" : ""));
        const Shape shape = dim == 0 ? Shape{4, 3} : Shape{3, 4};
        const Tensor x = full(shape, size, dtype).requires_grad_(), quarter = full(shape, 0.25, dtype),
                     weights = expand(reshape(arange(0, 4, 1, dtype), dim == 0 ? Shape{4, 1} : Shape{1, 4}), shape);
        // the product of the Jacobian and the weights is p (w - sum of p w)
        const Tensor moved = (weights - 1.5) * 0.25;
        const auto gradient = [&](const Tensor& y) { return grad({y}, {x}, {.create_graph = create_graph})[0]; };
        const auto check = [&](const Tensor& y, const Tensor& expected) {
          CHECK(allclose(y.to(float64), expected.to(float64), tolerance, tolerance));
        };
        check(softmax(x, dim), quarter);
        check(gradient(sum(softmax(x, dim) * weights)), moved);
        check(log_softmax(x, dim), full(shape, std::log(0.25), dtype));
        check(gradient(sum(log_softmax(x, dim) * weights)), weights - 1.5);
        const Tensor p = gradient(sum(logsumexp(x, dim)));
        check(p, quarter);
        check(gradient(sum(logsumexp(x))), full(shape, 1.0 / 12, dtype));
        if (create_graph) check(grad({sum(p * weights)}, {x})[0], moved);
        if (dim == 0) continue;
        check(cross_entropy(x, zeros({3}, int64), {.label_smoothing = 0.1}), full({}, std::log(4), dtype));
        Tensor slope = full(shape, 0.25, dtype);
        slope.narrow(1, 0, 1).sub_(1);
        check(gradient(cross_entropy(x, zeros({3}, int64), {.reduction = Reduction::sum})), slope);
        check(gradient(cross_entropy(unsqueeze(x, 2), zeros({3, 1}, int64), {.reduction = Reduction::sum})), slope);
      }
}

TEST_CASE("logsumexp: a row of -infinity has no gradient, of any order") {
  const double infinity = std::numeric_limits<double>::infinity();
  const Tensor x = tensor({{-infinity, -infinity}, {-infinity, 1.0}}, float64).requires_grad_();
  const Tensor y = logsumexp(x, 1);
  CHECK(to_values(y) == Values{-infinity, 1});
  const Tensor g = grad({sum(y)}, {x}, {.create_graph = true})[0];
  CHECK(to_values(g) == Values{0, 0, 0, 1});
  CHECK(to_values(grad({sum(g)}, {x})[0]) == Values(4, 0));
}

TEST_CASE("softmax and its relatives of rows and columns of a million") {
  constexpr int64_t n = 1000000;
  const double x = static_cast<double>(0.1f), log_n = std::log(static_cast<double>(n));
  for (const Shape& shape : {Shape{1, n}, Shape{9, n}, Shape{n, 3}}) {
    const int64_t dim = shape[0] == n ? 0 : 1;
    INFO("shape " << shape[0] << ", " << shape[1]);
    const Tensor row = expand(full({1, 1}, 0.1), shape).contiguous().requires_grad_();
    const auto check = [](const Tensor& y, double expected) {
      CHECK(amax(y).item() == Approx(expected).epsilon(1e-6));
      CHECK(amin(y).item() == Approx(expected).epsilon(1e-6));
    };
    check(logsumexp(row, dim), x + log_n);
    check(softmax(row, dim) * n, 1);
    check(log_softmax(row, dim), -log_n);
    check(grad({sum(logsumexp(row, dim))}, {row})[0] * n, 1);
    if (dim == 1) check(cross_entropy(row, zeros({shape[0]}, int64)), log_n);
  }
}

TEST_CASE("softmax and cross entropy of channels-last tensors equal those of planes, and gradients lie alike") {
  Generator generator(1);
  for (int64_t channels : {1, 2, 3, 4, 10, 31, 32, 37})
    for (Shape shape : {Shape{2, channels, 3, 5}, Shape{1, channels, 13, 11}, Shape{3, channels, 1, 1}})
      for (Dtype dtype : {float64, float32, bfloat16}) {
        CAPTURE(shape, dtype);
        const Tensor planes = randn(shape, dtype, generator), lasts = planes.contiguous(MemoryFormat::channels_last),
                     weight = randn(shape, dtype, generator), class_weight = rand({channels}, dtype, generator);
        Tensor target = randint(0, channels, {shape[0], shape[2], shape[3]}, int64, generator);
        target[0].fill_(-100);
        target[0][0][0].fill_(channels - 1);
        const auto losses = [&](const Tensor& x) {
          return cross_entropy(x, target, {.weight = class_weight, .label_smoothing = 0.1}) + cross_entropy(x, target) +
                 nll_loss(x, target);
        };
        const double close = dtype == float64 ? 1e-14 : dtype == float32 ? 2e-6 : 2e-2;
        const auto check = [&](const auto& f, bool keeps_shape) {
          const auto run = [&](const Tensor& values) {
            const Tensor x = clone(values).requires_grad_(), y = f(x);
            return std::array{grad({sum(keeps_shape ? y * weight : y)}, {x}, {.retain_graph = true})[0], y};
          };
          const auto expected = run(planes), got = run(lasts);
          for (size_t i = 0; i < (keeps_shape ? 2 : 1); ++i) CHECK(got[i].is_contiguous(MemoryFormat::channels_last));
          for (size_t i = 0; i < 2; ++i)
            CHECK(amax(abs(got[i].to(float64) - expected[i].to(float64))).item() <=
                  (i == 0 || keeps_shape ? close : 10 * close));
        };
        check([](const Tensor& x) { return softmax(x, 1); }, true);
        check([](const Tensor& x) { return log_softmax(x, 1); }, true);
        check([](const Tensor& x) { return logsumexp(x, 1, true); }, false);
        check(losses, false);
      }
}

TEST_CASE("short rows of softmax equal sums of exponentials, for any number of them") {
  Generator generator(1);
  for (int64_t n : {1, 2, 3, 5, 8, 10, 15, 16, 31, 32})
    for (int64_t rows : {1, 2, 7, 63, 64, 65, 130}) {
      CAPTURE(n, rows);
      const Tensor x = (randn({rows, n}, float64, generator) * 3).requires_grad_(),
                   g = randn({rows, n}, float64, generator), e = exp(x.detach()), p = e / sum(e, 1, true);
      CHECK(allclose(softmax(x, 1), p, 1e-13, 1e-15));
      CHECK(allclose(log_softmax(x, 1), log(p), 1e-13, 1e-13));
      CHECK(allclose(logsumexp(x, 1), log(sum(e, 1)), 1e-13, 1e-13));
      CHECK(allclose(grad({sum(softmax(x, 1) * g)}, {x})[0], p * (g - sum(p * g, 1, true)), 1e-12, 1e-14));
      CHECK(allclose(grad({sum(log_softmax(x, 1) * g)}, {x})[0], g - p * sum(g, 1, true), 1e-12, 1e-13));
      const Tensor classes = randint(0, n, {rows}, int64, generator), hot = one_hot(classes, n).to(float64);
      const Tensor loss = cross_entropy(x, classes, {.reduction = Reduction::sum});
      CHECK(loss.item() == Approx(-sum(hot * log(p)).item()).epsilon(1e-12));
      CHECK(allclose(grad({loss}, {x})[0], p - hot, 1e-12, 1e-14));
    }
}
