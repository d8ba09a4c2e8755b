#pragma once
// Sums of long rows and columns. Blocks are summed in the elements' type, which is fast, and the blocks in float64: what
// is added to a float32 sum of 10^6 would be rounded to sixteenths.
#include <cstdint>

namespace cotangent::kernels {
namespace {

constexpr int64_t kSumBlock = 1024;
constexpr int64_t kSumRows = 256;  // of a block of columns

/// The sum of f(i) for i < n.
template <class T, class F>
double sum_of(int64_t n, F f) {
  double total = 0;
  for (int64_t first = 0; first < n; first += kSumBlock) {
    const int64_t end = n - first < kSumBlock ? n : first + kSumBlock;
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = first; i < end; ++i) sum += f(i);
    total += static_cast<double>(sum);
  }
  return total;
}

/// Calls body(first, last) for blocks of n rows.
template <class F>
void for_row_blocks(int64_t n, F body) {
  for (int64_t first = 0; first < n; first += kSumRows) body(first, n - first < kSumRows ? n : first + kSumRows);
}

}  // namespace
}  // namespace cotangent::kernels
