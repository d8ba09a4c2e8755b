// Private: products by OpenBLAS, for comparison, and for processors that its kernels know better than ours.
#pragma once
#include <cotangent/tensor/gemm.hpp>

namespace cotangent::raw {

/// c = alpha a b + beta c, in parts of rows that our own threads share; false where neither rows nor columns of an
/// operand are neighbours, which BLAS does not take.
template <class T>
bool blas_product(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T* c, int64_t c_row, T alpha, T beta);

}  // namespace cotangent::raw
