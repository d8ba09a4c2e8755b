#pragma once
// Sums of long rows and columns. Blocks are summed in the elements' type, which is fast, and the blocks in float64:
// what is added to a float32 sum of 10^6 would be rounded to sixteenths.
#include <cstdint>

namespace cotangent::kernels {
namespace {

constexpr int64_t kSumBlock = 1024;
constexpr int64_t kSumRows = 256;  // of a block of columns

/// The sum of f(i) for begin <= i < end, in one block.
template <class T, class F>
[[gnu::always_inline]] inline T sum_of_block(int64_t begin, int64_t end, F f) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = begin; i < end; ++i) sum += f(i);
  return sum;
}
/// The sum of f(i) for i < n.
template <class T, class F>
[[gnu::always_inline]] inline T sum_of(int64_t n, F f) {
  if (n <= kSumBlock) return sum_of_block<T>(0, n, f);
  double total = 0;
  for (int64_t first = 0; first < n; first += kSumBlock)
    total += static_cast<double>(sum_of_block<T>(first, n - first < kSumBlock ? n : first + kSumBlock, f));
  return static_cast<T>(total);
}

}  // namespace
}  // namespace cotangent::kernels
