// How well the gradient checker measures a derivative: on the benchmark of the Python package numericalderivative,
// whose problems come from the literature on step sizes (Gill, Murray, Saunders and Wright 1983; Shi, Xie, Xuan and
// Nocedal 2021; Oliver 1980).
#include <cotangent/autograd/gradcheck/extrapolation_internal.hpp>

#include <catch2/catch.hpp>
#include <cstdio>
#include <numbers>
#include <vector>

using cotangent::detail::Central;
using cotangent::detail::Difference;
using cotangent::detail::extrapolate;
using cotangent::detail::noise_of;

namespace {

struct Problem {
  const char* name;
  double (*f)(double x);
  double (*derivative)(double x);
  double low, high;
};

double squared(double x) { return x * x; }

const std::vector<Problem> problems = {
    {"x^2", squared, [](double x) { return 2 * x; }, -12, 12},
    {"1/x", [](double x) { return 1 / x; }, [](double x) { return -1 / (x * x); }, 0.01, 12},
    {"exp", [](double x) { return std::exp(x); }, [](double x) { return std::exp(x); }, 0, 12},
    {"log", [](double x) { return std::log(x); }, [](double x) { return 1 / x; }, 0.01, 12},
    {"sqrt", [](double x) { return std::sqrt(x); }, [](double x) { return 0.5 / std::sqrt(x); }, 0.01, 12},
    {"atan", [](double x) { return std::atan(x); }, [](double x) { return 1 / (1 + x * x); }, -12, 12},
    {"sin", [](double x) { return std::sin(x); }, [](double x) { return std::cos(x); }, -std::numbers::pi,
     std::numbers::pi},
    {"exp(-1e-6 x)", [](double x) { return std::exp(-1e-6 * x); }, [](double x) { return -1e-6 * std::exp(-1e-6 * x); },
     0, 12},
    {"(e^x - 1)^2 + ((1 + x^2)^-1/2 - 1)^2",
     [](double x) { return squared(std::exp(x) - 1) + squared(1 / std::sqrt(1 + x * x) - 1); },
     [](double x) {
       const double root = std::sqrt(1 + x * x);
       return 2 * std::exp(x) * std::expm1(x) - 2 * x * (1 / root - 1) / (root * root * root);
     },
     0.001, 12},
    {"(e^x - 1)^2", [](double x) { return squared(std::expm1(x)); },
     [](double x) { return 2 * std::exp(x) * std::expm1(x); }, -12, 12},
    {"exp(100 x)", [](double x) { return std::exp(100 * x); }, [](double x) { return 100 * std::exp(100 * x); }, -1, 1},
    {"x^4 + 3x^2 - 10x", [](double x) { return x * x * x * x + 3 * x * x - 10 * x; },
     [](double x) { return 4 * x * x * x + 6 * x - 10; }, -12, 12},
    {"10^4 x^3 + .01 x^2 + 5x", [](double x) { return 1e4 * x * x * x + 0.01 * x * x + 5 * x; },
     [](double x) { return 3e4 * x * x + 0.02 * x + 5; }, -12, 12},
    {"exp(4x)", [](double x) { return std::exp(4 * x); }, [](double x) { return 4 * std::exp(4 * x); }, -12, 12},
    {"exp(x^2)", [](double x) { return std::exp(x * x); }, [](double x) { return 2 * x * std::exp(x * x); }, -12, 12},
    {"x^2 log x", [](double x) { return x * x * std::log(x); }, [](double x) { return x + 2 * x * std::log(x); }, 0.01,
     12}};

struct Outcome {
  double error, bar;
  int evaluations;
};

Outcome measure(const Problem& p, double x, int budget) {
  int evaluations = 0;
  const double center = p.f(x), scale = std::max(std::fabs(x), 0.01);
  double noise = 1;  // which a check of many elements needs once
  for (const double spacing : {0x1.357p-40, 0x1.9e3p-40}) {
    std::array<double, 8> beside{};
    for (size_t i = 0; i < beside.size(); ++i)
      beside[i] = p.f(x + spacing * static_cast<double>(i) * std::exp2(std::floor(std::log2(scale))));
    noise = std::max(noise, noise_of(beside) / (2.2e-16 * std::fabs(center)));
  }
  const Difference d = extrapolate(
      [&](double h) {
        evaluations += 2;
        const double above = x + h, below = x - h, up = p.f(above), down = p.f(below);
        return Central{(up - down) / (above - below), (center - down) / (x - below), (up - center) / (above - x),
                       noise * 2.2e-16 * std::max(std::fabs(up), std::fabs(down)) / h};
      },
      scale, budget);
  const double exact = p.derivative(x), size = exact == 0 ? 1 : std::fabs(exact);
  return {std::fabs(d.value - exact) / size, d.error / size, evaluations};
}

double quantile(std::vector<double> all, double q) {
  std::sort(all.begin(), all.end());
  return all[static_cast<size_t>(q * double(all.size() - 1))];
}

}  // namespace

TEST_CASE("extrapolated differences reach 13 digits in 11 evaluations, and know how many they have") {
  for (const int budget : {10, 40}) {  // the value at x itself is known
    std::vector<double> errors;
    int covered = 0, most = 0;
    for (const Problem& p : problems) {
      std::vector<double> own;
      for (int i = 0; i < 100; ++i) {
        const Outcome outcome = measure(p, p.low + (p.high - p.low) * i / 99, budget);
        own.push_back(outcome.error);
        covered += outcome.error <= outcome.bar;
        most = std::max(most, outcome.evaluations);
      }
      if (budget == 10)
        std::printf("  %-38s median %.1e, 99 %% %.1e\n", p.name, quantile(own, 0.5), quantile(own, 0.99));
      errors.insert(errors.end(), own.begin(), own.end());
    }
    std::printf(
        "differences: %zu derivatives by at most %d evaluations: median relative error %.1e, 99 %% %.1e; "
        "the error bar covers %.2f %%\n",
        errors.size(), most + 1, quantile(errors, 0.5), quantile(errors, 0.99),
        100.0 * covered / double(errors.size()));
    CHECK(quantile(errors, 0.5) <= 4e-14);
    CHECK(covered >= 0.99 * double(errors.size()));
    CHECK(most <= budget);
  }
}

TEST_CASE("differences know kinks and jumps and edges from slopes") {
  const auto at = [](double (*f)(double), double x, double scale = 1) {
    return extrapolate(
        [&](double h) {
          const double up = f(x + h), down = f(x - h), center = f(x);
          return Central{(up - down) / (2 * h), (center - down) / h, (up - center) / h,
                         2.2e-16 * std::max(std::fabs(up), std::fabs(down)) / h};
        },
        scale, 40);
  };
  const Difference kink = at([](double x) { return x < 0 ? -2 * x : x * x; }, 0);
  CHECK(kink.kink);
  CHECK_FALSE(kink.jump);
  CHECK(kink.left == Approx(-2).margin(1e-3));
  CHECK(kink.right == Approx(0).margin(1e-3));
  CHECK(kink.error > 1);
  const Difference beside = at([](double x) { return std::fabs(x); }, 1e-5);  // a kink within the first steps
  CHECK_FALSE(beside.kink);
  CHECK(beside.value == Approx(1));
  CHECK(at([](double x) { return x < 0 ? 0.0 : 1.0; }, 0).jump);
  CHECK(at([](double x) { return x * x * x; }, 0).value == Approx(0).margin(1e-10));
  CHECK_FALSE(at([](double x) { return x * x; }, 0).kink);
  const Difference edge = at([](double x) { return std::sqrt(x); }, 0);
  CHECK_FALSE(edge.finite);
  CHECK(edge.error == INFINITY);
  const Difference inside = at([](double x) { return std::sqrt(x); }, 1e-6);  // the domain ends within the first steps
  CHECK(inside.value == Approx(500));
}
