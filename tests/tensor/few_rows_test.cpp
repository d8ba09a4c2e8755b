#include <algorithm>
#include <cmath>
#include <utility>

#include <cotangent/tensor/few_rows_internal.hpp>
#include <cotangent/tensor/parallel.hpp>

#include "product_check.hpp"

using namespace cotangent;

namespace {

/// Of every size.
template <class T>
std::vector<T> waves(int64_t count) {
  std::vector<T> v(static_cast<size_t>(count));
  for (size_t i = 0; i < v.size(); ++i)
    v[i] = static_cast<T>(std::sin(double(i)) * std::exp(std::cos(3.0 * double(i))));
  return v;
}

template <class T>
std::vector<T> multiply(int64_t m, int64_t n, int64_t k, raw::Matrix<T> a, raw::Matrix<T> b) {
  std::vector<T> c(static_cast<size_t>(m * n));
  raw::gemm<T>(m, n, k, a, b, c.data(), n);
  return c;
}

}  // namespace

TEMPLATE_TEST_CASE("products of few rows equal the definition", "[products]", float, double) {
  // Columns and terms: fewer than a vector has lanes, as many, one more; fewer than a tile has, and so on.
  const std::pair<int64_t, int64_t> sizes[] = {{1, 2},   {2, 3},   {7, 5},    {8, 16},  {9, 17}, {15, 31}, {16, 32},
                                               {17, 33}, {33, 15}, {31, 100}, {65, 48}, {3, 70}, {130, 7}, {5, 1100}};
  for (int64_t m = 1; m <= 18; ++m)
    for (const auto& [n, k] : sizes) {
      const auto x = integers<TestType>(2 * m * k, 1), w = integers<TestType>(k * n, 2);
      const raw::Matrix<TestType> rows{x.data(), k, 1}, spread{x.data(), 2 * k, 2}, across{x.data(), m, 1};
      const raw::Matrix<TestType> by_rows{w.data(), n, 1}, by_columns{w.data(), 1, k};
      const auto turned = [](raw::Matrix<TestType> v) { return raw::Matrix<TestType>{v.data, v.column, v.row}; };
      for (const auto& matrix : {by_rows, by_columns}) {
        check_product<TestType>(m, n, k, rows, matrix);
        check_product<TestType>(m, n, k, spread, matrix, 2, 3);
        check_product<TestType>(n, m, k, turned(matrix), across);  // few columns
        check_product<TestType>(n, m, k, turned(matrix), turned(rows), -1, 1);
      }
      check_product<TestType>(m, n, k, rows, {w.data(), 0, 1}, 1, 2);  // one row, repeated
      check_product<TestType>(m, n, k, rows, {w.data(), 1, 0});
    }
}

TEMPLATE_TEST_CASE("a row of few does not depend on the others", "[products]", float, double) {
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{65, 128}, {40, 75}, {5, 300}, {1100, 40}}) {
    const auto x = waves<TestType>(8 * k), w = waves<TestType>(k * n);
    const auto multiply = [n = n, k = k, &w](int64_t m, const TestType* from) {
      std::vector<TestType> y(static_cast<size_t>(m * n), NAN);
      REQUIRE(raw::few_rows_product<TestType>(m, n, k, {from, k, 1}, {w.data(), 1, k}, y.data(), n, 1, 0, nullptr));
      return y;
    };
    for (const int64_t m : {2, 3, 4, 5, 7, 8}) {
      if (8 * m > k) continue;
      const auto together = multiply(m, x.data());
      std::vector<TestType> apart;
      for (int64_t i = 0; i < m; ++i)
        for (const TestType y : multiply(1, x.data() + i * k)) apart.push_back(y);
      CAPTURE(m, n, k);
      CHECK(together == apart);
    }
  }
}

TEMPLATE_TEST_CASE("products of few rows keep what is not finite, where it is", "[products]", float, double) {
  const TestType infinity = std::numeric_limits<TestType>::infinity();
  const int64_t m = 3, n = 11;
  for (const int64_t k : {3, 20, 37})
    for (const int64_t at : {int64_t{0}, int64_t{1}, k - 2, k - 1})
      for (const bool by_columns : {true, false}) {
        std::vector<TestType> x(static_cast<size_t>(m * k), 1), w(static_cast<size_t>(n * k), 1);
        const raw::Matrix<TestType> matrix{w.data(), by_columns ? 1 : n, by_columns ? k : 1};
        w[static_cast<size_t>(at * matrix.row + 4 * matrix.column)] = infinity;
        x[static_cast<size_t>(k + at)] = 0;
        x[static_cast<size_t>(2 * k + at)] = NAN;
        const auto y = multiply<TestType>(m, n, k, {x.data(), k, 1}, matrix);
        CAPTURE(k, at, by_columns);
        for (int64_t j = 0; j < n; ++j) {
          CHECK(y[static_cast<size_t>(j)] == (j == 4 ? infinity : TestType(k)));
          CHECK(
              (j == 4 ? std::isnan(y[static_cast<size_t>(n + j)]) : y[static_cast<size_t>(n + j)] == TestType(k - 1)));
          CHECK(std::isnan(y[static_cast<size_t>(2 * n + j)]));
        }
      }
}

TEST_CASE("products of few rows add a bias, and give the same bits for any number of threads", "[threads][products]") {
  const int before = num_threads();
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{700, 300}, {90, 3000}, {2100, 70}})
    for (const bool by_columns : {true, false})
      for (const int64_t m : {2, 4, 8}) {
        const auto x = waves<float>(m * k), w = waves<float>(k * n), bias = waves<float>(n);
        const raw::Matrix<float> matrix{w.data(), by_columns ? 1 : n, by_columns ? k : 1};
        std::vector<std::vector<float>> results;
        for (const int threads : {1, 2, 3, 7}) {
          set_num_threads(threads);
          results.emplace_back(static_cast<size_t>(m * n), NAN);
          raw::gemm<float>(m, n, k, {x.data(), k, 1}, matrix, results.back().data(), n, 1, 0, bias.data());
        }
        CAPTURE(m, n, k, by_columns);
        for (const auto& y : results) CHECK(y == results[0]);
        double sum = bias[0];
        for (int64_t l = 0; l < k; ++l) sum += double{x[static_cast<size_t>(l)]} * double{at(matrix, l, 0)};
        CHECK(results[0][0] == Approx(sum).margin(1e-3));
      }
  set_num_threads(before);
}
