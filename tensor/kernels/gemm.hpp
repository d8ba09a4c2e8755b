#pragma once
// Products of matrices, and sums of multiples of vectors.
#include <cstdint>

namespace cotangent::kernels {

/// c = alpha a b + beta c + bias, for m rows and n columns, which are a panel at most. Where beta is 0, c is not read.
/// `b` has whole vectors of columns, of which those beyond n are not used. Strides are in elements.
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

/// A part of the result that stays in registers while it runs over k.
template <class T>
struct GemmTile {
  int strip;    ///< rows
  int vectors;  ///< of columns, which make a panel
  void (*multiply)(const PanelProduct<T>& product);
};

template <class T>
struct GemmLoops {
  int lanes;  ///< elements of a vector
  /// The tiles that there are. What is best depends on how many multiply-adds the processor does in the time of a load.
  GemmTile<T> tiles[4];
  /// y[i * width + j] = x[i * k_step + j * n_step] for i < k and j < n, and 0 for n <= j < width. More than `width`
  /// are packed in parts of so many, each `part` elements behind the one before.
  void (*pack)(int64_t width, int64_t k, int64_t n, const T* x, int64_t k_step, int64_t n_step, T* y, int64_t part);
  /// y += alpha * x
  void (*axpy)(int64_t n, double alpha, const T* x, T* y);
};

}  // namespace cotangent::kernels
