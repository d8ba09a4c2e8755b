#pragma once
// Softmax along one dimension.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/columns.hpp>

namespace cotangent::kernels {

template <class T>
struct SoftmaxLoops {
  void (*rows)(const T* x, T* y, int64_t rows, int64_t n);
  void (*columns)(const T* x, T* y, int64_t n, int64_t stride, int64_t columns);
  void (*rows_backward)(const T* dy, const T* y, T* dx, int64_t rows, int64_t n);
  void (*columns_backward)(const T* dy, const T* y, T* dx, int64_t n, int64_t stride, int64_t columns);
};
/// log(sum(exp(x))) of rows, or of columns: y = shift + log(sum) with sum = sum(exp(x - shift)).
template <class T>
struct LogSumExpLoops {
  void (*rows)(const T* x, T* y, T* shift, T* sum, int64_t rows, int64_t n);
  void (*columns)(const T* x, T* y, T* shift, T* sum, int64_t n, int64_t stride, int64_t columns);
};
struct SoftmaxTable {
  ByFloat<SoftmaxLoops> softmax, log_softmax;
  ByFloat<LogSumExpLoops> logsumexp;
};

}  // namespace cotangent::kernels
