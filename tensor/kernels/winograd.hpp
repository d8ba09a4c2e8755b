#pragma once
// Winograd's convolution.
#include <cotangent/tensor/kernels/conv.hpp>

namespace cotangent::kernels {

/// Winograd's convolution works on tiles of 4 x 4 pixels that give 2 x 2 results: see tensor/conv/winograd.cpp. A map
/// from squares of vectors to squares of another size:
///   y[r * y_row + run.to + i * y_line + j * y_plane + lane] = map of x[r * x_row + run.from + offsets[k] + lane], each
/// run a vector
template <class T>
struct WinogradMap {
  int64_t rows;
  const T* x;
  int64_t x_row;
  const int64_t* offsets;
  T* y;
  int64_t y_row, y_line, y_plane;
  const PixelRun* runs;
  int64_t run_count;
};
/// Neighbouring tiles of a result, from the vectors' tile `tile` on, and where their pixels lie, of which the first
/// ones may be left out.
struct WinogradLine {
  int64_t tile, place, first_row, first_column, rows, columns;
};
/// From products[p * phase + plane * i + r * row_stride + tile], for 16 planes i, to the lines of `rows` channels r of
/// y.
template <class T>
struct WinogradResult {
  int64_t rows, vectors;
  const T* products;
  int64_t row_stride, plane, phase;
  const WinogradLine* lines;
  int64_t line_count;
  T* y;
  int64_t y_channel, y_row;
};
inline constexpr int kWinogradVectors = 3;  ///< of tiles, at most, in a WinogradResult
template <class T>
struct WinogradLoops {
  void (*source)(const WinogradMap<T>& map);               ///< 4 x 4 pixels to 4 x 4
  void (*from_three)(const WinogradMap<T>& map);           ///< 3 x 3 taps, or gradients of results, to 4 x 4
  void (*from_two)(const WinogradMap<T>& map);             ///< 2 x 2
  void (*to_three)(const WinogradMap<T>& map);             ///< and their adjoints: 4 x 4 to gradients of 3 x 3 taps
  void (*to_two)(const WinogradMap<T>& map);               ///< of 2 x 2
  void (*two_results)(const WinogradResult<T>& result);    ///< 2 x 2 of a tile, where taps are 3 x 3
  void (*three_results)(const WinogradResult<T>& result);  ///< 3 x 3, where taps are 2 x 2
  void (*six_results)(const WinogradResult<T>& result);    ///< 3 x 3 of four phases each, with one another
};

}  // namespace cotangent::kernels
