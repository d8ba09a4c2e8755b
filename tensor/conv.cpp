#include <cotangent/tensor/conv.hpp>

#include <numeric>

#include <cotangent/tensor/conv_source_internal.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/parallel.hpp>

namespace cotangent::raw {
namespace {

using detail::make_tensor;
using kernels::ConvLoops;
using kernels::PixelRun;

constexpr int64_t kSerialWork = 400'000;   // multiplications that do not pay for a second thread
constexpr int64_t kGradPixels = 192;       // of a panel of the weight gradient
constexpr int64_t kNarrow = 4;             // with fewer results a pixel than this, a panel does not pay
constexpr int64_t kPartials = 4'000'000;   // elements of the partial sums of a weight gradient, at most
constexpr int64_t kMaxRuns = kGradPixels;  // no panel of `product` is wider

template <class T>
const ConvLoops& loops() {
  return kernels::kernels().conv[sizeof(T) == 4 ? 0 : 1];
}
int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/// Calls body(worker, task) for each task; tasks of one worker run one after another and may share scratch memory.
template <class Body>
void for_workers(int64_t workers, int64_t tasks, Body&& body) {
  parallel_chunks(workers, [&](int64_t w) {
    for (int64_t t = tasks * w / workers; t < tasks * (w + 1) / workers; ++t) body(w, t);
  });
}
int64_t worker_count(int64_t tasks, double work) {
  return work < kSerialWork ? 1 : std::min<int64_t>(num_threads(), tasks);
}

template <class T>
struct Scratch {
  Scratch(int64_t count_, int64_t each_)
      : each(round_up(each_, 64)), memory(make_tensor({count_ * each}, dtype_of<T>)) {}
  T* of(int64_t worker) const { return memory.data<T>() + worker * each; }
  int64_t each;
  Tensor memory;
};

/// Where the weight of (row of the result, channel of the source) lies: its taps are one after another.
struct WeightStrides {
  int64_t group, row, channel;
};

/// Calls f(channel, tap of the kernel) in the order of the depth.
template <class F>
void for_depth(const ConvSource& s, F&& f) {
  const ConvAxis &z = s.axes[0], &y = s.axes[1], &x = s.axes[2];
  for (int64_t c = 0; c < s.channels; ++c)
    for (int64_t i = 0; i < z.taps; ++i)
      for (int64_t j = 0; j < y.taps; ++j)
        for (int64_t k = 0; k < x.taps; ++k)
          f(c, ((z.tap + i * z.tap_step) * y.kernel + y.tap + j * y.tap_step) * x.kernel + x.tap + k * x.tap_step);
}

/// Copies the runs of a tile to where they belong in the result.
template <class T>
void scatter(const T* tile, int64_t tile_stride, int64_t rows, const PixelRun* runs, const int64_t* places,
             int64_t count, int64_t place_step, T* y, int64_t row_stride) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < count; ++i) {
      const T* from = tile + r * tile_stride + runs[i].to;
      T* to = y + r * row_stride + places[i];
      if (place_step == 1)
        std::memcpy(to, from, static_cast<size_t>(runs[i].count) * sizeof(T));
      else
        for (int64_t p = 0; p < runs[i].count; ++p) to[p * place_step] = from[p];
    }
}

/// y = start + the convolution of the source with w, for `rows` channels of the result in each group.
template <class T>
void convolve(const ConvSource& s, int64_t groups, int64_t rows, const T* x, const T* w, WeightStrides strides,
              const T* bias, T* y) {
  const ConvLoops& loop = loops<T>();
  const bool narrow = rows < kNarrow;
  const int64_t depth = s.depth(), tile = narrow ? 1 : loop.rows, blocks = (rows + tile - 1) / tile,
                padded = blocks * tile;
  const int64_t x_group = s.channels * s.channel_stride, y_group = rows * s.result_channel_stride;
  const int64_t place_step = s.axes[2].place_step;

  // weights in the order of use: blocks of rows, the depth, the rows of a block
  const Tensor packed = make_tensor({groups * padded * depth}, dtype_of<T>);
  const Tensor starts = make_tensor({groups * padded}, dtype_of<T>);
  const Tensor offsets = make_tensor({depth}, int64);
  s.offsets(offsets.data<int64_t>());
  parallel_for(0, groups * blocks, std::max<int64_t>(1, 65536 / (tile * depth)), [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) {
      const int64_t g = b / blocks, row = b % blocks * tile;
      T* to = packed.data<T>() + b * tile * depth;
      for (int64_t r = 0; r < tile; ++r) {
        const bool inside = row + r < rows;
        const T* from = w + g * strides.group + (row + r) * strides.row;
        T* column = to + r;
        if (inside)
          for_depth(s, [&](int64_t c, int64_t tap) { *column = from[c * strides.channel + tap], column += tile; });
        else
          for (int64_t k = 0; k < depth; ++k) column[k * tile] = 0;
        starts.data<T>()[b * tile + r] = bias && inside ? bias[g * rows + row + r] : T(0);
      }
    }
  });

  const int64_t width = loop.columns;
  const int64_t tasks = s.units * groups;
  const double work = double(s.images) * double(s.result_channel_stride) * double(groups * rows * depth);
  const int64_t workers = worker_count(tasks, work);
  const int64_t copy = round_up(s.size() + 4 * loop.lanes, 64), panel_size = round_up(depth * width + loop.lanes, 64);
  const int64_t tile_size = narrow ? round_up(s.axes[2].positions, 64) : tile * width;
  const Scratch<T> scratch(workers, copy + (narrow ? 0 : panel_size) + tile_size);
  for (int64_t i = 0; i < workers; ++i) std::memset(scratch.of(i), 0, static_cast<size_t>(copy) * sizeof(T));

  for_workers(workers, tasks, [&](int64_t worker, int64_t task) {
    T* const space = scratch.of(worker);
    T* const panel = space + copy;
    T* const result = panel + (narrow ? 0 : panel_size);
    const int64_t g = task % groups;
    const ConvSource::Unit u = s.unit(task / groups);
    const T* in = s.load(u, x + g * x_group, space);
    const T* a = packed.data<T>() + g * padded * depth;
    const T* start = starts.data<T>() + g * padded;
    T* out = y + g * y_group;
    if (narrow) {
      s.stretches(u, 0, u.pixels, [&](int64_t from, int64_t place, int64_t count, int64_t) {
        for (int64_t r = 0; r < rows; ++r) {
          T* to = out + r * s.result_channel_stride + place;
          T* line = place_step == 1 ? to : result;
          loop.filter(depth, a + r * depth, in + from, offsets.data<int64_t>(), start + r, line, count);
          if (place_step != 1)
            for (int64_t i = 0; i < count; ++i) to[i * place_step] = line[i];
        }
      });
      return;
    }
    for (int64_t first = 0; first < u.pixels; first += width) {
      const int64_t last = std::min(first + width, u.pixels);
      PixelRun runs[kMaxRuns];
      int64_t places[kMaxRuns];
      int64_t count = 0;
      s.stretches(u, first, last, [&](int64_t from, int64_t place, int64_t n, int64_t pixel) {
        if (count > 0 && place_step == 1 && runs[count - 1].from + runs[count - 1].count == from &&
            places[count - 1] + runs[count - 1].count == place) {
          runs[count - 1].count += n;
        } else {
          places[count] = place;
          runs[count++] = {from, pixel - first, n};
        }
      });
      loop.pack(in, offsets.data<int64_t>(), depth, runs, count, s.in_place, panel, width);
      const bool whole = place_step == 1 && (last - first) % loop.lanes == 0 && [&] {
        for (int64_t i = 1; i < count; ++i)
          if (places[i] != places[0] + runs[i].to) return false;
        return true;
      }();
      for (int64_t b = 0; b < blocks; ++b) {
        const int64_t row = b * tile, valid = std::min(tile, rows - row);
        T* to = out + row * s.result_channel_stride;
        const bool direct = whole && valid == tile;
        loop.product(depth, last - first, a + row * depth, panel, start + row, direct ? to + places[0] : result,
                     direct ? s.result_channel_stride : width);
        if (!direct) scatter(result, width, valid, runs, places, count, place_step, to, s.result_channel_stride);
      }
    }
  });
}

/// partial sums of dw over chunks of units, and then dw = their sum
template <class T>
void correlate(const ConvSource& s, int64_t groups, int64_t rows, const T* x, const T* g, T* dw) {
  const ConvLoops& loop = loops<T>();
  const bool narrow = rows < kNarrow;
  const int64_t depth = s.depth();
  const int64_t height = narrow ? depth : round_up(depth, loop.grad_rows);
  const int64_t width = narrow ? rows : round_up(rows, loop.lanes);
  const int64_t each = height * width;
  const int64_t x_group = s.channels * s.channel_stride, g_group = rows * s.result_channel_stride;
  const int64_t chunks = std::min(s.units, std::clamp<int64_t>(kPartials / (groups * each), 4, 32));
  const int64_t tasks = chunks * groups;
  const double work = double(s.images) * double(s.result_channel_stride) * double(groups * rows * depth);
  const int64_t workers = worker_count(tasks, work);

  const Tensor offsets = make_tensor({depth}, int64);
  s.offsets(offsets.data<int64_t>());
  const Tensor partial = make_tensor({tasks * each}, dtype_of<T>);
  const int64_t copy = round_up(s.size() + 4 * loop.lanes, 64);
  const int64_t panel_size = narrow ? 0 : round_up(height * kGradPixels + loop.lanes, 64);
  const Scratch<T> scratch(workers, copy + panel_size + (narrow ? 0 : kGradPixels * width));
  std::memset(scratch.memory.raw_data(), 0, static_cast<size_t>(workers * scratch.each) * sizeof(T));

  for_workers(workers, tasks, [&](int64_t worker, int64_t task) {
    T* const space = scratch.of(worker);
    T* const panel = space + copy;
    T* const turned = panel + panel_size;
    const int64_t group = task % groups, chunk = task / groups;
    T* const sums = partial.data<T>() + task * each;
    std::memset(sums, 0, static_cast<size_t>(each) * sizeof(T));
    const T* gradient = g + group * g_group;
    for (int64_t i = s.units * chunk / chunks; i < s.units * (chunk + 1) / chunks; ++i) {
      const ConvSource::Unit u = s.unit(i);
      const T* in = s.load(u, x + group * x_group, space);
      if (narrow) {
        const int64_t line = s.axes[2].positions, block = line * u.rows;
        for (int64_t first = 0; first < u.pixels; first += block) {
          int64_t from = -1, place = 0;
          s.stretches(u, first, first + line, [&](int64_t f, int64_t p, int64_t, int64_t) { from = f, place = p; });
          const int64_t stride = s.in_place ? s.axes[2].source : s.row * s.axes[1].step;
          for (int64_t r = 0; r < rows; ++r)
            loop.correlate(depth, in + from, stride, offsets.data<int64_t>(),
                           gradient + r * s.result_channel_stride + place, line, u.rows, line, sums + r * depth);
        }
        continue;
      }
      for (int64_t first = 0; first < u.pixels; first += kGradPixels) {
        const int64_t last = std::min(first + kGradPixels, u.pixels);
        PixelRun runs[kMaxRuns];
        int64_t count = 0;
        s.stretches(u, first, last, [&](int64_t from, int64_t place, int64_t n, int64_t pixel) {
          loop.transpose(gradient + place, rows, n, s.result_channel_stride, turned + (pixel - first) * width, width);
          if (count > 0 && runs[count - 1].from + runs[count - 1].count == from)
            runs[count - 1].count += n;
          else
            runs[count++] = {from, pixel - first, n};
        });
        loop.pack(in, offsets.data<int64_t>(), depth, runs, count, s.in_place, panel, kGradPixels);
        for (int64_t column = 0; column < width; column += loop.grad_columns)
          for (int64_t k = 0; k < height; k += loop.grad_rows)
            loop.outer(last - first, std::min(loop.grad_columns, width - column), panel + k * kGradPixels, kGradPixels,
                       turned + column, width, sums + k * width + column, width);
      }
    }
  });

  const int64_t row_stride = narrow ? depth : 1, depth_stride = narrow ? 1 : width;
  parallel_for(0, groups * rows, std::max<int64_t>(1, 32768 / (chunks * depth)), [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const T* from = partial.data<T>() + i / rows * each + i % rows * row_stride;
      for (int64_t k = 0; k < depth; ++k) {
        T sum = from[k * depth_stride];
        for (int64_t c = 1; c < chunks; ++c) sum += from[c * groups * each + k * depth_stride];
        dw[i * depth + k] = sum;
      }
    }
  });
}

/// The size of spatial dimension d of three, where missing ones have size 1.
int64_t spatial(const Shape& shape, const ConvGeometry& geometry, int d) {
  return d < 3 - geometry.dims ? 1 : shape[shape.rank() - 3 + d];
}

struct ConvAxes {
  ConvAxis axes[3];
};
/// The axes of y = conv(x, w).
ConvAxes forward_axes(const Shape& x, const Shape& w, const Shape& y, const ConvGeometry& geometry) {
  ConvAxes all;
  for (int d = 0; d < 3; ++d) {
    const int64_t result = spatial(y, geometry, d), kernel = spatial(w, geometry, d);
    all.axes[d] = {.source = spatial(x, geometry, d),
                   .result = result,
                   .positions = result,
                   .step = geometry.stride[d],
                   .taps = kernel,
                   .shift = -geometry.padding[d],
                   .shift_step = geometry.dilation[d],
                   .kernel = kernel};
  }
  return all;
}
/// One axis of x = conv_input_grad(g, w), for the positions p = phase + u * stride. Tap k of the kernel takes g at
/// (p + padding - k * dilation) / stride: those k that divide without remainder are an arithmetic progression.
ConvAxis adjoint_axis(int64_t g, int64_t w, int64_t x, const ConvGeometry& geometry, int d, int64_t phase) {
  const int64_t stride = geometry.stride[d], padding = geometry.padding[d], dilation = geometry.dilation[d];
  const int64_t every = stride / std::gcd(stride, dilation);
  int64_t first = 0;
  while (first < every && (phase + padding - first * dilation) % stride != 0) ++first;
  return {.source = g,
          .result = x,
          .positions = phase < x ? (x - phase + stride - 1) / stride : 0,
          .step = 1,
          .place = phase,
          .place_step = stride,
          .taps = first < every && first < w ? (w - 1 - first) / every + 1 : 0,
          .shift = (phase + padding - first * dilation) / stride,
          .shift_step = -(every * dilation / stride),
          .kernel = w,
          .tap = first,
          .tap_step = every};
}

bool low_precision(const Tensor& x) { return x.dtype() == bfloat16 || x.dtype() == float16; }

void fill_channels(const Tensor& y, const Tensor& bias) {
  if (!bias.defined()) return fill_into(y, 0);
  Strides strides = Dims::filled(y.rank(), 0);
  strides[1] = bias.strides()[0];
  copy_into("conv", detail::make_view(bias, y.shape(), strides, 0), y);
}

}  // namespace

Tensor conv(const char* op, const Tensor& x, const Tensor& w, const Tensor& bias, const ConvGeometry& geometry) {
  if (low_precision(x))
    return cast(conv(op, cast(x, float32), cast(w, float32), bias.defined() ? cast(bias, float32) : bias, geometry),
                x.dtype());
  const Tensor source = contiguous(x), weight = contiguous(w), start = bias.defined() ? contiguous(bias) : bias;
  const Shape shape = conv_shape(op, x, w, bias, geometry);
  const Tensor y = make_tensor(shape, x.dtype());
  const int64_t groups = geometry.groups, channels = w.shape()[1], rows = w.shape()[0] / groups;
  if (y.numel() == 0) return y;
  if (w.numel() == 0) {
    fill_channels(y, start);
    return y;
  }
  const ConvSource s(forward_axes(x.shape(), w.shape(), shape, geometry).axes, x.shape()[0], channels, x.shape()[1],
                     shape[1], rows < kNarrow);
  const int64_t taps = w.numel() / (w.shape()[0] * channels);
  dispatch_compute(op, x.dtype(), [&]<class T> {
    convolve<T>(s, groups, rows, source.data<T>(), weight.data<T>(), {rows * channels * taps, channels * taps, taps},
                start.defined() ? start.data<T>() : nullptr, y.data<T>());
  });
  return y;
}

Tensor conv_input_grad(const char* op, const Tensor& g, const Tensor& w, const Tensor& bias, const Shape& x_shape,
                       const ConvGeometry& geometry) {
  if (low_precision(g))
    return cast(conv_input_grad(op, cast(g, float32), cast(w, float32), bias.defined() ? cast(bias, float32) : bias,
                                x_shape, geometry),
                g.dtype());
  const Tensor source = contiguous(g), weight = contiguous(w), start = bias.defined() ? contiguous(bias) : bias;
  const Tensor y = make_tensor(x_shape, g.dtype());
  if (y.numel() == 0) return y;
  const int64_t groups = geometry.groups, channels = w.shape()[0] / groups, rows = w.shape()[1];
  ConvAxis axes[3];
  // positions between the strides that no tap reaches
  bool filled = g.numel() == 0 || w.numel() == 0;
  for (int d = 0; d < 3; ++d)
    for (int64_t phase = 0; phase < geometry.stride[d] && !filled; ++phase) {
      const ConvAxis a = adjoint_axis(spatial(g.shape(), geometry, d), spatial(w.shape(), geometry, d),
                                      spatial(x_shape, geometry, d), geometry, d, phase);
      filled = a.positions > 0 && a.taps == 0;
    }
  if (filled) fill_channels(y, start);
  if (g.numel() == 0 || w.numel() == 0) return y;
  const int64_t taps = w.numel() / (w.shape()[0] * rows);
  const int64_t *stride = geometry.stride, phases = stride[0] * stride[1] * stride[2];
  for (int64_t phase = 0; phase < phases; ++phase) {
    const int64_t at[3] = {phase / stride[2] / stride[1], phase / stride[2] % stride[1], phase % stride[2]};
    bool empty = false;
    for (int d = 0; d < 3; ++d) {
      axes[d] = adjoint_axis(spatial(g.shape(), geometry, d), spatial(w.shape(), geometry, d),
                             spatial(x_shape, geometry, d), geometry, d, at[d]);
      empty = empty || axes[d].positions == 0 || axes[d].taps == 0;
    }
    if (empty) continue;
    const ConvSource s(axes, g.shape()[0], channels, g.shape()[1], x_shape[1], rows < kNarrow);
    dispatch_compute(op, g.dtype(), [&]<class T> {
      convolve<T>(s, groups, rows, source.data<T>(), weight.data<T>(), {channels * rows * taps, taps, rows * taps},
                  start.defined() ? start.data<T>() : nullptr, y.data<T>());
    });
  }
  return y;
}

Tensor conv_weight_grad(const char* op, const Tensor& g, const Tensor& x, const Shape& w_shape,
                        const ConvGeometry& geometry) {
  if (low_precision(g))
    return cast(conv_weight_grad(op, cast(g, float32), cast(x, float32), w_shape, geometry), g.dtype());
  const Tensor gradient = contiguous(g), source = contiguous(x);
  const Tensor dw = make_tensor(w_shape, g.dtype());
  if (dw.numel() == 0) return dw;
  if (g.numel() == 0) {
    fill_into(dw, 0);
    return dw;
  }
  const int64_t groups = geometry.groups, rows = w_shape[0] / groups;
  const ConvSource s(forward_axes(x.shape(), w_shape, g.shape(), geometry).axes, x.shape()[0], w_shape[1], x.shape()[1],
                     g.shape()[1], rows < kNarrow);
  dispatch_compute(op, g.dtype(),
                   [&]<class T> { correlate<T>(s, groups, rows, source.data<T>(), gradient.data<T>(), dw.data<T>()); });
  return dw;
}

// ---- shapes ----

ConvGeometry conv_geometry(const char* op, int dims, const Spatial& stride, const Spatial& padding,
                           const Spatial& dilation, int64_t groups) {
  ConvGeometry geometry;
  geometry.dims = dims;
  geometry.groups = groups;
  const Dims s = stride.over(op, "stride", dims, 1), p = padding.over(op, "padding", dims, 0),
             d = dilation.over(op, "dilation", dims, 1);
  if (groups < 1) fail<ValueError>("[{}] groups {}; it must be at least 1", op, groups);
  for (int i = 0; i < dims; ++i) {
    geometry.stride[3 - dims + i] = s[i];
    geometry.padding[3 - dims + i] = p[i];
    geometry.dilation[3 - dims + i] = d[i];
  }
  return geometry;
}

namespace {

// What both directions demand: ranks, dtypes, and the channels of w's first or second dimension.
void check_operands(const char* op, const Tensor& x, const Tensor& w, const Tensor& bias, int64_t channels,
                    int64_t results, const ConvGeometry& geometry) {
  if (!x.is_floating())
    fail<DTypeError>("[{}] takes floating tensors, got {}; convert with to(float32)", op, x.dtype());
  if (x.dtype() != w.dtype() || (bias.defined() && bias.dtype() != x.dtype()))
    fail<DTypeError>("[{}] the input is {}, the weight {}{}; convert them to one dtype", op, x.dtype(), w.dtype(),
                     bias.defined() ? fmt::format(" and the bias {}", bias.dtype()) : "");
  if (x.shape()[1] != channels)
    fail<ShapeError>("[{}] input {} has {} channels, but weight {} with groups {} takes {}", op, x.shape(),
                     x.shape()[1], w.shape(), geometry.groups, channels);
  if (w.shape()[0] % geometry.groups != 0)
    fail<ShapeError>("[{}] the first dimension of weight {} must be a multiple of groups {}", op, w.shape(),
                     geometry.groups);
  for (int d = 0; d < geometry.dims; ++d)
    if (w.shape()[2 + d] < 1) fail<ShapeError>("[{}] weight {} has an empty kernel", op, w.shape());
  if (bias.defined() && bias.shape() != Shape{results})
    fail<ShapeError>("[{}] bias has shape {}; with weight {} it must be ({},)", op, bias.shape(), w.shape(), results);
}

void check_rank(const char* op, const Tensor& x, const Tensor& w, int dims) {
  const int rank = dims + 2;
  if (x.rank() != rank || w.rank() != rank)
    fail<ShapeError>("[{}] input {} and weight {} must both have {} dimensions: (N, C, {}) and ({})", op, x.shape(),
                     w.shape(), rank,
                     dims == 1   ? "L"
                     : dims == 2 ? "H, W"
                                 : "D, H, W",
                     dims == 1   ? "O, C/groups, k"
                     : dims == 2 ? "O, C/groups, kh, kw"
                                 : "O, C/groups, kd, kh, kw");
}

}  // namespace

Shape conv_shape(const char* op, const Tensor& x, const Tensor& w, const Tensor& bias, const ConvGeometry& geometry) {
  check_rank(op, x, w, geometry.dims);
  check_operands(op, x, w, bias, w.shape()[1] * geometry.groups, w.shape()[0], geometry);
  Shape y{x.shape()[0], w.shape()[0]};
  for (int d = 3 - geometry.dims; d < 3; ++d) {
    const int64_t size = spatial(x.shape(), geometry, d),
                  reach = geometry.dilation[d] * (spatial(w.shape(), geometry, d) - 1) + 1;
    const int64_t room = size + 2 * geometry.padding[d];
    if (room < reach)
      fail<ShapeError>(
          "[{}] the kernel of weight {} reaches over {} elements, but input {} has {} with its padding; enlarge the "
          "input or the padding",
          op, w.shape(), reach, x.shape(), room);
    y.push_back((room - reach) / geometry.stride[d] + 1);
  }
  return y;
}

Shape conv_transpose_shape(const char* op, const Tensor& x, const Tensor& w, const Tensor& bias,
                           const ConvGeometry& geometry, const Dims& output_padding) {
  check_rank(op, x, w, geometry.dims);
  check_operands(op, x, w, bias, w.shape()[0], w.shape()[1] * geometry.groups, geometry);
  Shape y{x.shape()[0], w.shape()[1] * geometry.groups};
  for (int d = 3 - geometry.dims; d < 3; ++d) {
    const int64_t extra = output_padding[d - 3 + geometry.dims];
    if (extra >= std::max(geometry.stride[d], geometry.dilation[d]))
      fail<ValueError>("[{}] output_padding {} must be smaller than the stride or the dilation ({} and {})", op, extra,
                       geometry.stride[d], geometry.dilation[d]);
    const int64_t size = (spatial(x.shape(), geometry, d) - 1) * geometry.stride[d] - 2 * geometry.padding[d] +
                         geometry.dilation[d] * (spatial(w.shape(), geometry, d) - 1) + extra + 1;
    if (size < 1)
      fail<ShapeError>("[{}] input {} and weight {} would give an output of size {}; reduce the padding", op, x.shape(),
                       w.shape(), size);
    y.push_back(size);
  }
  return y;
}

}  // namespace cotangent::raw
