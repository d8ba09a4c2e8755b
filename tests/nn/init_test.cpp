#include <cotangent/nn/init.hpp>

#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/nn/activation.hpp>
#include <cotangent/nn/container.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/tensor/create.hpp>

using namespace cotangent;
namespace init = nn::init;

namespace {
struct Moments {
  double mean = 0, std = 0, low = 0, high = 0;
};
Moments moments(const Tensor& x) {
  const auto v = x.to_vector<double>();
  Moments m;
  for (double value : v) m.mean += value / double(v.size());
  for (double value : v) m.std += (value - m.mean) * (value - m.mean) / double(v.size());
  m.std = std::sqrt(m.std);
  m.low = *std::min_element(v.begin(), v.end()), m.high = *std::max_element(v.begin(), v.end());
  return m;
}
}  // namespace

TEST_CASE("fans count the receptive field") {
  CHECK(init::fans(empty({5, 3})).in == 3);
  CHECK(init::fans(empty({5, 3, 2, 4})).in == 24);
  CHECK(init::fans(empty({5, 3, 2, 4})).out == 40);
  CHECK_THROWS_AS(init::fans(empty({5})), ShapeError);
}

TEST_CASE("xavier and kaiming have the spread of their papers") {
  manual_seed(1);
  const Tensor w = empty({80, 30, 3, 3});  // fan in 270, out 720
  auto bound = [&](double expected) {
    const Moments m = moments(w);
    CHECK(m.high == Approx(expected).epsilon(1e-3));
    CHECK(m.low == Approx(-expected).epsilon(1e-3));
    CHECK(m.std == Approx(expected / std::sqrt(3.0)).epsilon(0.02));
  };
  auto deviation = [&](double expected) {
    CHECK(moments(w).std == Approx(expected).epsilon(0.02));
    CHECK(moments(w).high > 3 * expected);
  };
  init::xavier_uniform_(w), bound(std::sqrt(6.0 / 990));
  init::xavier_normal_(w, 2), deviation(2 * std::sqrt(2.0 / 990));
  init::kaiming_uniform_(w), bound(std::sqrt(6.0 / 270));
  init::kaiming_uniform_(w, {.slope = std::sqrt(5.0)}), bound(1 / std::sqrt(270.0));
  init::kaiming_normal_(w, {.fan = init::Fan::out, .nonlinearity = init::Nonlinearity::relu}),
      deviation(std::sqrt(2.0 / 720));
  CHECK(init::gain(init::Nonlinearity::tanh) == Approx(5.0 / 3));
  CHECK(init::gain(init::Nonlinearity::selu) == 0.75);
  CHECK(init::gain(init::Nonlinearity::sigmoid) == 1);
}

TEST_CASE("trunc_normal_ stays in its range") {
  const Tensor w = empty({5000}, float64);
  init::trunc_normal_(w, 1, 2, 0, 3);
  const Moments m = moments(w);
  CHECK(m.low >= 0);
  CHECK(m.high <= 3);
  CHECK(m.mean == Approx(1.42).margin(0.05));  // of the normal distribution with these bounds
  CHECK_THROWS_AS(init::trunc_normal_(w, 0, 1, 2, 2), ValueError);
  CHECK_THROWS_AS(init::trunc_normal_(w, 0, 1, 5, 6), ValueError);
  for (const double std : {0.0, -1.0, double{NAN}, double{INFINITY}})
    CHECK_THROWS_WITH(init::trunc_normal_(w, 0, std), Catch::Contains("both must be finite, and std above 0"));
  CHECK_THROWS_AS(init::trunc_normal_(w, double{NAN}), ValueError);
}

// With n values the mean is off by std/sqrt(n) and the variance by sqrt((E z^4 - 1)/n) std^2, as standard deviations.
TEST_CASE("the samplers have the mean and the standard deviation that are asked for") {
  manual_seed(3);
  const Tensor w = empty({200, 100}, float64);
  using init::Distribution;
  const double root_n = std::sqrt(20'000.0);
  const auto check = [&](double mean, double std, double fourth, double reach) {
    const Moments m = moments(w);
    CHECK(std::abs(m.mean - mean) < 3 * std / root_n);
    CHECK(std::abs(m.std * m.std - std * std) < 3 * std * std * std::sqrt(fourth - 1) / root_n);
    CHECK(m.high - mean <= reach * std);
    CHECK(m.high - mean > 0.95 * std::min(reach, 3.0) * std);
    CHECK(mean - m.low <= reach * std);
  };
  const double inf = std::numeric_limits<double>::infinity();
  init::of_std_(w, 0.5, 2), check(0.5, 2, 3, inf);
  init::of_std_(w, -1, 0.1, Distribution::uniform), check(-1, 0.1, 1.8, std::sqrt(3.0));
  init::of_std_(w, 0.5, 2, Distribution::truncated_normal), check(0.5, 2, 2.37, 2 * 1.1368473);
  init::lecun_normal_(w), check(0, 0.1, 3, inf);
  init::lecun_uniform_(w, 3), check(0, 0.3, 1.8, std::sqrt(3.0));
  init::xavier_normal_(w), check(0, std::sqrt(2.0 / 300), 3, inf);
  init::kaiming_normal_(w, {.fan = init::Fan::out}), check(0, 0.1, 3, inf);
  init::of_std_(w, 3, 0, Distribution::truncated_normal);
  CHECK(moments(w).high == 3);
  CHECK_THROWS_WITH(init::of_std_(w, 0, -1), "[of_std_] std -1 must be 0 or more, and finite");
}

TEST_CASE("second moments after the activation functions") {
  using nn::Activation;
  for (auto [f, moment] : {std::pair{Activation::identity, 1.0},
                           {Activation::relu, 0.5},
                           {Activation::gelu, 0.425221},
                           {Activation::silu, 0.355776},
                           {Activation::tanh, 0.394294},
                           {Activation::sigmoid, 0.293379},
                           {Activation::elu, 0.644945},
                           {Activation::softplus, 0.921246},
                           {Activation::relu_squared, 1.5},
                           {Activation::selu, 1.0},
                           {Activation::leaky_relu, 0.50005},
                           {Activation::bilinear_glu, 1.0},
                           {Activation::reglu, 0.5},
                           {Activation::geglu, 0.425221},
                           {Activation::swiglu, 0.355776},
                           {Activation::glu, 0.293379}})
    CHECK(init::second_moment(f) == Approx(moment).margin(6e-7));
  CHECK(init::gain(Activation::relu) == Approx(init::gain(init::Nonlinearity::relu)).epsilon(1e-7));
  // P(|z| > 1/2) of a step: E z^2 [|z| > l] = 2 l phi(l) + 2 Phi(-l)
  CHECK(init::second_moment(Activation::hardshrink) ==
        Approx(std::exp(-0.125) / std::sqrt(2 * M_PI) + std::erfc(0.5 / std::sqrt(2.0))).margin(1e-6));
  manual_seed(4);
  Generator generator(5);
  for (Activation f : nn::all_activations()) {
    INFO(nn::name(f));
    const Tensor z = randn({20'000, nn::is_gated(f) ? 2 : 1}, float64, generator);
    nn::VarianceKeeping keep(f);
    CHECK(keep.settings() == nn::name(f));
    CHECK(mean(square(keep(z))).item() == Approx(1).margin(0.12));
  }
}

TEST_CASE("signals through 20 layers") {
  manual_seed(5);
  const Tensor x = randn({64, 256});
  const auto last = [&](double gain, auto f) {
    Tensor y = x;
    for (int i = 0; i < 20; ++i) y = f(matmul(y, init::lecun_normal_(empty({256, 256}), gain)));
    return mean(square(y)).item();
  };
  const auto kept = [](double moment) { return moment > 0.5 && moment < 2; };
  const auto plain = [](const Tensor& y) { return y; };
  CHECK(kept(last(1, plain)));
  CHECK(kept(2 * last(init::gain(init::Nonlinearity::relu), [](const Tensor& y) { return relu(y); })));
  CHECK(last(1, [](const Tensor& y) { return relu(y); }) < 1e-4);
  CHECK(last(1, [](const Tensor& y) { return tanh(y); }) < 0.1);  // decays
  for (nn::Activation f : {nn::Activation::tanh, nn::Activation::sigmoid, nn::Activation::selu})
    CHECK(kept(last(1, nn::VarianceKeeping(f))));
}

TEST_CASE("orthogonal_ gives orthonormal rows or columns") {
  for (const Shape& shape : {Shape{4, 6}, Shape{6, 4}, Shape{5, 5}, Shape{3, 2, 2}}) {
    const Tensor w = empty(shape, float64);
    init::orthogonal_(w, 2);
    const int64_t rows = shape[0], columns = w.numel() / rows;
    const auto v = w.to_vector<double>();
    const bool by_row = rows <= columns;
    for (int64_t i = 0; i < std::min(rows, columns); ++i)
      for (int64_t j = 0; j < std::min(rows, columns); ++j) {
        double dot = 0;
        for (int64_t k = 0; k < std::max(rows, columns); ++k)
          dot += by_row ? v[size_t(i * columns + k)] * v[size_t(j * columns + k)]
                        : v[size_t(k * columns + i)] * v[size_t(k * columns + j)];
        CHECK(dot == Approx(i == j ? 4.0 : 0.0).margin(1e-12));
      }
  }
  CHECK_THROWS_AS(init::orthogonal_(empty({3})), ShapeError);
}

TEST_CASE("initialisers write parameters without recording") {
  Tensor w = zeros({2, 2});
  w.requires_grad_();
  const uint32_t version = w.version();
  CHECK(init::ones_(w).to_vector<float>() == std::vector<float>{1, 1, 1, 1});
  CHECK(w.is_leaf());
  CHECK(w.version() > version);
  init::constant_(w, 3);
  init::zeros_(w);
  CHECK(moments(w).high == 0);
  Generator a(3), b(3);
  CHECK(init::kaiming_uniform_(w, {}, a).to_vector<float>() ==
        init::kaiming_uniform_(empty({2, 2}), {}, b).to_vector<float>());
}
