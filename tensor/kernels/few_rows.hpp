#pragma once
// Products of few rows with a matrix, which is read once, as it lies.
#include <cstdint>

namespace cotangent::kernels {

/// c = alpha x w + beta c, for x (m, k), w (k, n) and c (m, n). Where beta is 0, c is not read. Strides are in
/// elements.
template <class T>
struct FewRows {
  int64_t m, n, k;
  const T* x;
  int64_t x_row, x_column;
  const T* w;
  int64_t w_step;  ///< from one run of neighbours to the next
  T* c;
  int64_t c_row, c_column;
  double alpha, beta;
};

/// Each row of the result is the same, bit for bit, whatever rows are computed with it.
template <class T>
struct FewRowsLoops {
  int most_dots;  ///< rows up to which `dots` is faster than a tile that is packed
  /// The columns of w, and the rows of x, are neighbours. Lanes of the vectors over k are summed at the end.
  void (*dots)(const FewRows<T>& product);
  /// The rows of w, and those of c, are neighbours; beta is 1. Row after row of w is added.
  void (*add)(const FewRows<T>& product);
};

}  // namespace cotangent::kernels
