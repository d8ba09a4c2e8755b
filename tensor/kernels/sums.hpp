#pragma once
// Sums of rows and columns. Blocks of long ones are summed in the elements' type, which is fast, and the blocks in
// float64: what is added to a float32 sum of 10^6 would be rounded to sixteenths. The lengths of blocks are the order
// of sums, alike on all machines.
#include <cstdint>

#include <cotangent/tensor/kernels/columns.hpp>

namespace cotangent::kernels {
namespace {

constexpr int kWide = 32;  // partial sums of each total: one vector of them would wait for its own additions
constexpr int kNarrow = 8;

/// Adds up the terms of `spans` times n elements: body(i, s) adds those of element i to s[0], and to s[kWide] where
/// there are two totals.
template <int kTotals, class T, class Body>
[[gnu::always_inline]] inline void add_up(int64_t spans, int64_t n, int64_t stride, T* totals, Body body,
                                          int64_t first = 0) {
  T s[kTotals * kWide] = {};
  for (; spans > 0; --spans, first += stride) {
    int64_t i = first;
    const int64_t end = first + n;
    for (; i + kWide <= end; i += kWide)
#pragma omp simd
      for (int j = 0; j < kWide; ++j) body(i + j, s + j);
    for (int part = 0; i + kNarrow <= end; i += kNarrow, part += kNarrow)
#pragma omp simd
      for (int j = 0; j < kNarrow; ++j) body(i + j, s + part + j);
    for (int j = 0; i < end; ++i, ++j) body(i, s + j);
  }
  for (int t = 0; t < kTotals; ++t) {
    T* of = s + t * kWide;
    for (int width = kWide / 2; width > 0; width /= 2)
      for (int j = 0; j < width; ++j) of[j] += of[j + width];
    totals[t] = of[0];
  }
}

/// Rows of more elements are long. A function over rows asks once for all of them, since short ones would feel it.
constexpr int64_t kLongRow = 1024;

/// The same for a row, in blocks that are added up in float64 if it is long.
template <int kTotals, class T, bool kLong, class Body>
[[gnu::always_inline]] inline void add_up_row(int64_t n, double* totals, Body body) {
  const int64_t block = kLong ? kLongRow : n;
  for (int t = 0; t < kTotals; ++t) totals[t] = 0;
  for (int64_t first = 0; first < n; first += block) {
    const int64_t count = kLong && n - first < block ? n - first : block;
    T part[kTotals];
    add_up<kTotals>(1, count, count, part, body, first);
    for (int t = 0; t < kTotals; ++t) totals[t] += static_cast<double>(part[t]);
    if constexpr (!kLong) return;
  }
}

/// The sum of f(i) for i < n, in blocks if the row is long.
template <class T, bool kLong, class F>
[[gnu::always_inline]] inline T sum_of(int64_t n, F f) {
  if constexpr (kLong) {
    double total = 0;
    for (int64_t first = 0; first < n; first += kLongRow)
      total += static_cast<double>(
          sum_of<T, false>(n - first < kLongRow ? n - first : kLongRow, [=](int64_t i) { return f(first + i); }));
    return static_cast<T>(total);
  } else {
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; ++i) sum += f(i);
    return sum;
  }
}
template <class T, class F>
[[gnu::always_inline]] inline T sum_of(int64_t n, F f) {
  return n > kLongRow ? sum_of<T, true>(n, f) : sum_of<T, false>(n, f);
}

/// Columns are summed in blocks of so many rows.
constexpr int64_t kSumRows = 256;

/// sum[j], for `count` columns, is what add_row(i) adds to it for i < n: in blocks that are added up in float64 where
/// there are several.
template <class T, class F>
[[gnu::always_inline]] inline void sum_columns(int64_t n, int64_t count, T* sum, F add_row) {
  double total[kColumns];
  for (int64_t j = 0; j < count; ++j) sum[j] = 0;
  for (int64_t first = 0; first < n; first += kSumRows) {
    if (first > 0)
      for (int64_t j = 0; j < count; ++j)
        total[j] = (first > kSumRows ? total[j] : 0) + static_cast<double>(sum[j]), sum[j] = 0;
    const int64_t end = n - first < kSumRows ? n : first + kSumRows;
    for (int64_t i = first; i < end; ++i) add_row(i);
  }
  if (n > kSumRows)
    for (int64_t j = 0; j < count; ++j) sum[j] = static_cast<T>(total[j] + static_cast<double>(sum[j]));
}

}  // namespace
}  // namespace cotangent::kernels
