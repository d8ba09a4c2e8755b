#pragma once
// Products of matrices, and sums of multiples of vectors.
#include <cstdint>

namespace cotangent::kernels {

/// c = alpha a b + beta c + bias, for m rows and a panel of n columns, which is at most two vectors wide. Where beta is
/// 0, c is not read. `b` has whole vectors of columns, of which those beyond n are not used. Strides are in elements.
template <class T>
struct PanelProduct {
  int64_t m, n, k;
  const T* a;
  int64_t a_row, a_column;
  int64_t a_strip;  ///< from one strip of rows to the next
  const T* b;
  int64_t b_row;
  T* c;
  int64_t c_row;
  const T* bias;  ///< (n), or nullptr
  double alpha, beta;
};

template <class T>
struct GemmLoops {
  int strip;  ///< rows that are computed at once
  int lanes;  ///< elements of a vector; a panel is two vectors wide
  /// y[i * width + j] = x[i * k_step + j * n_step] for i < k and j < n, and 0 for n <= j < width.
  void (*pack)(int64_t width, int64_t k, int64_t n, const T* x, int64_t k_step, int64_t n_step, T* y);
  void (*multiply)(const PanelProduct<T>& product);
  /// y += alpha * x
  void (*axpy)(int64_t n, double alpha, const T* x, T* y);
};

}  // namespace cotangent::kernels
