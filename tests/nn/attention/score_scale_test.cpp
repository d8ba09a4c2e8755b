#include <cotangent/nn/attention/score_scale.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/tensor/random.hpp>

using namespace cotangent;

TEST_CASE("the scale of the largest gradient solves its equation") {
  for (auto [n, root] : {std::pair{64, 1.549}, {512, 2.008}, {1024, 2.146}, {4096, 2.405}, {16384, 2.645}}) {
    const double a = nn::gradient_scale(n);
    CHECK(a == Approx(root).margin(1e-3));
    CHECK(std::exp(a * a) * (1 + 2 * a * a) == Approx(n).epsilon(1e-12));
  }
  CHECK(nn::gradient_scale(2) > 0);
  for (auto [n, a] : {std::pair{512, 24.2}, {4096, 29.7}, {20'000, 33.7}})
    CHECK(nn::cosine_scale(n, 128) == Approx(a).margin(0.05));
  CHECK_THROWS_WITH(nn::gradient_scale(1), "[gradient_scale] 1 keys; there must be at least 2");
  CHECK_THROWS_AS(nn::cosine_scale(512, 1), ValueError);
}

namespace {

double phi(double s) { return std::exp(-s * s / 2) / std::sqrt(2 * M_PI); }

/// The mean of sum p^2, p = softmax(a s) of n scores of N(0, 1). With Z = sum e^(a s_i), 1/Z^2 is the integral of
/// t e^(-t Z), so that the mean over the n independent scores is one of products: n times the integral over t of
/// t E[e^(2as) e^(-t e^(as))] E[e^(-t e^(as))]^(n - 1).
double mean_of_squares(double a, double n) {
  constexpr double kStep = 0.025, kReach = 8;
  const double low = -a * kReach - std::log(n) - 3, high = a * kReach + 4, step = (high - low) / 700;
  double sum = 0;
  for (double u = low; u < high; u += step) {  // t = e^u
    double squares = 0, missing = 0;
    for (double s = -kReach; s < kReach; s += kStep) {
      const double x = std::exp(std::min(a * s + u, 50.0)), weight = phi(s) * kStep;
      squares += weight * x * x * std::exp(-x);
      missing -= weight * std::expm1(-x);
    }
    sum += squares * std::exp((n - 1) * std::log1p(-std::min(missing, 1.0)));
  }
  return n * sum * step;
}

}  // namespace

// The root of exp(a^2) (1 + 2 a^2) = n would give the largest mean of a (1 - sum p^2) if sum p^2 were exp(a^2)/n.
TEST_CASE("the scale of the largest gradient is an estimate that overestimates sum p^2, and no maximum") {
  const int64_t n = 512;
  const double a = nn::gradient_scale(n), exact = mean_of_squares(a, n);
  CHECK(std::exp(a * a) / n == Approx(0.1103).margin(1e-4));
  CHECK(exact == Approx(0.0471).margin(1e-4));
  CHECK(std::exp(1) / n / mean_of_squares(1, n) == Approx(1.014).margin(1e-3));  // right for small a
  Generator generator(4);
  const Tensor sampled = sum(square(softmax(a * randn({2000, n}, float64, generator), -1)), -1);
  CHECK(mean(sampled).item() == Approx(exact).margin(3 * 0.00113));  // 0.0504, its deviation, over sqrt(2000)

  double bound = 0;  // n (n - 1) E[phi(s) Phi(s)^(n - 2)]
  for (double s = -8; s < 8; s += 0.01)
    bound += 0.01 * n * (n - 1) * phi(s) * phi(s) * std::pow(std::erfc(-s / std::sqrt(2.0)) / 2, n - 2);
  CHECK(bound == Approx(3.044).margin(1e-3));
  const auto slope = [&](double scale) { return scale * (1 - mean_of_squares(scale, n)); };
  CHECK(slope(a) / bound == Approx(0.629).margin(1e-3));
  double before = 0;
  for (const double scale : {1.0, a, 3.0, 4.0, 6.0, 8.0}) {
    const double now = slope(scale);
    CHECK(now > before);
    CHECK(now < bound);
    before = now;
  }
  CHECK(before > 0.98 * bound);
}

TEST_CASE("a softmax of no scale and of a huge one passes no gradient") {
  const Tensor s = randn({200, 512}, float64);
  auto slope = [&](double a) {  // |dp/ds|_1 / 2, averaged
    return mean(a * (1 - sum(square(softmax(a * s, -1)), -1))).item();
  };
  CHECK(slope(0) == 0);
  CHECK(slope(1e6) < 1e-3);
  CHECK(slope(nn::gradient_scale(512)) > slope(1));
}

TEST_CASE("the entropy of a row keeps to its level under the logarithmic scale") {
  Generator generator(1);
  for (int64_t n : {64, 512, 4096}) {
    const Tensor s = randn({128, n}, float64, generator);
    auto entropy = [&](double scale) {
      const Tensor logs = log_softmax(scale * s, -1);
      return -mean(sum(exp(logs) * logs, -1)).item();
    };
    const double kept = entropy(2.5 * std::log(double(n)) / std::log(64.0)), plain = entropy(2.5);
    CHECK(kept > 2.02);
    CHECK(kept < 2.37);
    if (n == 4096) CHECK(plain == Approx(5.37).margin(0.05));
  }
}
