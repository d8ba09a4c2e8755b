#include <cotangent/zoo/alias_table.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;
using Catch::Contains;
using zoo::AliasTable;

TEST_CASE("AliasTable holds exactly what it was given") {
  Generator generator(1);
  for (const Tensor& weights :
       {tensor({1.0}, float64), tensor({0.0, 2.0, 0.0}, float64), tensor({1, 1, 1, 1}), tensor({5, 1, 3}),
        tensor({1e-9, 1.0, 1e-3, 7.0}, float64), rand({1000}, float64, generator) / (arange(1, 1001))}) {
    const Tensor w = weights.to(float64);
    CHECK(close(AliasTable(weights).probabilities(), w / w.sum()));
  }
}

TEST_CASE("AliasTable draws as often as it should") {
  const Tensor p = tensor({0.5, 0.0, 0.3, 0.15, 0.05}, float64);
  const AliasTable table(p);
  Generator generator(3);
  const int64_t n = 100000;
  const Tensor drawn = table.draw({n / 10, 10}, generator);
  CHECK(drawn.shape() == Shape{n / 10, 10});
  for (int64_t token = 0; token < 5; ++token) {
    const double expected = p[token].item(), found = (drawn == token).to(float64).sum().item() / n;
    CHECK(std::abs(found - expected) <= 4 * std::sqrt(expected * (1 - expected) / n));  // 4 standard deviations
  }
  CHECK(table.at(0) >= 0);
  CHECK(table.at(1 - 0x1p-53) < 5);
  CHECK(table.draw({0}, generator).shape() == Shape{0});
}

TEST_CASE("AliasTable: what it cannot take") {
  CHECK_THAT(error_of([] { AliasTable(zeros({0})); }), Contains("weights of shape (0,)"));
  CHECK_THAT(error_of([] { AliasTable(ones({2, 2})); }), Contains("they must be (V)"));
  for (const Tensor& bad : {tensor({0.0, 0.0}), tensor({1.0, -1.0}), tensor({1.0, NAN}), tensor({1.0, INFINITY})})
    CHECK_THAT(error_of([&] { AliasTable{bad}; }), Contains("negative, not finite or all 0"));
}
