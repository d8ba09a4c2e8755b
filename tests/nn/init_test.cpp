#include <cotangent/nn/init.hpp>

#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>
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
