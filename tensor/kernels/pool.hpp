#pragma once
// Pooling over windows of planes.
#include <cstdint>
#include <type_traits>

namespace cotangent::kernels {

/// Where a maximum stands: as wide as the maximum, so that vectors of both have as many lanes.
template <class T>
using PoolIndex = std::conditional_t<std::is_same_v<T, float>, int32_t, int64_t>;

/// The windows of pooling along the rows of a plane. Regular ones have a stride, and what they reach is laid out in a
/// panel: column i of the input stands in its row (i + padding) % stride, column (i + padding) / stride, and its rows
/// are `length` long. `head` columns come first, from panel element head_at on; then `groups` of `stride` columns, from
/// element `at` on; then `tail` columns. Where the stride is 0, window o reaches from from[o] to to[o].
template <class T>
struct PoolColumns {
  int64_t in, out, kernel, stride, dilation, length;
  int64_t head, head_at, groups, at, tail;
  const int64_t *taps, *from, *to;  ///< taps: where the cells of the first window stand in the panel
  // For each window, with a vector more.
  const PoolIndex<T>* begin;  ///< where its cells begin
  const PoolIndex<T>* first;  ///< and how far from there its first cell inside of the input lies
  const T* cells;             ///< what the mean divides by
};
/// The windows over the rows of a plane of `in` elements: row o of the results reaches the rows that begin at
/// starts[first[o]] .. starts[first[o + 1] - 1]; the mean divides by cells[o]. `block` rows of results are worked on at
/// once.
struct PoolRows {
  int64_t in, out, block;
  bool quarters;  ///< all windows are 2 x 2, side by side, and inside of the plane
  bool tiled;     ///< each row of the plane is reached by one row of results
  const int64_t *first, *starts;
  const int64_t* slots;  ///< which of the block's panels holds the row that a start names; of at most
  int64_t panels;
  const double* cells;
};
/// Of one plane. The index of a maximum is that in the plane. The space holds padding at first, -inf or 0, and can be
/// used for the next plane: for maxima `panels`, for means a panel, a row of the input, `length` and (kernel - 1) /
/// stride elements for each row of a block.
template <class T>
struct PoolLoops {
  void (*max_pool)(const PoolColumns<T>& columns, const PoolRows& rows, const T* x, T* y, PoolIndex<T>* index,
                   T* space);
  void (*max_pool_backward)(const PoolColumns<T>& columns, const PoolRows& rows, const T* g, const PoolIndex<T>* index,
                            T* dx);
  void (*avg_pool)(const PoolColumns<T>& columns, const PoolRows& rows, const T* x, T* y, T* space);
  void (*avg_pool_backward)(const PoolColumns<T>& columns, const PoolRows& rows, const T* g, T* dx, T* space);
};

/// The pixels along a dimension that a window reaches, `step` apart, and its share of what the mean divides by.
struct PoolSpan {
  int64_t first, last, step;
  double cells;
};
/// The windows over an image whose pixels are rows of channels.
struct PoolPixels {
  int64_t channels, pixels, width, out_height, out_width;
  const PoolSpan *rows, *columns;  ///< of each row and column of results
  bool tiled;                      ///< each pixel is reached by one window
};
/// Of one image: results in the rows `first` to before `last`, or gradients of the channels `first` to before `last`.
template <class T>
struct PoolPixelsLoops {
  void (*max_pool)(const PoolPixels& p, const T* x, T* y, PoolIndex<T>* index, int64_t first, int64_t last);
  void (*max_pool_backward)(const PoolPixels& p, const T* g, const PoolIndex<T>* index, T* dx, int64_t first,
                            int64_t last);
  void (*avg_pool)(const PoolPixels& p, const T* x, T* y, int64_t first, int64_t last);
  void (*avg_pool_backward)(const PoolPixels& p, const T* g, T* dx, int64_t first, int64_t last);
};

}  // namespace cotangent::kernels
