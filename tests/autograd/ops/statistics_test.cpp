// Norms where the op table does not look: at 0, at NaN and infinity, and where powers leave the range of a dtype.
#include <cotangent/autograd/ops/statistics.hpp>

#include <catch2/catch.hpp>

#include <cmath>

#include <cotangent/cotangent.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {
constexpr double kOrders[] = {0, .5, 1, 1.5, 2, 2.5, 3, 4, 10, -.5, -1, -2, -3, INFINITY, -INFINITY};

/// (sum |x|^p)^(1/p) in long double, whose range holds the powers of all that is tried here.
long double norm_of(const Values& x, double p) {
  long double sum = 0, most = 0, least = INFINITY;
  for (const double v : x) {
    const long double size = std::fabs(static_cast<long double>(v));
    sum += p == 0 ? size != 0 : std::pow(size, static_cast<long double>(p));
    most = std::max(most, size), least = std::min(least, size);
  }
  if (std::isinf(p)) return p > 0 ? most : least;
  return p == 0 ? sum : std::pow(sum, 1 / static_cast<long double>(p));
}
/// d norm / d x: sign(x) (|x| / norm)^(p - 1), and an equal share of 1 for each of the extremes.
Values slopes_of(const Values& x, double p) {
  const long double n = norm_of(x, p);
  Values slopes;
  double shares = 0;
  for (const double v : x) {
    const long double size = std::fabs(static_cast<long double>(v)), sign = (v > 0) - (v < 0);
    const bool wins = std::isinf(p) && size == n;
    shares += wins;
    slopes.push_back(p == 0 || v == 0 || n == 0 ? 0.
                     : std::isinf(p)            ? static_cast<double>(sign) * wins
                                     : static_cast<double>(sign * std::pow(size / n, static_cast<long double>(p) - 1)));
  }
  for (double& s : slopes)
    if (std::isinf(p)) s /= shares;
  return slopes;
}

/// To a relative tolerance, or as near as the numbers next to 0 lie.
bool is_near(double got, double expected, double tolerance, Dtype dtype) {
  if (std::isnan(expected) || std::isinf(expected)) return std::isnan(expected) ? std::isnan(got) : got == expected;
  const double step = dtype == float16 ? 0x1p-24 : dtype == bfloat16 ? 0x1p-133 : dtype == float32 ? 0x1p-149 : 0;
  return std::fabs(got - expected) <= tolerance * std::fabs(expected) + step;
}
}  // namespace

TEST_CASE("norms of all orders are right for tiny and huge numbers of every dtype, with their gradients") {
  struct Range {
    Dtype dtype;
    double tolerance;
    std::vector<double> sizes;
  };
  const Range ranges[] = {{float16, 2e-3, {1e-4, 6e-5, 1, 2e4}},
                          {bfloat16, 2e-2, {1e-37, 1e-20, 1e-4, 1, 1e4, 1e20, 1e37}},
                          {float32, 2e-6, {1e-37, 1e-25, 1e-15, 1e-8, 1e-4, 1, 1e4, 1e13, 1e25, 1e37}},
                          {float64, 1e-13, {1e-300, 1e-200, 1e-110, 1e-60, 1, 1e60, 1e110, 1e200, 1e300}}};
  for (const auto& [dtype, tolerance, sizes] : ranges)
    for (const double size : sizes)
      for (const double p : kOrders) {
        INFO(name(dtype) << " of size " << size << ", order " << p);
        Tensor x = (tensor({{1., -2., 1.5}, {.75, 3., -3.}}, float64) * size).to(dtype).requires_grad_();
        for (const bool whole : {true, false}) {
          const Tensor y = whole ? norm(x, p) : norm(x, p, 1, true);
          const Tensor dx = grad({sum(y)}, {x})[0];
          const Values all = to_values(x);
          for (size_t row = 0; row < (whole ? 1 : 2); ++row) {
            const Values part =
                whole ? all : Values(all.begin() + 3 * std::ptrdiff_t(row), all.begin() + 3 * std::ptrdiff_t(row) + 3);
            const double expected = full({}, static_cast<double>(norm_of(part, p)), dtype).item();
            CHECK(is_near(y.to_vector<double>()[row], expected, tolerance, dtype));
            if (std::isinf(expected)) continue;  // the norm itself is beyond the dtype
            const Values slopes = slopes_of(part, p), got = to_values(dx);
            for (size_t i = 0; i < part.size(); ++i) {
              INFO("element " << i);
              CHECK(is_near(got[3 * row + i], slopes[i], 4 * tolerance, dtype));
            }
          }
        }
      }
}

TEST_CASE("the norm of zeros is 0, with derivatives of 0 of first and second order") {
  for (const Dtype dtype : {float64, float32, bfloat16, float16})
    for (const double p : kOrders) {
      INFO(name(dtype) << ", order " << p);
      Tensor x = zeros({3}, dtype).requires_grad_();
      const Tensor y = norm(x, p);
      CHECK(y.item() == 0);
      const Tensor dx = grad({y}, {x}, {.create_graph = true})[0];
      CHECK(to_values(dx) == Values{0, 0, 0});
      const Tensor second = dx.requires_grad() ? grad({sum(dx * dx + dx)}, {x}, {.allow_unused = true})[0] : Tensor();
      if (second.defined()) CHECK(to_values(second) == Values{0, 0, 0});
      if (p != INFINITY && p != -INFINITY) CHECK(norm(zeros({0, 2}, dtype), p).item() == (p < 0 ? INFINITY : 0));
      CHECK(norm(full({1}, -3, dtype), p).item() == Approx(p == 0 ? 1 : 3));
    }
}

TEST_CASE("second derivatives of a norm are right where its powers leave the range") {
  for (const double size : {1e-20, 1., 1e20})
    for (const double p : {1.5, 2., 3., 4.}) {
      INFO("order " << p << " of size " << size);
      const Values v{1, -2, 3};
      Tensor x = (from_vector(v, {3}) * size).to(float32).requires_grad_();
      const Tensor dx = grad({norm(x, p)}, {x}, {.create_graph = true})[0];
      const Values got = to_values(grad({dx.select(0, 1)}, {x})[0] * size);
      // (p - 1) (|x_1|^(p-2) d_1i - (s_1 s_i) |x_1 x_i|^(p-1) / n^p) n^(1-p), of v: it scales as 1 / size
      const double n = static_cast<double>(norm_of(v, p));
      for (size_t i = 0; i < 3; ++i) {
        const double sign = v[i] < 0 ? 1 : -1;
        const double expected =
            (p - 1) * std::pow(n, 1 - p) *
            ((i == 1 ? std::pow(2, p - 2) : 0) - sign * std::pow(2 * std::fabs(v[i]), p - 1) / std::pow(n, p));
        CHECK(got[i] == Approx(expected).epsilon(1e-5));
      }
    }
}

TEST_CASE("NaN and infinities reach a norm") {
  for (const Dtype dtype : {float64, float32, float16})
    for (const double p : {1., 1.5, 2., 3., static_cast<double>(INFINITY)}) {
      INFO(name(dtype) << ", order " << p);
      CHECK(norm(tensor({1., -INFINITY}, dtype), p).item() == INFINITY);
      CHECK(std::isnan(norm(tensor({1., NAN}, dtype), p).item()));
      CHECK(norm(tensor({INFINITY, INFINITY}, dtype), p).item() == INFINITY);
    }
  CHECK(norm(tensor({2., INFINITY}), -1).item() == 2);
  CHECK(norm(tensor({2., 0.}), -1).item() == 0);
  CHECK(norm(tensor({2., INFINITY, 0.}), 0).item() == 2);
}
