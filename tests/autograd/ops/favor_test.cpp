// FAVOR+: its errors are those that its formulas say, and orthogonal rows have less.
#include <cotangent/autograd/ops/favor.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/tensor/create.hpp>

#include "../sequences.hpp"

using namespace cotangent;

namespace {

double dot(const Tensor& a, const Tensor& b) { return sum(a * b).item(); }

/// The mean squared error of phi(x) . phi(y) against `truth`, over draws of m independent rows each, and the mean.
struct Estimate {
  double squared, mean;
};
Estimate measure(const Tensor& x, const Tensor& y, FavorKernel kernel, int64_t m, int64_t draws, double truth,
                 uint64_t seed) {
  Generator g(seed);
  // the features of all draws at once: one row of a draw gives one product, and a draw is the mean of m of them
  const Tensor w = random_projection(draws * m, x.size(0), false, float64, g);
  const int64_t copies = kernel == FavorKernel::hyperbolic ? 2 : 1;
  const double rows = static_cast<double>(copies * draws * m);
  const Tensor products = favor_features(x, w, kernel) * favor_features(y, w, kernel) * rows;
  const Tensor estimates = mean(mean(reshape(products, {copies, draws, m}), 0), 1);
  return {mean(square(estimates - truth)).item(), mean(estimates).item()};
}

Tensor with_norm(const Shape& shape, double norm, uint64_t seed) {
  Generator g(seed);
  const Tensor x = randn(shape, float64, g);
  return x * (norm / std::sqrt(sum(square(x)).item()));
}

}  // namespace

TEST_CASE("FAVOR+: mean squared errors equal the formulas, over 20,000 draws") {
  const Tensor x = with_norm({8}, 0.45, 1), y = with_norm({8}, 0.4, 2);
  const int64_t m = 4;
  const double xy = dot(x, y), z = dot(x + y, x + y), truth = std::exp(xy);
  REQUIRE(z < 1);
  const double positive = std::exp(2 * xy + z) * (1 - std::exp(-z)) / static_cast<double>(m);
  const double hyperbolic = (1 - std::exp(-z)) / 2 * positive;
  const Estimate p = measure(x, y, FavorKernel::positive, m, 20'000, truth, 3);
  const Estimate h = measure(x, y, FavorKernel::hyperbolic, m, 20'000, truth, 4);
  CHECK(p.squared / positive == Approx(1).margin(0.1));
  CHECK(h.squared / hyperbolic == Approx(1).margin(0.1));
  CHECK(p.mean == Approx(truth).epsilon(0.02));
  CHECK(h.mean == Approx(truth).epsilon(0.02));
}

TEST_CASE("FAVOR+: the error halves when there are four times as many features") {
  const Tensor x = with_norm({8}, 0.4, 5), y = with_norm({8}, 0.5, 6);
  const double truth = std::exp(dot(x, y));
  const double few = measure(x, y, FavorKernel::positive, 4, 20'000, truth, 7).squared;
  const double many = measure(x, y, FavorKernel::positive, 16, 20'000, truth, 8).squared;
  CHECK(std::sqrt(many / few) == Approx(0.5).epsilon(0.05));
}

TEST_CASE("FAVOR+: the mean of the relu features is the arc-cosine kernel") {
  const Tensor x = with_norm({6}, 0.9, 9), y = with_norm({6}, 1.1, 10);
  const double lengths = std::sqrt(dot(x, x) * dot(y, y)), t = std::acos(dot(x, y) / lengths), pi = std::acos(-1.0);
  const double truth = lengths * (std::sin(t) + (pi - t) * std::cos(t)) / (2 * pi);
  CHECK(measure(x, y, FavorKernel::relu, 8, 20'000, truth, 11).mean == Approx(truth).epsilon(0.02));
}

TEST_CASE("FAVOR+: orthogonal rows are orthogonal within blocks, have the lengths of normal vectors, and err less") {
  Generator g(12);
  const Tensor w = random_projection(40, 16, true, float64, g), gram = matmul(w, w.t());
  for (int64_t i = 0; i < 40; ++i)
    for (int64_t j = i - i % 16; j < i; ++j) CHECK(std::fabs(gram[i][j].item()) < 1e-12 * 16);
  CHECK(mean(sum(square(random_projection(4000, 16, true, float64, g)), 1)).item() == Approx(16).epsilon(0.02));

  const Tensor x = with_norm({16}, 0.7, 13), y = with_norm({16}, 0.7, 14);
  const double truth = std::exp(dot(x, y));
  const auto error = [&](bool orthogonal) {
    double total = 0;
    for (int draw = 0; draw < 4000; ++draw) {
      const Tensor rows = random_projection(16, 16, orthogonal, float64, g);
      const double e = dot(favor_features(x, rows), favor_features(y, rows)) - truth;
      total += e * e / 4000;
    }
    return total;
  };
  CHECK(error(true) < 0.9 * error(false));
}

TEST_CASE("FAVOR+ comes close to softmax attention with many features") {
  Generator g(15);
  const auto make = [&](double scale) { return randn({1, 2, 12, 8}, float64, g) * scale; };
  const Tensor q = make(0.4), k = make(0.4), v = make(1), w = random_projection(8192, 8, true, float64, g);
  for (FavorKernel kernel : {FavorKernel::positive, FavorKernel::hyperbolic})
    for (bool causal : {false, true}) {
      const Tensor exact = scaled_dot_product_attention(q, k, v, {.causal = causal});
      CHECK(largest_difference(favor_attention(q, k, v, w, {.kernel = kernel, .causal = causal}), exact) < 0.05);
    }
}

TEST_CASE("FAVOR+: causal forms agree, parts give the whole, and nothing looks ahead, with any kernel") {
  Generator g(16);
  const auto make = [&](int64_t d) { return randn({2, 2, 13, d}, float64, g); };
  const Tensor q = make(4), k = make(4), v = make(3), w = random_projection(6, 4, true, float64, g);
  for (FavorKernel kernel : {FavorKernel::positive, FavorKernel::hyperbolic, FavorKernel::relu}) {
    const Tensor whole = favor_attention(q, k, v, w, {.kernel = kernel, .causal = true, .form = LinearForm::parallel});
    for (LinearForm form : {LinearForm::chunked, LinearForm::recurrent}) {
      LinearAttentionState state;
      const Tensor parts = in_parts({7, 1, 5}, 2, [&](int64_t first, int64_t count) {
        const auto cut = [&](const Tensor& x) { return x.narrow(2, first, count); };
        return favor_attention(cut(q), cut(k), cut(v), w, {.kernel = kernel, .causal = true, .form = form, .chunk = 3},
                               &state);
      });
      CHECK(largest_difference(parts, whole) < 1e-10);
    }
    check_causal(k, 2, [&](const Tensor& x) {
      return favor_attention(q + x, x, v + sum(x, -1, true), w, {.kernel = kernel, .causal = true, .chunk = 4});
    });
  }
}

TEST_CASE("FAVOR+: queries and keys far from 0 keep features other than 0") {
  Generator g(17);
  const Tensor q = randn({1, 1, 6, 4}, float32, g) * 20, v = ones({1, 1, 6, 1});
  const Tensor w = random_projection(8, 4, true, float32, g);
  CHECK(largest_difference(favor_attention(q, q, v, w), v) < 1e-5);
  const Tensor none = zeros({1, 6}, boolean);
  CHECK(max(abs(favor_attention(q, q, v, w, {.key_mask = none}))).item() == 0);
}
