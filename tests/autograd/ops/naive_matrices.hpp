#pragma once
// Matrices as the definitions have them, in float64, to compare with LAPACK.
#include <cmath>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {

struct Grid {
  int64_t rows, columns;
  std::vector<double> values = std::vector<double>(static_cast<size_t>(rows * columns), 0.0);
  double& operator()(int64_t i, int64_t j) { return values[static_cast<size_t>(i * columns + j)]; }
  double operator()(int64_t i, int64_t j) const { return values[static_cast<size_t>(i * columns + j)]; }
};
inline Grid identity_grid(int64_t n) {
  Grid y{n, n};
  for (int64_t i = 0; i < n; ++i) y(i, i) = 1;
  return y;
}
inline Grid product(const Grid& a, const Grid& b) {
  Grid y{a.rows, b.columns};
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t k = 0; k < a.columns; ++k)
      for (int64_t j = 0; j < b.columns; ++j) y(i, j) += a(i, k) * b(k, j);
  return y;
}
/// By the first row.
inline double determinant(const Grid& a) {
  if (a.rows == 0) return 1;
  double sum = 0;
  for (int64_t c = 0; c < a.columns; ++c) {
    Grid minor{a.rows - 1, a.columns - 1};
    for (int64_t i = 1; i < a.rows; ++i)
      for (int64_t j = 0; j < a.columns; ++j)
        if (j != c) minor(i - 1, j - (j > c)) = a(i, j);
    sum += (c % 2 ? -1 : 1) * a(0, c) * determinant(minor);
  }
  return sum;
}
/// By Cramer's rule.
inline Grid inverse(const Grid& a) {
  Grid y{a.rows, a.columns};
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t j = 0; j < a.columns; ++j) {
      Grid replaced = a;  // column i by the unit vector j
      for (int64_t r = 0; r < a.rows; ++r) replaced(r, i) = r == j;
      y(i, j) = determinant(replaced) / determinant(a);
    }
  return y;
}

inline Grid grid(const Tensor& x, int64_t index) {
  Grid y{x.size(-2), x.size(-1)};
  const Tensor dense = clone(x.detach().contiguous());
  const double* from = dense.data<double>() + index * y.rows * y.columns;
  y.values.assign(from, from + y.rows * y.columns);
  return y;
}
/// f(matrix) of each of a batch, stacked.
template <class F>
Tensor for_each_grid(const Tensor& x, F f) {
  std::vector<double> all;
  Shape shape = x.shape().slice(0, x.rank() - 2);
  const int64_t count = shape.product();
  Grid y{0, 0};
  for (int64_t i = 0; i < count; ++i) {
    y = f(grid(x, i), i);
    all.insert(all.end(), y.values.begin(), y.values.end());
  }
  shape.push_back(y.rows), shape.push_back(y.columns);
  return from_vector(all, shape);
}

}  // namespace cotangent
