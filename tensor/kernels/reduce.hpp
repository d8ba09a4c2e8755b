#pragma once
// Reductions along one dimension, and running sums.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/columns.hpp>

namespace cotangent::kernels {

/// y = all elements of a row or column joined. The extremes give NaN if there is one.
enum class Fold : uint8_t { sum, sum_squares, product, max, min, count };
struct FoldLoops {
  void (*rows)(const void* x, void* y, int64_t rows, int64_t n);
  void (*columns)(const void* x, void* y, int64_t n, int64_t stride, int64_t columns);  ///< any number of columns
};
/// Where `value` stands first.
struct FindLoops {
  void (*rows)(const void* x, const void* value, int64_t* index, int64_t rows, int64_t n);
  void (*columns)(const void* x, const void* value, int64_t* index, int64_t n, int64_t stride, int64_t columns);
};
/// The mean, and the sums of (x - mean)^2 and of x - mean, which is not 0 where the mean was rounded. From these of n
/// elements, `refine` makes them those of the true mean, in place: `sum` becomes what T cannot hold of it, and the
/// result is whether any of that matters.
template <class T>
struct DeviationLoops {
  void (*rows)(const T* x, T* mean, T* squares, T* sum, int64_t rows, int64_t n);
  void (*columns)(const T* x, T* mean, T* squares, T* sum, int64_t n, int64_t stride, int64_t columns);
  bool (*refine)(T* mean, T* squares, T* sum, int64_t count, int64_t n);
};
/// Running sums or products of the columns, from row to row `stride` apart (below 0 if they run backwards); `totals`
/// are of the rows before, and then of all.
template <class T>
struct ScanLoops {
  void (*sums)(const T* x, T* y, double* totals, int64_t n, int64_t stride, int64_t columns);
  void (*products)(const T* x, T* y, double* totals, int64_t n, int64_t stride, int64_t columns);
};
struct ReduceTable {
  FoldLoops fold[static_cast<int>(Fold::count)][8];  ///< by Dtype, as in UnaryTable
  FindLoops find[8];
  ByFloat<DeviationLoops> deviation;
  ByFloat<ScanLoops> scan;
};

}  // namespace cotangent::kernels
