#pragma once
// Convolution, as products whose tiles of results stay in registers.
#include <cstdint>

namespace cotangent::kernels {

/// Pixels that lie one after another in the source and in a panel.
struct PixelRun {
  int64_t from, to, count;
};

/// A tile of a convolution's result: `rows` channels of up to three vectors of pixels.
///   y[r * row_stride + place[v] + lane] = start[r] + sum over k of weights[k * rows + r] * x[offsets[k] + from[v] +
///   lane]
template <class T>
struct ConvTile {
  int64_t depth, vectors;
  const T *weights, *start, *x;
  const int64_t *offsets, *from, *place;
  T* y;
  int64_t row_stride;
};

/// A part of a weight gradient: outer_rows taps and at most outer_vectors vectors of channels, summed over blocks of
/// rows of pixels.
///   sums[r * sums_stride + j] += sum over pixels of x[offsets[r] + pixel] * g[pixel * g_stride + j]
/// The pixels lie one after another in g, and in rows and blocks in x.
template <class T>
struct ConvOuter {
  int64_t blocks = 1, block_stride = 0, rows = 1, row_stride = 0, pixels = 0;
  const T* x = nullptr;
  const int64_t* offsets = nullptr;
  const T* g = nullptr;
  int64_t g_stride = 0, channels = 0;
  T* sums = nullptr;
  int64_t sums_stride = 0;
};

/// The loops of a convolution, whose tiles of results stay in registers: see tensor/conv/loops.cpp. A vector has
/// `lanes` elements, and may reach beyond what is asked for, where its reader says so.
template <class T>
struct ConvLoops {
  int64_t lanes;
  int64_t rows, vectors;  ///< the largest tile of `product`
  int64_t outer_rows, outer_vectors;
  void (*product)(const ConvTile<T>& tile);
  void (*outer)(const ConvOuter<T>& part);
  /// panel[k * width + run.to + i] = x[offsets[k] + run.from + i], with nothing read or written elsewhere
  void (*pack)(const T* x, const int64_t* offsets, int64_t depth, const PixelRun* runs, int64_t run_count, T* panel,
               int64_t width);
  /// y[r * y_stride + i] = x[r * x_stride + i * step]
  void (*copy)(const T* x, int64_t x_stride, int64_t step, T* y, int64_t y_stride, int64_t rows, int64_t n);
};

}  // namespace cotangent::kernels
