#pragma once
// Products of matrices in memory, for kernels of other families too (convolution, attention).
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

/// A matrix (k, n) in the order in which products read their second operand: it is packed once for several products.
template <class T>
struct PackedMatrix {
  int64_t k, n;
  const T* data;  ///< packed_size(k, n) elements

  /// Columns that lie together.
  static int64_t panel();
  static int64_t packed_size(int64_t k, int64_t n);
  /// Into `space`, which is 64-byte aligned.
  static PackedMatrix pack(int64_t k, int64_t n, Matrix<T> b, T* space);
};
/// c = a b + beta c + bias for n columns of b from `first` on, a multiple of panel(). On the calling thread.
template <class T>
void gemm(int64_t m, int64_t n, Matrix<T> a, const PackedMatrix<T>& b, int64_t first, T* c, int64_t c_row, T beta = 0,
          const T* bias = nullptr);

}  // namespace cotangent::raw
