#pragma once
// Softmax along one dimension.
#include <cotangent/tensor/kernels/columns.hpp>

namespace cotangent::kernels {

struct SoftmaxLoops {
  void (*rows)(const void* x, void* y, int64_t rows, int64_t n);
  void (*columns)(const void* x, void* y, int64_t n, int64_t stride, int64_t columns);
  void (*rows_backward)(const void* dy, const void* y, void* dx, int64_t rows, int64_t n);
  void (*columns_backward)(const void* dy, const void* y, void* dx, int64_t n, int64_t stride, int64_t columns);
};

}  // namespace cotangent::kernels
