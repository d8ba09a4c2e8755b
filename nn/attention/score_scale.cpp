#include <cotangent/nn/attention/score_scale.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>

#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

double gradient_scale(int64_t n) {
  if (n < 2) fail<ValueError>("[gradient_scale] {} keys; there must be at least 2", n);
  const double target = std::log(static_cast<double>(n));
  double u = target;  // a^2; the left side, u + log(1 + 2u), is concave and increasing: Newton's steps converge
  for (int i = 0; i < 60; ++i) u = std::max(0.0, u - (u + std::log1p(2 * u) - target) / (1 + 2 / (1 + 2 * u)));
  return std::sqrt(u);
}

double cosine_scale(int64_t n, int64_t width) {
  if (n < 2 || width < 2)
    fail<ValueError>("[cosine_scale] {} keys of width {}; there must be at least 2 of each", n, width);
  // E exp(a (s - 1)) with s = cos(t), whose density in t is sin(t)^(width - 2)
  auto mean_exp = [&](double a) {
    constexpr int kSteps = 2000;
    double sum = 0, total = 0;
    for (int i = 0; i < kSteps; ++i) {
      const double t = std::numbers::pi * (i + 0.5) / kSteps;
      const double density = std::pow(std::sin(t), static_cast<double>(width - 2));
      sum += density * std::exp(a * (std::cos(t) - 1));
      total += density;
    }
    return sum / total;
  };
  auto objective = [&](double a) {
    const double g = mean_exp(a);
    return a * (1 - mean_exp(2 * a) / (g * g * static_cast<double>(n)));
  };
  const double ratio = (std::sqrt(5.0) - 1) / 2;
  double low = 0, high = 10 * std::log(static_cast<double>(n)) + static_cast<double>(width);
  for (int i = 0; i < 60; ++i) {  // golden sections: the objective rises, then falls
    const double left = high - ratio * (high - low), right = low + ratio * (high - low);
    if (objective(left) < objective(right))
      low = left;
    else
      high = right;
  }
  return (low + high) / 2;
}

}  // namespace cotangent::nn
