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
  const bool* allowed;   ///< or nullptr: element (i, j) is seen where allowed[i * allowed_row + j * allowed_column]
  const T* added;        ///< or nullptr: added to the scaled scores, addressed alike
  int64_t allowed_row, allowed_column, added_row, added_column;
};

/// The pairs of a tile, or of some of its columns, and the rows of a table by distance that they meet. Of the numbers x
/// that queries or keys make with these rows, pair (i, j) has
/// x[i * x_row + j * x_column + clip(start + i - j, 0, count - 1)].
struct AttentionBand {
  int64_t rows, columns, row_stride;
  int64_t first, count;  ///< of the rows of the table
  int64_t start, x_row, x_column;
};

template <class T>
struct AttentionLoops {
  void (*forward)(T* scores, T* maximum, T* sum, T* accumulated, int64_t width, const AttentionTile<T>& tile);
  /// The maximum and share of each row are those of `finish`.
  void (*backward)(T* scores, T* products, const T* maximum, const T* share, const T* delta,
                   const AttentionTile<T>& tile);
  /// After the last tile, for rows of `width`: y = accumulated * share, where the share of a row is 1 / sum. All three
  /// are 0 for a row that sees nothing. Adding the logarithm of the sum to the maximum would lose it where that is
  /// large.
  void (*finish)(const T* accumulated, const T* top, const T* sum, int64_t rows, int64_t width, T* y, int64_t y_row,
                 T* maximum, T* share);
  /// Whether all rows of x are finite.
  bool (*finite)(const T* x, int64_t x_row, int64_t rows, int64_t width);
  /// y += w x, or w^T x, for the weights w of a tile (its scores or products) and rows x and y of `width`: what is
  /// hidden has no weight, also where it is NaN.
  void (*add_seen)(const AttentionTile<T>& tile, const T* w, bool transposed, const T* x, int64_t x_row,
                   int64_t x_column, int64_t width, T* y, int64_t y_row);
  /// y[j - i] += w[i, j] for the products w of a tile, but for what is hidden.
  void (*add_diagonals)(const AttentionTile<T>& tile, const T* w, T* y);
  /// w[i, j] += the x of the pair, for the scores or products w of a tile.
  void (*add_band)(const AttentionBand& band, const T* x, T* w);
  /// Its transpose: the x of the pair += w[i, j].
  void (*sum_band)(const AttentionBand& band, const T* w, T* x);
  /// w[i, j] = 0 for what is hidden by a mask.
  void (*clear_hidden)(const AttentionTile<T>& tile, T* w);
  /// y[i] = the sum of a[i * a_row + j] * b[i * b_row + j] over `width` j.
  void (*dot_rows)(const T* a, int64_t a_row, const T* b, int64_t b_row, int64_t rows, int64_t width, T* y);
};

}  // namespace cotangent::kernels
