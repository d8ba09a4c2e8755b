#pragma once
// Conversions between dtypes, selection by a mask, and copies of elements that lie apart.
#include <cstdint>

namespace cotangent::kernels {

using ConvertLoop = void (*)(const void* x, void* y, int64_t n);
using ConvertTable = ConvertLoop[8][8];  ///< from a Dtype to another

/// What elements of one size go through, whatever they mean.
struct CopyLoops {
  /// y = condition ? a : b. Steps are 0 or 1.
  void (*where)(const bool* condition, const void* a, const void* b, void* y, int64_t n, int step_a, int step_b);
  /// y[j * y_stride + r] = x[r * x_stride + j]
  void (*transpose)(const void* x, int64_t rows, int64_t columns, int64_t x_stride, void* y, int64_t y_stride);
  /// y[i] = x[i * stride]
  void (*gather)(const void* x, void* y, int64_t n, int64_t stride);
  /// y[r * y_stride + i] = x[r * x_stride + i], for i < n
  void (*rows)(const void* x, int64_t x_stride, void* y, int64_t y_stride, int64_t rows, int64_t n);
  /// y[i * stride] = x[i]
  void (*scatter)(const void* x, void* y, int64_t n, int64_t stride);
};
struct CopyTable {
  CopyLoops of_size[4];  ///< 1, 2, 4 and 8 bytes
  /// Copies, past the caches where the processor can. Other threads see it after end_stream() on the thread that
  /// streamed: the caller of a parallel loop calls it behind the loop, the threads that help do it by themselves.
  void (*stream)(const void* x, void* y, int64_t bytes);
  void (*end_stream)();

  const CopyLoops& of(int64_t bytes) const { return of_size[__builtin_ctzll(static_cast<uint64_t>(bytes))]; }
  template <class T>
  const CopyLoops& of() const {
    return of(sizeof(T));
  }
};

}  // namespace cotangent::kernels
