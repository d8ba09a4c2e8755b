#pragma once
// Products of matrices in memory, for kernels of other families too (convolution, attention). The one user of BLAS.
#include <cstdint>

namespace cotangent::raw {

/// A matrix in memory: element (i, j) is data[i * row + j * column]. Any strides will do, so a transposed, expanded or
/// overlapping view needs no copy.
template <class T>
struct Matrix {
  const T* data;
  int64_t row, column;
};

/// c = alpha a b + beta c + bias, for a (m, k), b (k, n), c (m, n) with c(i, j) = c[i * c_row + j] and, where it is
/// given, the bias of each row (n). Where beta is 0, c is not read, and k = 0 gives zeros, or the bias. T is float or
/// double. Runs on several threads where that pays, and on the calling one alone inside a parallel_for; every element
/// is summed in the same order either way.
template <class T>
void gemm(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T* c, int64_t c_row, T alpha = 1, T beta = 0,
          const T* bias = nullptr);

}  // namespace cotangent::raw
