#pragma once
// Products of float16 and of bfloat16: what they are packed as, and what multiplies it.
#include <cstdint>

namespace cotangent::kernels {

inline constexpr int64_t kHalfPanel = 32;  ///< columns, or rows of a first operand, that are packed together
inline constexpr int64_t kHalfStrip = 8;   ///< rows that are multiplied together

/// c = a b, or c += a b, for m rows and n <= kHalfPanel columns, over k pairs of bfloat16 that are neighbours along k.
/// Strides are in elements: of 16 bits in a, of 32 in c. In the packed b, and in a where it lies, the pairs are 32 bits
/// with the first of both in the low half.
struct PairProduct {
  int64_t m, n, k;
  const uint16_t* a;
  int64_t a_row, a_pair;
  int64_t a_strip;    ///< from one strip of rows to the next
  const uint32_t* b;  ///< k rows of kHalfPanel pairs, 64-byte aligned
  float* c;           ///< whole vectors of columns are written
  int64_t c_row;
  bool add;
};

struct HalfLoops {
  /// Elements along k of a packed one: 1, which is then a float32, or 2.
  int64_t depth;
  /// y[i * kHalfPanel + j] = x[i * k_step + j * n_step] for i < k and j < n, and 0 for n <= j < kHalfPanel; with pairs,
  /// i counts them, and a last one alone has 0 beside it.
  void (*pack)(int64_t k, int64_t n, const void* x, int64_t k_step, int64_t n_step, void* y);
  void (*multiply)(const PairProduct& product);  ///< of pairs
  /// c = alpha sums + bias + beta c, rounded, for m rows of n. The sums are overwritten. Where beta is 0, c is not
  /// read; bias is n numbers or nullptr.
  void (*store)(int64_t m, int64_t n, float* sums, int64_t sums_row, float alpha, const float* bias, float beta,
                void* c, int64_t c_row);
  /// y[i * y_step] = row i of a times x, for m rows of k neighbours: of bfloat16 where there are pairs, else nullptr.
  void (*dot_rows)(int64_t m, int64_t k, const void* a, int64_t a_row, const void* x, float* y);
};
struct HalfTable {
  HalfLoops bfloat16, float16;
};

}  // namespace cotangent::kernels
