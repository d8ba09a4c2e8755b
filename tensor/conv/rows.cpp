// Where pixels are rows of channels, a convolution with 1 x 1 taps is a product of matrices, and so are its gradients.
// With few inputs to a result, those of each pixel are gathered into a row first. Others are computed in tiles, as in
// planes, to which parts of the source and of the result are turned in the cache. What has no way of its own here is
// computed in planes.
#include <cotangent/tensor/conv/rows_internal.hpp>

#include <algorithm>
#include <utility>

#include <cotangent/tensor/conv/loops_internal.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/gemm.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/memory/scratch_internal.hpp>
#include <cotangent/tensor/parallel.hpp>

namespace cotangent::raw {
namespace {

constexpr MemoryFormat kRows = MemoryFormat::channels_last;
constexpr int64_t kFewInputs = 64;       // to a result, up to which they are gathered
constexpr int64_t kLargeWeight = 32768;  // elements of a weight's gradient from which the product is cut in itself
constexpr int64_t kChunkRows = 256, kMaxChunks = 32;

/// How the results of a convolution are a product of rows with a weight; or that each channel has its own.
enum class Way : uint8_t { in_place, gathered, depthwise, tiled, none };
Way way(const Shape& x, const Shape& w, const ConvGeometry& c) {
  if (x.product() == 0 || w.product() == 0) return Way::none;
  if (c.groups >= kNarrowConv && c.groups == x[1] && c.groups == w[0]) return Way::depthwise;
  const bool tiled = c.dims == 2 && w[0] / c.groups >= kNarrowConv && c.dilation[1] == 1 && c.dilation[2] == 1;
  if (c.groups != 1) return tiled ? Way::tiled : Way::none;
  bool in_place = true, apart = true;
  for (int d = 1; d < 3; ++d) {
    in_place &= w[1 + d] == 1 && c.stride[d] == 1 && c.padding[d] == 0 && c.extra[d] == 0;
    apart &= c.stride[d] >= w[1 + d];  // each input is gathered once
  }
  const bool gathered = w[1] * w[2] * w[3] <= kFewInputs && (apart || !tiled);
  return in_place ? Way::in_place : gathered ? Way::gathered : tiled ? Way::tiled : Way::none;
}

/// The source of a convolution in tiles.
ConvSource tiled_source(const Shape& x, const Shape& w, const Shape& y, const ConvGeometry& geometry) {
  return ConvSource({forward_axes(x, w, y, geometry).axes, x[0], w[1], x[1], y[1], kRows}, true);
}

ConvGeometry in_planes(ConvGeometry geometry) {
  geometry.format = MemoryFormat::contiguous;
  return geometry;
}

/// (pixels of the result, taps, channels): what each result reads, zeros beyond the margins.
template <class T>
Tensor gather(const Tensor& x, const Shape& w, const Shape& y, const ConvGeometry& c) {
  const int64_t channels = x.shape()[1], height = x.shape()[2], width = x.shape()[3], down = w[2], across = w[3],
                depth = down * across * channels, columns = y[3], step = c.stride[2];
  const Tensor rows = make_tensor({y[0] * y[2] * columns * depth}, x.dtype());
  parallel_for(0, y[0] * y[2], std::max<int64_t>(1, 16384 / (columns * depth)), [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i)
      for (int64_t tap = 0; tap < down * across; ++tap) {
        const int64_t row = i % y[2] * c.stride[1] - c.padding[1] + tap / across * c.dilation[1];
        const int64_t shift = tap % across * c.dilation[2] - c.padding[2];
        // the columns of the result whose tap lies inside
        int64_t begin = std::min(columns, shift < 0 ? (-shift + step - 1) / step : 0);
        int64_t end = std::clamp(width - shift > 0 ? (width - shift - 1) / step + 1 : 0, begin, columns);
        if (row < 0 || row >= height) begin = end = columns;
        T* const to = rows.data<T>() + i * columns * depth + tap * channels;
        const T* const from = x.data<T>() + ((i / y[2] * height + row) * width + shift) * channels;
        const int64_t from_step = step * channels;
        for (int64_t k = 0; k < channels; ++k) {
          for (int64_t j = 0; j < begin; ++j) to[j * depth + k] = T(0);
          for (int64_t j = begin; j < end; ++j) to[j * depth + k] = from[j * from_step + k];
          for (int64_t j = end; j < columns; ++j) to[j * depth + k] = T(0);
        }
      }
  });
  return rows;
}

/// dw (m, n) = the sum over all rows of g^T x, in chunks of rows that the shapes alone determine.
template <class T>
void sum_outer_products(int64_t rows, int64_t m, int64_t n, const T* g, const T* x, T* dw) {
  const int64_t size = m * n, chunks = size >= kLargeWeight ? 1 : std::clamp<int64_t>(rows / kChunkRows, 1, kMaxChunks);
  const Scratch<T> partial((chunks - 1) * size);
  parallel_chunks(chunks, [&](int64_t i) {
    const int64_t first = rows * i / chunks, count = rows * (i + 1) / chunks - first;
    gemm<T>(m, n, count, {g + first * m, 1, m}, {x + first * n, n, 1}, i == 0 ? dw : partial.data() + (i - 1) * size,
            n);
  });
  const auto add = kernels::kernels().gemm.of<T>().axpy;
  parallel_for(0, size, std::max<int64_t>(64, 32768 / chunks), [&](int64_t first, int64_t last) {
    for (int64_t i = 0; i + 1 < chunks; ++i) add(last - first, 1, partial.data() + i * size + first, dw + first);
  });
}

}  // namespace

Tensor conv_rows(const char* op, const Tensor& x, const Tensor& w, const Tensor& bias, const ConvGeometry& geometry) {
  const Shape shape = conv_shape(op, x, w, bias, geometry);
  const Way how = way(x.shape(), w.shape(), geometry);
  if (how == Way::none) return in_format(conv(op, x, w, bias, in_planes(geometry)), kRows);
  if (how == Way::depthwise) return conv_rows_depthwise(x, w, bias, shape, geometry);
  const Tensor source = contiguous(x, kRows), weight = how == Way::tiled ? contiguous(w) : contiguous(w, kRows),
               start = bias.defined() ? contiguous(bias) : bias;
  const Tensor y = empty_in_format(shape, x.dtype(), kRows, op);
  if (how == Way::tiled) {
    const ConvSource s = tiled_source(x.shape(), w.shape(), shape, geometry);
    const int64_t channels = w.shape()[1], taps = w.shape()[2] * w.shape()[3];
    dispatch_compute(op, x.dtype(), [&]<class T> {
      convolve<T>(s, geometry.groups, w.shape()[0] / geometry.groups, source.data<T>(), weight.data<T>(),
                  {w.shape()[0] / geometry.groups * channels * taps, channels * taps, taps},
                  start.defined() ? start.data<T>() : nullptr, y.data<T>());
    });
    return y;
  }
  const int64_t results = shape[1], depth = w.numel() / results;
  dispatch_compute(op, x.dtype(), [&]<class T> {
    const Tensor rows = how == Way::gathered ? gather<T>(source, w.shape(), shape, geometry) : source;
    gemm<T>(y.numel() / results, results, depth, {rows.data<T>(), depth, 1}, {weight.data<T>(), 1, depth}, y.data<T>(),
            results, 1, 0, start.defined() ? start.data<T>() : nullptr);
  });
  return y;
}

Tensor conv_rows_input_grad(const char* op, const Tensor& g, const Tensor& w, const Tensor& bias, const Shape& x_shape,
                            const ConvGeometry& geometry) {
  const Way how = way(x_shape, w.shape(), geometry);
  if (how == Way::depthwise) return conv_rows_depthwise_input_grad(g, w, bias, x_shape, geometry);
  const bool tiled = how == Way::tiled && g.numel() > 0 && geometry.stride[1] == 1 && geometry.stride[2] == 1 &&
                     w.shape()[1] >= kNarrowConv;
  if (!tiled && how != Way::in_place)
    return in_format(conv_input_grad(op, g, w, bias, x_shape, in_planes(geometry)), kRows);
  const Tensor gradient = contiguous(g, kRows), weight = contiguous(w),
               start = bias.defined() ? contiguous(bias) : bias;
  const Tensor dx = empty_in_format(x_shape, g.dtype(), kRows);
  const int64_t results = w.shape()[0], channels = w.shape()[1];
  if (tiled) {
    const int64_t inputs = results / geometry.groups, taps = w.shape()[2] * w.shape()[3];
    ConvAxis axes[3];
    for (int d = 0; d < 3; ++d)
      axes[d] = adjoint_axis(spatial(g.shape(), geometry, d), spatial(w.shape(), geometry, d),
                             spatial(x_shape, geometry, d), geometry, d, 0);
    const ConvSource s({axes, g.shape()[0], inputs, results, x_shape[1], kRows}, true);
    dispatch_compute(op, g.dtype(), [&]<class T> {
      convolve<T>(s, geometry.groups, channels, gradient.data<T>(), weight.data<T>(),
                  {inputs * channels * taps, taps, channels * taps}, start.defined() ? start.data<T>() : nullptr,
                  dx.data<T>());
    });
    return dx;
  }
  dispatch_compute(op, g.dtype(), [&]<class T> {
    gemm<T>(dx.numel() / channels, channels, results, {gradient.data<T>(), results, 1}, {weight.data<T>(), channels, 1},
            dx.data<T>(), channels, 1, 0, start.defined() ? start.data<T>() : nullptr);
  });
  return dx;
}

Tensor conv_rows_weight_grad(const char* op, const Tensor& g, const Tensor& x, const Shape& w_shape,
                             const ConvGeometry& geometry) {
  const Way how = way(x.shape(), w_shape, geometry);
  if (how == Way::none || g.numel() == 0) return conv_weight_grad(op, g, x, w_shape, in_planes(geometry));
  if (how == Way::depthwise) return conv_rows_depthwise_weight_grad(g, x, w_shape, geometry);
  const Tensor gradient = contiguous(g, kRows), source = contiguous(x, kRows);
  if (how == Way::tiled) {
    const Tensor dw = make_tensor(w_shape, g.dtype());
    const ConvSource s = tiled_source(x.shape(), w_shape, g.shape(), geometry);
    dispatch_compute(op, g.dtype(), [&]<class T> {
      correlate<T>(s, geometry.groups, w_shape[0] / geometry.groups, source.data<T>(), gradient.data<T>(),
                   dw.data<T>());
    });
    return dw;
  }
  const Tensor dw = empty_in_format(w_shape, g.dtype(), kRows);
  const int64_t results = w_shape[0];
  dispatch_compute(op, g.dtype(), [&]<class T> {
    const Tensor rows = how == Way::gathered ? gather<T>(source, w_shape, g.shape(), geometry) : source;
    sum_outer_products(g.numel() / results, results, dw.numel() / results, gradient.data<T>(), rows.data<T>(),
                       dw.data<T>());
  });
  return in_format(dw, MemoryFormat::contiguous);
}

ConvGradients conv_rows_grads(const char* op, const Tensor& g, Tensor x, const Tensor& w,
                              const ConvGeometry& geometry) {
  const Shape shape = x.shape();
  if (way(shape, w.shape(), geometry) == Way::depthwise && g.numel() > 0)
    return conv_rows_depthwise_grads(g, std::move(x), w, geometry);
  const Tensor dw = conv_rows_weight_grad(op, g, std::exchange(x, {}), w.shape(), geometry);
  return {conv_rows_input_grad(op, g, w, Tensor(), shape, geometry), dw};
}

}  // namespace cotangent::raw
