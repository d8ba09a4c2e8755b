#pragma once
// Convolution with one channel a group, or few: in planes, and where the channels of a pixel lie side by side.
#include <cstdint>

namespace cotangent::kernels {

template <class T>
struct DepthwiseLoops {
  /// y[r * y_stride + 2 i] = x[r * x_stride + i], with a zero behind each
  void (*spread)(const T* x, int64_t x_stride, T* y, int64_t y_stride, int64_t rows, int64_t n);
  /// y[i] = *start + sum over k of weights[k] * x[offsets[k] + i], for n pixels; reads x to the end of a vector
  void (*filter)(int64_t depth, const T* weights, const T* x, const int64_t* offsets, const T* start, T* y, int64_t n);
  /// sums[k] += sum over r and i of g[r * g_stride + i] * x[r * x_stride + offsets[k] + i], for rows of n pixels; reads
  /// x to the end of a vector
  void (*correlate)(int64_t depth, const T* x, int64_t x_stride, const int64_t* offsets, const T* g, int64_t g_stride,
                    int64_t rows, int64_t n, T* sums);
  /// Both for 3 x 3 taps:
  ///   y[r * y_stride + i] = *start + sum over a and b of weights[3 a + b] * x[(r + a) * x_stride + i + b]
  ///   sums[3 a + b] += sum over r and i of g[r * g_stride + i] * x[(r + a) * x_stride + i + b]
  void (*filter_3x3)(const T* weights, const T* x, int64_t x_stride, const T* start, T* y, int64_t y_stride,
                     int64_t rows, int64_t n);
  void (*correlate_3x3)(const T* x, int64_t x_stride, const T* g, int64_t g_stride, int64_t rows, int64_t n, T* sums);
  /// Both for 3 x 3 taps and planes of `rows` x n pixels with zeros around them; n has 16 bytes at least. The sums are
  /// of several planes.
  void (*filter_plane)(const T* weights, const T* x, const T* start, T* y, int64_t rows, int64_t n);
  void (*correlate_planes)(const T* x, int64_t x_stride, const T* g, int64_t g_stride, int64_t planes, int64_t rows,
                           int64_t n, T* sums);
  /// The same with a stride of two, where (n + 1) / 2 results have 16 bytes at least; and the adjoint of that filter,
  /// for results of `rows` x n pixels.
  void (*filter_halved)(const T* weights, const T* x, const T* start, T* y, int64_t rows, int64_t n);
  void (*filter_doubled)(const T* weights, const T* x, const T* start, T* y, int64_t rows, int64_t n);
  void (*correlate_halved)(const T* x, int64_t x_stride, const T* g, int64_t g_stride, int64_t planes, int64_t rows,
                           int64_t n, T* sums);
};

/// Pixels whose channels lie side by side, in rows and blocks, and the taps of a convolution with one channel a group:
/// tap k reads x[offsets[k]] from the place of a pixel and has its weights at w[taps[k]], one for each channel.
template <class T>
struct DepthwiseRows {
  int64_t channels;
  int64_t blocks, x_block, y_block;
  int64_t rows, x_row, y_row;
  int64_t pixels, x_pixel, y_pixel;
  int64_t depth;
  const int64_t *offsets, *taps;
  const T *x, *w, *start;
  T *y, *dx, *dw;
  struct {
    const void* at;
    int64_t bytes;
  } next[2];  ///< memory that will be needed soon
  // Where the rows of results are whole ones: the first of them, and the size of x. x, y and dx begin with the image.
  int64_t first_row, height, width;
  const T* zeros;  ///< a row of them
};
template <class T>
struct DepthwiseRowsLoops {
  /// y = start (or 0) + sum over the taps of w * x
  void (*filter)(const DepthwiseRows<T>& part);
  /// dw += sum over the pixels of y * x, for each tap
  void (*correlate)(const DepthwiseRows<T>& part);
  /// The same filter for 3 x 3 taps and whole rows of images with zeros around them, instead of the offsets; [1] has a
  /// stride of two.
  void (*filter_3x3[2])(const DepthwiseRows<T>& part);
  /// With y the gradient of such a result: dx = start (or 0) + the gradient of x, which may take its place, and dw as
  /// above. dx or dw may be null, and then what only it needs.
  void (*gradients_3x3[2])(const DepthwiseRows<T>& part);
};

}  // namespace cotangent::kernels
