#include <cotangent/tensor/conv/conv.hpp>

#include <utility>

#include <cotangent/tensor/conv/loops_internal.hpp>
#include <cotangent/tensor/conv/rows_internal.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/parts_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>

namespace cotangent::raw {
namespace {

using detail::make_tensor;

/// Where taps lie d pixels apart along both dimensions, pixels of one remainder by d are convolved with one another
/// only: as images of their own, without dilation, where Winograd's algorithm takes them.
struct Undilated {
  int64_t d;
  ConvGeometry geometry;

  Undilated(const Shape& x, const Shape& w, const Shape& y, const ConvGeometry& of) : d(of.dilation[2]), geometry(of) {
    applies = of.dims == 2 && d > 1 && x.product() > 0 && y.product() > 0;
    for (int i = 1; i < 3; ++i) {
      applies = applies && of.dilation[i] == d && of.stride[i] == 1 && of.extra[i] == 0 && of.padding[i] % d == 0 &&
                x[i + 1] % d == 0;
      geometry.dilation[i] = 1, geometry.padding[i] /= d;
    }
    const int64_t rows = w[0] / of.groups;
    applies =
        applies && winograd_pays({forward_axes(shape(x), w, shape(y), geometry).axes, x[0], w[1], x[1], y[1]}, rows);
  }
  Shape shape(const Shape& x) const { return {x[0] * d * d, x[1], x[2] / d, x[3] / d}; }
  Tensor apart(const Tensor& x) const {
    const Tensor whole = contiguous(x), parts = make_tensor(shape(x.shape()), x.dtype());
    move(whole, parts, true);
    return parts;
  }
  Tensor together(const Tensor& parts) const {
    const Shape& s = parts.shape();
    const Tensor whole = make_tensor({s[0] / d / d, s[1], s[2] * d, s[3] * d}, parts.dtype());
    move(whole, parts, false);
    return whole;
  }
  void move(const Tensor& whole, const Tensor& parts, bool to_parts) const {
    const Shape& s = parts.shape();
    const int64_t channels = s[1], height = s[2], width = s[3], image = channels * height * width;
    dispatch_compute("conv", whole.dtype(), [&]<class T> {
      const auto transpose = kernels::kernels().copy.of<T>().transpose;
      parallel_for(0, whole.numel() / width / d, 64, [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; ++i) {  // rows: their pixels in turns belong to d images
          const int64_t plane = i / (height * d), row = i % (height * d), remainder = row % d;
          T* const pixels = whole.data<T>() + i * width * d;
          T* const part = parts.data<T>() + (plane / channels * d + remainder) * d * image +
                          (plane % channels * height + row / d) * width;
          if (to_parts)
            transpose(pixels, width, d, d, part, image);
          else
            transpose(part, d, width, image, pixels, d);
        }
      });
    });
  }
  bool applies;
};

void fill_channels(const Tensor& y, const Tensor& bias) {
  if (!bias.defined()) return fill_into(y, 0);
  Strides strides = Dims::filled(y.rank(), 0);
  strides[1] = bias.strides()[0];
  copy_into("conv", detail::make_view(bias, y.shape(), strides, 0), y);
}

/// y = the results of all phases, which lie one after another in `parts`, at their places.
void lay_between(const char* op, const Tensor& parts, const ConvAxis (&axes)[3], const int64_t* stride, int64_t planes,
                 const Tensor& y) {
  const int64_t n[3] = {axes[0].positions, axes[1].positions, axes[2].positions}, plane = n[0] * n[1] * n[2],
                phase = planes * plane;
  const Shape shape{planes, n[0], stride[0], n[1], stride[1], n[2], stride[2]};
  const Strides strides{plane, n[1] * n[2], stride[1] * stride[2] * phase, n[2], stride[2] * phase, 1, phase};
  copy_into(op, detail::make_view(parts, shape, strides, 0), y.view(shape));
}

}  // namespace

Tensor conv(const char* op, const Tensor& x, const Tensor& w, const Tensor& bias, const ConvGeometry& geometry) {
  if (is_low_precision(x.dtype())) {
    const Tensor wide = cast(w, float32), start = widened<cast>(bias);
    return by_parts(op, x, empty_in_format(conv_shape(op, x, w, bias, geometry), x.dtype(), geometry.format, op),
                    [&](const Tensor& part) { return conv(op, part, wide, start, geometry); });
  }
  if (geometry.format == MemoryFormat::channels_last) return conv_rows(op, x, w, bias, geometry);
  const Shape shape = conv_shape(op, x, w, bias, geometry);
  if (const Undilated u(x.shape(), w.shape(), shape, geometry); u.applies)
    return u.together(conv(op, u.apart(x), w, bias, u.geometry));
  const Tensor source = contiguous(x), weight = contiguous(w), start = bias.defined() ? contiguous(bias) : bias;
  const Tensor y = make_tensor(shape, x.dtype(), op);
  const int64_t groups = geometry.groups, channels = w.shape()[1], rows = w.shape()[0] / groups;
  if (y.numel() == 0) return y;
  if (w.numel() == 0) {
    fill_channels(y, start);
    return y;
  }
  const ConvSource s(
      {forward_axes(x.shape(), w.shape(), shape, geometry).axes, x.shape()[0], channels, x.shape()[1], shape[1]},
      rows < kNarrowConv);
  const int64_t taps = w.numel() / (w.shape()[0] * channels);
  dispatch_compute(op, x.dtype(), [&]<class T> {
    convolve<T>(s, groups, rows, source.data<T>(), weight.data<T>(), {rows * channels * taps, channels * taps, taps},
                start.defined() ? start.data<T>() : nullptr, y.data<T>());
  });
  return y;
}

Tensor conv_input_grad(const char* op, const Tensor& g, const Tensor& w, const Tensor& bias, const Shape& x_shape,
                       const ConvGeometry& geometry) {
  if (is_low_precision(g.dtype())) {
    const Tensor wide = cast(w, float32), start = widened<cast>(bias);
    return by_parts(op, g, empty_in_format(x_shape, g.dtype(), geometry.format, op), [&](const Tensor& part) {
      Shape shape = x_shape;
      shape[0] = part.shape()[0];
      return conv_input_grad(op, part, wide, start, shape, geometry);
    });
  }
  if (geometry.format == MemoryFormat::channels_last) return conv_rows_input_grad(op, g, w, bias, x_shape, geometry);
  if (const Undilated u(x_shape, w.shape(), g.shape(), geometry); u.applies)
    return u.together(conv_input_grad(op, u.apart(g), w, bias, u.shape(x_shape), u.geometry));
  const Tensor source = contiguous(g), weight = contiguous(w), start = bias.defined() ? contiguous(bias) : bias;
  const Tensor y = make_tensor(x_shape, g.dtype(), op);
  if (y.numel() == 0) return y;
  const int64_t groups = geometry.groups, channels = w.shape()[0] / groups, rows = w.shape()[1];
  const int64_t* stride = geometry.stride;
  ConvAxis axes[3];
  PooledVector<int64_t> reached[3];
  // positions between the strides that no tap reaches
  bool filled = g.numel() == 0 || w.numel() == 0;
  for (int d = 0; d < 3; ++d) {
    const int64_t size = spatial(x_shape, geometry, d);
    reached[d] = reached_phases(spatial(w.shape(), geometry, d), size, geometry, d);
    filled = filled || static_cast<int64_t>(reached[d].size()) < std::min(stride[d], size);
  }
  if (filled) fill_channels(y, start);
  if (g.numel() == 0 || w.numel() == 0) return y;
  const int64_t taps = w.numel() / (w.shape()[0] * rows);
  const auto group = [&] { return ConvGroup(axes, g.shape()[0], channels, g.shape()[1], x_shape[1]); };
  for (int d = 0; d < 3; ++d)
    axes[d] = spread_axis(spatial(g.shape(), geometry, d), spatial(w.shape(), geometry, d),
                          spatial(x_shape, geometry, d), geometry, d);
  // All phases at once: with one channel a group, multiplying by zeros costs less than results that lie apart.
  const bool spread = (channels == 1 && rows < kNarrowConv) || winograd_pays(group(), rows);
  // Phases of one size are computed each in one piece, and then laid between one another.
  bool apart = !spread && !filled && (stride[0] > 1 || stride[1] > 1 || stride[2] > 1);
  for (int d = 0; d < 3; ++d) apart = apart && spatial(x_shape, geometry, d) % stride[d] == 0;
  const Tensor parts = apart ? make_tensor(x_shape, g.dtype()) : y;
  const auto convolve_phase = [&](int64_t place) {
    const ConvSource s(group(), rows < kNarrowConv);
    dispatch_compute(op, g.dtype(), [&]<class T> {
      convolve<T>(s, groups, rows, source.data<T>(), weight.data<T>(), {channels * rows * taps, taps, rows * taps},
                  start.defined() ? start.data<T>() : nullptr, parts.data<T>() + place);
    });
  };
  const auto take_phase = [&](int d, int64_t phase) {
    axes[d] = adjoint_axis(spatial(g.shape(), geometry, d), spatial(w.shape(), geometry, d),
                           spatial(x_shape, geometry, d), geometry, d, phase);
    if (apart) axes[d].result = axes[d].positions, axes[d].place = 0, axes[d].place_step = 1;
  };
  if (spread) convolve_phase(0);
  for (int64_t a : spread ? PooledVector<int64_t>() : reached[0]) {
    take_phase(0, a);
    for (int64_t b : reached[1]) {
      take_phase(1, b);
      for (int64_t c : reached[2]) {
        take_phase(2, c);
        const int64_t phase = (a * stride[1] + b) * stride[2] + c;
        convolve_phase(apart ? phase * (y.numel() / (stride[0] * stride[1] * stride[2])) : 0);
      }
    }
  }
  if (apart) lay_between(op, parts, axes, stride, x_shape[0] * x_shape[1], y);
  return y;
}

Tensor conv_weight_grad(const char* op, const Tensor& g, const Tensor& x, const Shape& w_shape,
                        const ConvGeometry& geometry) {
  if (is_low_precision(g.dtype())) {
    const int64_t n = x.shape()[0];
    Tensor sum;
    for_parts(n, std::max(x.numel(), g.numel()) / std::max<int64_t>(n, 1), [&](int64_t first, int64_t last) {
      add_part(op, sum,
               conv_weight_grad(op, cast(part_of(op, g, first, last), float32),
                                cast(part_of(op, x, first, last), float32), w_shape, geometry));
    });
    return cast(sum, g.dtype());
  }
  if (geometry.format == MemoryFormat::channels_last) return conv_rows_weight_grad(op, g, x, w_shape, geometry);
  if (const Undilated u(x.shape(), w_shape, g.shape(), geometry); u.applies)
    return conv_weight_grad(op, u.apart(g), u.apart(x), w_shape, u.geometry);
  const Tensor gradient = contiguous(g), source = contiguous(x);
  const Tensor dw = make_tensor(w_shape, g.dtype());
  if (dw.numel() == 0) return dw;
  if (g.numel() == 0) {
    fill_into(dw, 0);
    return dw;
  }
  const int64_t groups = geometry.groups, rows = w_shape[0] / groups;
  const ConvSource s({forward_axes(x.shape(), w_shape, g.shape(), geometry).axes, x.shape()[0], w_shape[1],
                      x.shape()[1], g.shape()[1]},
                     rows < kNarrowConv);
  dispatch_compute(op, g.dtype(),
                   [&]<class T> { correlate<T>(s, groups, rows, source.data<T>(), gradient.data<T>(), dw.data<T>()); });
  return dw;
}

ConvGradients conv_grads(const char* op, const Tensor& g, Tensor x, const Tensor& w, const ConvGeometry& geometry) {
  if (geometry.format == MemoryFormat::channels_last && !is_low_precision(g.dtype()))
    return conv_rows_grads(op, g, std::move(x), w, geometry);
  const Shape shape = x.shape();
  const Tensor dw = conv_weight_grad(op, g, std::exchange(x, {}), w.shape(), geometry);
  return {conv_input_grad(op, g, w, Tensor(), shape, geometry), dw};
}

// ---- shapes ----

ConvGeometry conv_geometry(const char* op, int dims, const Spatial& stride, const Spatial& padding,
                           const Spatial& dilation, int64_t groups) {
  ConvGeometry geometry;
  geometry.dims = dims;
  geometry.groups = groups;
  const Dims s = stride.over(op, "stride", dims, 1), p = padding.over(op, "padding", dims, 0),
             d = dilation.over(op, "dilation", dims, 1);
  if (groups < 1 || groups > INT32_MAX)
    fail<ValueError>("[{}] groups {}; it must be at least 1, and below 2^31", op, groups);
  for (int i = 0; i < dims; ++i) {
    geometry.stride[3 - dims + i] = s[i];
    geometry.padding[3 - dims + i] = p[i];
    geometry.dilation[3 - dims + i] = d[i];
  }
  return geometry;
}

void pad_to_same(const char* op, const Shape& w, ConvGeometry& geometry) {
  if (w.rank() != geometry.dims + 2) return;  // conv_shape says so
  for (int d = 3 - geometry.dims; d < 3; ++d) {
    if (geometry.stride[d] != 1)
      fail<ValueError>("[{}] padding same goes with stride 1, got {}; give the padding in numbers", op,
                       geometry.stride[d]);
    const int64_t total = Dims{geometry.dilation[d], std::max<int64_t>(spatial(w, geometry, d) - 1, 0)}.product(op);
    geometry.padding[d] = total / 2;
    geometry.extra[d] = total % 2;
  }
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
  for (const Tensor* t : {&x, &w})
    detail::check_memory(op, t->numel(), item_size(t->dtype()));  // of which there are copies
}

// From the first to the last tap.
int64_t reach_of(const char* op, const Tensor& w, const ConvGeometry& geometry, int d) {
  return Dims{geometry.dilation[d], spatial(w.shape(), geometry, d) - 1}.product(op) + 1;
}

}  // namespace

Shape conv_shape(const char* op, const Tensor& x, const Tensor& w, const Tensor& bias, const ConvGeometry& geometry) {
  check_rank(op, x, w, geometry.dims);
  check_operands(op, x, w, bias, Dims{w.shape()[1], geometry.groups}.product(op), w.shape()[0], geometry);
  Shape y{x.shape()[0], w.shape()[0]}, padded;
  for (int d = 3 - geometry.dims; d < 3; ++d) {
    const int64_t size = spatial(x.shape(), geometry, d), reach = reach_of(op, w, geometry, d);
    const int64_t room = size + 2 * geometry.padding[d] + geometry.extra[d];
    if (room < reach)
      fail<ShapeError>(
          "[{}] the kernel of weight {} reaches over {} elements, but input {} has {} with its padding; enlarge the "
          "input or the padding",
          op, w.shape(), reach, x.shape(), room);
    padded.push_back(room);
    y.push_back((room - reach) / geometry.stride[d] + 1);
  }
  detail::check_memory(op, padded.product(op), item_size(x.dtype()));
  return y;
}

Shape conv_transpose_shape(const char* op, const Tensor& x, const Tensor& w, const Tensor& bias, ConvGeometry& geometry,
                           const Dims& output_padding) {
  check_rank(op, x, w, geometry.dims);
  const int64_t results = Dims{w.shape()[1], geometry.groups}.product(op);
  check_operands(op, x, w, bias, w.shape()[0], results, geometry);
  Shape y{x.shape()[0], results};
  for (int d = 3 - geometry.dims; d < 3; ++d) {
    const int64_t extra = output_padding[d - 3 + geometry.dims];
    if (extra >= std::max(geometry.stride[d], geometry.dilation[d]))
      fail<ValueError>("[{}] output_padding {} must be smaller than the stride or the dilation ({} and {})", op, extra,
                       geometry.stride[d], geometry.dilation[d]);
    if (extra >= geometry.stride[d]) geometry.extra[d] = -extra;
    const int64_t whole = Dims{spatial(x.shape(), geometry, d) - 1, geometry.stride[d]}.product(op),
                  reach = reach_of(op, w, geometry, d);
    detail::check_memory(op, whole, 1), detail::check_memory(op, reach, 1);
    const int64_t size = whole + reach - 2 * geometry.padding[d] + extra;
    if (size < 1)
      fail<ShapeError>("[{}] input {} and weight {} would give an output of size {}; reduce the padding", op, x.shape(),
                       w.shape(), size);
    y.push_back(size);
  }
  return y;
}

}  // namespace cotangent::raw
