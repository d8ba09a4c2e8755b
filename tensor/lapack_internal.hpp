// Private: what the files that call LAPACK share. It reads matrices by columns.
#pragma once
#include <algorithm>
#include <cmath>

#include <cotangent/tensor/blas_internal.hpp>
#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/memory/scratch_internal.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/views.hpp>

/// getrf<T>: sgetrf_ or dgetrf_.
#define COTANGENT_LAPACK(name)              \
  template <class T>                        \
  constexpr auto name = [] {                \
    if constexpr (std::is_same_v<T, float>) \
      return s##name##_;                    \
    else                                    \
      return d##name##_;                    \
  }();

namespace cotangent::raw {

inline Tensor turned(const Tensor& x) { return transpose("transpose", x, -2, -1); }
inline Shape batch_of(const Tensor& x, int dims = 2) { return x.shape().slice(0, x.rank() - dims); }

/// Uninitialised matrices (.., m, n), the columns of each end to end.
inline Tensor new_by_columns(const char* op, const Shape& batch, int64_t m, int64_t n, Dtype dtype) {
  Shape shape = batch;
  shape.push_back(n), shape.push_back(m);
  return turned(detail::make_tensor(shape, dtype, op));
}
/// A copy, to be written over.
inline Tensor by_columns(const char* op, const Tensor& x) {
  const Tensor y = new_by_columns(op, batch_of(x), x.size(-2), x.size(-1), x.dtype());
  copy_into(op, x, y);
  return y;
}

/// Where item i of the batch begins, of items of `dims` dimensions.
inline int64_t batch_offset(const Tensor& x, int64_t i, int dims = 2) {
  int64_t offset = 0;
  for (int d = x.rank() - dims - 1; d >= 0; --d) offset += i % x.shape()[d] * x.strides()[d], i /= x.shape()[d];
  return offset;
}

/// The sizes of matrices as LAPACK takes them.
inline int lapack_size(const char* op, int64_t n) {
  if (n > INT32_MAX)
    fail<ShapeError>("[{}] a matrix has {} rows or columns; LAPACK takes at most {}", op, n, INT32_MAX);
  return static_cast<int>(n);
}

/// "matrix 3 of the batch (2, 4)" or "the matrix".
inline std::string place_of(int64_t i, const Shape& batch) {
  return batch.rank() == 0 ? "the matrix" : fmt::format("matrix {} of the batch {}", i, batch);
}

/// Calls body(i), which gives 0 for good, for each of a batch, and then fail_for(i, status) for the first that is not.
/// `work` is the number of operations of one.
template <class Body, class Fail>
void for_each_matrix(int64_t count, int64_t work, Body&& body, Fail&& fail_for) {
  const OneThreadedBlas guard;
  const Scratch<int> status(count);
  parallel_for(0, count, std::max<int64_t>(1, 20000 / std::max<int64_t>(work, 1)), [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) status[i] = body(i);
  });
  for (int64_t i = 0; i < count; ++i)
    if (status[i] != 0) fail_for(i, status[i]);
}

template <class T>
bool all_finite(const T* x, int64_t n) {
  return kernels::kernels().attention.of<T>().finite(x, n, 1, n);
}

/// A status of for_each_matrix, and its error. LAPACK would not end for some such matrices.
inline constexpr int kNotFinite = -1;
inline void check_finite(const char* op, int status, int64_t i, const Shape& batch) {
  if (status == kNotFinite) fail<ValueError>("[{}] {} has elements that are NaN or infinite", op, place_of(i, batch));
}

/// b = a^-1 b, by columns; a becomes its factors.
template <class T>
void solve_into(int n, int k, T* a, int* pivots, T* b);

}  // namespace cotangent::raw
