#include <cotangent/tensor/gemm.hpp>

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include <cotangent/tensor/parallel.hpp>

#include "product_check.hpp"

using namespace cotangent;

TEMPLATE_TEST_CASE("gemm equals the definition for every layout and size", "[products]", float, double) {
  const int64_t sizes[][3] = {{1, 1, 1},       {4, 16, 2},     {3, 1, 7},     {1, 5, 300},    {17, 33, 9},
                              {14, 32, 16},    {29, 70, 5},    {64, 10, 200}, {13, 48, 193},  {130, 131, 70},
                              {100, 110, 120}, {130, 40, 400}, {9, 200, 700}, {20, 70, 1024}, {70, 70, 1024},
                              {1100, 45, 30},  {40, 1100, 30}, {5, 9, 30000}, {67, 129, 513}, {45, 70, 1100},
                              {200, 300, 1},   {8, 64, 1}};
  for (const auto& [m, n, k] : sizes) {
    const std::vector<TestType> x = integers<TestType>(4 * m * k, 1), y = integers<TestType>(4 * k * n, 2);
    const raw::Matrix<TestType> rows_a{x.data(), k, 1}, columns_a{x.data(), 1, m}, spread_a{x.data(), 2 * k, 2};
    const raw::Matrix<TestType> rows_b{y.data(), n, 1}, columns_b{y.data(), 1, k}, spread_b{y.data(), 2 * n, 2};
    for (const auto& a : {rows_a, columns_a, spread_a})
      for (const auto& b : {rows_b, columns_b, spread_b}) check_product<TestType>(m, n, k, a, b);
    check_product<TestType>(m, n, k, rows_a, columns_b, 2, 3);
    check_product<TestType>(m, n, k, columns_a, rows_b, -1, 1);
    check_product<TestType>(m, n, k, {x.data(), 0, 1}, {y.data(), 1, 0});  // repeated rows, repeated columns
    check_product<TestType>(m, n, k, {x.data() + (m - 1) * k, -k, 1}, rows_b);
  }
}

TEMPLATE_TEST_CASE("gemm multiplies by a vector", "[products]", float, double) {
  // rows and columns: fewer than a vector, no multiple of one, many of few, few of many
  for (auto [rows, columns] :
       {std::pair<int64_t, int64_t>{1, 1}, {3, 5}, {37, 21}, {100, 500}, {9000, 13}, {6, 5000}}) {
    const std::vector<TestType> matrix = integers<TestType>(rows * columns, 1),
                                vector = integers<TestType>(2 * std::max(rows, columns), 2);
    const raw::Matrix<TestType> a{matrix.data(), columns, 1}, transposed{matrix.data(), 1, columns};
    for (int64_t step : {1, 2})
      for (auto [alpha, beta] : {std::pair<TestType, TestType>{1, 0}, {2, 3}, {-1, 1}}) {
        const raw::Matrix<TestType> down{vector.data(), step, 1}, across{vector.data(), 1, step};
        check_product<TestType>(rows, 1, columns, a, down, alpha, beta);
        check_product<TestType>(columns, 1, rows, transposed, down, alpha, beta);
        check_product<TestType>(1, columns, rows, across, a, alpha, beta);
        check_product<TestType>(1, rows, columns, across, transposed, alpha, beta);
      }
  }
}

TEST_CASE("a product with a vector does not read what beta forgets, and keeps what is not finite", "[products]") {
  const float infinity = std::numeric_limits<float>::infinity();
  const float matrix[] = {1, infinity, 2, 0}, x[] = {1, 0};
  float y[] = {NAN, NAN};
  raw::gemm<float>(2, 1, 2, {matrix, 2, 1}, {x, 1, 1}, y, 1);
  CHECK(std::isnan(y[0]));  // infinity times 0
  CHECK(y[1] == 2);
  raw::gemm<float>(2, 1, 2, {matrix, 1, 2}, {x, 1, 1}, y, 1);
  CHECK(y[0] == 1);
  CHECK(y[1] == infinity);
}

TEMPLATE_TEST_CASE("gemm adds a bias to each row", "[products]", float, double) {
  using V = std::vector<TestType>;
  const int64_t sizes[][3] = {{1, 1, 1},    {7, 19, 3}, {14, 32, 300},  {1, 200, 90},
                              {200, 1, 90}, {5, 6, 0},  {130, 131, 270}};
  for (const auto& [m, n, k] : sizes)
    for (TestType beta : {0, 2}) {
      const V x = integers<TestType>(m * k, 1), y = integers<TestType>(k * n, 2), bias = integers<TestType>(n, 5);
      const raw::Matrix<TestType> a{x.data(), k, 1}, b{y.data(), n, 1};
      V c = integers<TestType>(m * n, 3), expected = c;
      for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j) {
          TestType& to = expected[static_cast<size_t>(i * n + j)];
          to = beta * to + bias[static_cast<size_t>(j)];
          for (int64_t l = 0; l < k; ++l) to += at(a, i, l) * at(b, l, j);
        }
      raw::gemm<TestType>(m, n, k, a, b, c.data(), n, 1, beta, bias.data());
      CAPTURE(m, n, k, beta);
      CHECK(c == expected);
    }
}

TEMPLATE_TEST_CASE("a packed matrix multiplies as the matrix does", "[products]", float, double) {
  using V = std::vector<TestType>;
  const int64_t sizes[][3] = {{1, 1, 1}, {7, 130, 3}, {20, 129, 64}, {5, 256, 600}};
  for (const auto& [m, n, k] : sizes)
    for (bool transposed : {false, true}) {
      const V x = integers<TestType>(m * k, 1), y = integers<TestType>(k * n, 2);
      const raw::Matrix<TestType> a{x.data(), k, 1},
          b = transposed ? raw::Matrix<TestType>{y.data(), 1, k} : raw::Matrix<TestType>{y.data(), n, 1};
      V space(static_cast<size_t>(raw::PackedMatrix<TestType>::packed_size(k, n)));
      const auto packed = raw::PackedMatrix<TestType>::pack(k, n, b, space.data());
      for (int64_t first = 0; first < n; first += raw::PackedMatrix<TestType>::panel())
        for (int64_t columns : {n - first, std::min<int64_t>(n - first, 33)}) {
          V c(static_cast<size_t>(m * columns)), expected = c;
          for (int64_t i = 0; i < m; ++i)
            for (int64_t j = 0; j < columns; ++j)
              for (int64_t l = 0; l < k; ++l)
                expected[static_cast<size_t>(i * columns + j)] += at(a, i, l) * at(b, l, first + j);
          raw::gemm<TestType>(m, columns, a, packed, first, c.data(), columns);
          CAPTURE(m, n, k, transposed, first, columns);
          CHECK(c == expected);
          const V bias = integers<TestType>(columns, 3);  // and then 2 c + bias is added
          for (size_t i = 0; i < expected.size(); ++i)
            expected[i] = 3 * expected[i] + bias[i % static_cast<size_t>(columns)];
          raw::gemm<TestType>(m, columns, a, packed, first, c.data(), columns, 2, bias.data());
          CHECK(c == expected);
        }
    }
}

TEST_CASE("gemm with k = 0 scales the result") {
  float c[2] = {3, NAN};
  raw::gemm<float>(1, 1, 0, {nullptr, 1, 1}, {nullptr, 1, 1}, c, 2, 1, 2);
  CHECK(c[0] == 6);
  raw::gemm<float>(1, 2, 0, {nullptr, 1, 1}, {nullptr, 1, 1}, c, 2);
  CHECK(c[0] == 0);
  CHECK(c[1] == 0);
  raw::gemm<float>(0, 2, 3, {nullptr, 1, 1}, {nullptr, 1, 1}, nullptr, 2);
}

TEST_CASE("gemm gives the same bits for any number of threads", "[threads][products]") {
  const int before = num_threads();
  for (const auto& [m, n, k] :
       {std::array<int64_t, 3>{150, 200, 250}, {64, 700, 300}, {20, 33, 5000}, {700, 1, 300}, {1, 700, 300}}) {
    std::vector<float> a(static_cast<size_t>(m * k)), b(static_cast<size_t>(k * n));
    for (size_t i = 0; i < a.size(); ++i) a[i] = std::sin(float(i));
    for (size_t i = 0; i < b.size(); ++i) b[i] = std::cos(float(i));
    std::vector<std::vector<float>> results;
    for (int threads : {1, 2, 3, 7}) {
      set_num_threads(threads);
      results.emplace_back(static_cast<size_t>(m * n));
      raw::gemm<float>(m, n, k, {a.data(), k, 1}, {b.data(), n, 1}, results.back().data(), n);
    }
    for (const auto& y : results) CHECK(y == results[0]);
  }
  set_num_threads(before);
}

TEST_CASE("OpenBLAS has as many threads as its user set, after products too", "[products]") {
  // the library of the process, where it is OpenBLAS
  const auto get = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "openblas_get_num_threads"));
  const auto set = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
  if (!get || !set) return;
  const int before = get(), threads = num_threads();
  set_num_threads(2);
  std::vector<float> a(400 * 400, 1), x(400, 1), y(400);
  for (int count : {3, 1, 2}) {
    set(count);
    raw::gemm<float>(400, 1, 400, {a.data(), 400, 1}, {x.data(), 1, 1}, y.data(), 1);
    CHECK(y == std::vector<float>(400, 400));
    CHECK(get() == count);
    std::vector<std::thread> others;
    for (int t = 0; t < 4; ++t)
      others.emplace_back([&] {
        std::vector<float> own(400);
        for (int i = 0; i < 200; ++i)
          raw::gemm<float>(400, 1, 400, {a.data(), 400, 1}, {x.data(), 1, 1}, own.data(), 1);
      });
    for (std::thread& t : others) t.join();
    CHECK(get() == count);
  }
  set(before);
  set_num_threads(threads);
}
