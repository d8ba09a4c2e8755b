// Private: products of few rows with a matrix, or of a matrix with few columns, which are bound by memory: the matrix
// is read once, as it lies.
#pragma once
#include <cotangent/tensor/gemm.hpp>

namespace cotangent::raw {

/// c = beta c + bias, for m rows of n neighbours.
template <class T>
void begin_rows(int64_t m, int64_t n, T* c, int64_t c_row, T beta, const T* bias);

/// As gemm(); false, and nothing is done, where it would not pay or the matrix does not lie right. Where the rows of a
/// and the columns of b are neighbours, as those of a layer's weight are, each row of the result is the same, bit for
/// bit, whatever few rows are multiplied with it.
template <class T>
bool few_rows_product(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T* c, int64_t c_row, T alpha, T beta,
                      const T* bias);

}  // namespace cotangent::raw
