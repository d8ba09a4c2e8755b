// Private: OpenBLAS, which factorises matrices (tensor/lapack.hpp), and multiplies them for comparison and on
// processors that its kernels know better than ours.
#pragma once
#include <cotangent/tensor/gemm.hpp>

namespace cotangent::raw {

/// While one lives, OpenBLAS runs each call on the thread that makes it, for we divide the work by ourselves. How many
/// threads it takes is one number for the whole process (openblas_set_num_threads_local changes the same one): the
/// first of several sets it to 1, and the last one back.
class OneThreadedBlas {
 public:
  OneThreadedBlas();
  ~OneThreadedBlas();
  OneThreadedBlas(const OneThreadedBlas&) = delete;
  OneThreadedBlas& operator=(const OneThreadedBlas&) = delete;
};

/// c = alpha a b + beta c, in parts of rows that our own threads share; false where neither rows nor columns of an
/// operand are neighbours, which BLAS does not take.
template <class T>
bool blas_product(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T* c, int64_t c_row, T alpha, T beta);

}  // namespace cotangent::raw
