#pragma once
// What lies between the products of tiled attention.
#include <cstdint>

namespace cotangent::kernels {

/// A tile of attention scores, rows x columns, and what hides parts of it.
struct AttentionTile {
  int64_t rows, columns, row_stride;
  double scale;
  bool causal;
  int64_t first_hidden;  ///< causal: row i sees the columns below first_hidden + i
  const bool* allowed;   ///< or nullptr: element (i, j) is seen where allowed[i * mask_row + j * mask_column]
  const void* added;     ///< or nullptr: added to the scaled scores, addressed alike
  int64_t mask_row, mask_column;
};

/// Between the products of tiled attention, for float32 and float64: see kernels/attention.cpp.
struct AttentionLoops {
  void (*forward[2])(void* scores, void* maximum, void* sum, void* accumulated, int64_t width,
                     const AttentionTile& tile);
  void (*backward[2])(void* scores, void* products, const void* log_sum_exp, const void* delta,
                      const AttentionTile& tile);
  /// After the last tile, for rows of `width`: y = accumulated / sum and log_sum_exp = maximum + log(sum), or zeros and
  /// infinity for a row that sees nothing.
  void (*finish[2])(const void* accumulated, const void* maximum, const void* sum, int64_t rows, int64_t width, void* y,
                    int64_t y_row, void* log_sum_exp);
  /// y[i] = the sum of a[i * a_row + j] * b[i * b_row + j] over `width` j.
  void (*dot_rows[2])(const void* a, int64_t a_row, const void* b, int64_t b_row, int64_t rows, int64_t width, void* y);
};

}  // namespace cotangent::kernels
