#pragma once
// Products of matrices.
#include <cstdint>

namespace cotangent::kernels {

/// c = alpha a b + beta c + bias, for m rows and a panel of n columns, which is at most two vectors wide. Where beta is
/// 0, c is not read. `b` has whole vectors of columns, of which those beyond n are not used. Strides are in elements.
struct PanelProduct {
  int64_t m, n, k;
  const void* a;
  int64_t a_row, a_column;
  int64_t a_strip;  ///< from one strip of rows to the next
  const void* b;
  int64_t b_row;
  void* c;
  int64_t c_row;
  const void* bias;  ///< (n), or nullptr
  double alpha, beta;
};

/// Products of matrices, for float32 and float64.
struct GemmLoops {
  int strip;     ///< rows that are computed at once
  int lanes[2];  ///< elements of a vector; a panel is two vectors wide
  /// y[i * width + j] = x[i * k_step + j * n_step] for i < k and j < n, and 0 for n <= j < width.
  void (*pack[2])(int64_t width, int64_t k, int64_t n, const void* x, int64_t k_step, int64_t n_step, void* y);
  void (*multiply[2])(const PanelProduct& product);
};

}  // namespace cotangent::kernels
