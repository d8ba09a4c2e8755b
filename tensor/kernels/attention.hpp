#pragma once
// What lies between the products of tiled attention.
#include <cstdint>

namespace cotangent::kernels {

/// A tile of attention scores, rows x columns, and what hides parts of it.
template <class T>
struct AttentionTile {
  int64_t rows, columns, row_stride;
  double scale;
  bool causal;
  int64_t first_hidden;  ///< causal: row i sees the columns below first_hidden + i
  const bool* allowed;   ///< or nullptr: element (i, j) is seen where allowed[i * mask_row + j * mask_column]
  const T* added;        ///< or nullptr: added to the scaled scores, addressed alike
  int64_t mask_row, mask_column;
};

template <class T>
struct AttentionLoops {
  void (*forward)(T* scores, T* maximum, T* sum, T* accumulated, int64_t width, const AttentionTile<T>& tile);
  void (*backward)(T* scores, T* products, const T* log_sum_exp, const T* delta, const AttentionTile<T>& tile);
  /// After the last tile, for rows of `width`: y = accumulated / sum and log_sum_exp = maximum + log(sum), or zeros and
  /// infinity for a row that sees nothing.
  void (*finish)(const T* accumulated, const T* maximum, const T* sum, int64_t rows, int64_t width, T* y, int64_t y_row,
                 T* log_sum_exp);
  /// y[i] = the sum of a[i * a_row + j] * b[i * b_row + j] over `width` j.
  void (*dot_rows)(const T* a, int64_t a_row, const T* b, int64_t b_row, int64_t rows, int64_t width, T* y);
};

}  // namespace cotangent::kernels
