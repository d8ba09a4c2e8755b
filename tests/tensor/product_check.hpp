#pragma once
// Products of matrices against their definition.
#include <cotangent/tensor/gemm.hpp>

#include <catch2/catch.hpp>
#include <limits>
#include <vector>

namespace cotangent {

/// Small integers, so that sums are exact in float32 and any order of them gives the same.
template <class T>
std::vector<T> integers(int64_t count, uint32_t seed) {
  std::vector<T> v(static_cast<size_t>(count));
  for (T& x : v) seed = seed * 1664525u + 1013904223u, x = static_cast<T>(static_cast<int>(seed >> 28) - 8);
  return v;
}

template <class T>
T at(const raw::Matrix<T>& x, int64_t i, int64_t j) {
  return x.data[i * x.row + j * x.column];
}

template <class T>
void check_product(int64_t m, int64_t n, int64_t k, raw::Matrix<T> a, raw::Matrix<T> b, T alpha = 1, T beta = 0) {
  const int64_t c_row = n + 3;
  std::vector<T> c = integers<T>(m * c_row, 3), expected = c;
  if (beta == 0)
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) c[static_cast<size_t>(i * c_row + j)] = std::numeric_limits<T>::quiet_NaN();
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      T sum = 0;
      for (int64_t l = 0; l < k; ++l) sum += at(a, i, l) * at(b, l, j);
      T& y = expected[static_cast<size_t>(i * c_row + j)];
      y = alpha * sum + (beta == 0 ? 0 : beta * y);
    }
  raw::gemm<T>(m, n, k, a, b, c.data(), c_row, alpha, beta);
  CAPTURE(m, n, k, alpha, beta);
  CHECK(c == expected);  // the gaps between the rows too
}

}  // namespace cotangent
