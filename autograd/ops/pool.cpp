#include <cotangent/autograd/ops/pool.hpp>

#include <algorithm>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/pool.hpp>

namespace cotangent {
namespace {

using raw::Pooling;
using raw::PoolWindow;

// x with a batch dimension, and its check.
Tensor batched(const char* op, const Tensor& x, int spatial) {
  if (x.rank() != spatial + 1 && x.rank() != spatial + 2)
    fail<ShapeError>("[{}] shape {} has {} dimensions; it takes (N, C, {} spatial dimensions), with or without N", op,
                     x.shape(), x.rank(), spatial);
  if (!x.is_floating())
    fail<DTypeError>("[{}] takes a floating tensor, got {}; convert it with to(float32)", op, x.dtype());
  detail::check_memory(op, x.numel(), item_size(x.dtype()));  // of which there are copies
  return x.rank() == spatial + 1 ? unsqueeze(x, 0) : x;
}
Tensor unbatched(const Tensor& y, const Tensor& x) { return y.rank() == x.rank() ? y : squeeze(y, 0); }

struct Options {
  const Spatial& kernel;
  const Spatial& stride;
  const Spatial& padding;
  const Spatial& dilation;
  bool ceil_mode;
};

Pooling regular(const char* op, const Tensor& x, int spatial, const Options& o) {
  const Dims kernel = o.kernel.over(op, "kernel_size", spatial, 1);
  const Dims stride = o.stride.empty() ? kernel : o.stride.over(op, "stride", spatial, 1);
  const Dims padding = o.padding.over(op, "padding", spatial, 0),
             dilation = o.dilation.over(op, "dilation", spatial, 1);
  Pooling p;
  p.format = raw::memory_format(x);
  Shape padded;
  for (int d = 0; d < spatial; ++d) {
    PoolWindow& w = p.window[3 - spatial + d];
    w.in = x.shape()[2 + d], w.kernel = kernel[d], w.stride = stride[d], w.padding = padding[d],
    w.dilation = dilation[d];
    padded.push_back(w.in + 2 * w.padding);
    const int64_t reach = w.dilation * (w.kernel - 1) + 1, room = padded[d] - reach;
    if (2 * w.padding > reach)
      fail<ValueError>("[{}] padding {} is more than half of the kernel size {}", op, padding, kernel);
    if (w.in < 1 || room < 0)
      fail<ShapeError>("[{}] a window of {} does not fit the input {} with padding {}; it reaches over {} elements", op,
                       kernel, x.shape(), padding, reach);
    w.out = (room + (o.ceil_mode ? w.stride - 1 : 0)) / w.stride + 1;
    if (o.ceil_mode && (w.out - 1) * w.stride >= w.in + w.padding) --w.out;
    w.stride = std::min(w.stride, padded[d]);  // a longer one leaves out as much
  }
  detail::check_memory(op, padded.product(op), sizeof(int64_t));  // the loops take so much at most
  return p;
}

Shape result_shape(const Tensor& x, int spatial, const Pooling& p) {
  Shape shape = x.shape();
  for (int d = 0; d < spatial; ++d) shape[2 + d] = p.window[3 - spatial + d].out;
  return shape;
}

Pooling adaptive(const char* op, const Tensor& x, int spatial, const Spatial& output_size) {
  const Dims out = output_size.over(op, "output_size", spatial, 1);
  Pooling p;
  p.format = raw::memory_format(x);
  for (int d = 0; d < spatial; ++d) {
    PoolWindow& w = p.window[3 - spatial + d];
    w.in = x.shape()[2 + d], w.out = out[d], w.adaptive = true;
    if (w.in < 1) fail<ShapeError>("[{}] shape {} has an empty plane; there is nothing to pool", op, x.shape());
    w.kernel = (w.in + w.out - 1) / w.out;
  }
  return p;
}

// x has a batch dimension. The indices are int32 where that holds them.
MaxPool max_over(const char* op, const Tensor& x, int spatial, const Pooling& pooling) {
  auto [values, indices] = raw::max_pool(op, x, result_shape(x, spatial, pooling), pooling);
  Tensor y[] = {values, indices};
  record_all(op, {x}, y, Keep::output(1), pooling, [](const Backward& b, const Pooling& p) -> Gradients {
    const Shape& shape = b.shape(0);
    Tensor g = b.grad(), at = b.output(1);
    if (!b.creates_graph()) return {raw::max_pool_backward("max_pool", g, at, shape, p)};
    for (const PoolWindow& w : p.window)
      if (w.can_be_empty()) g = masked_fill(g, at < 0, 0), at = clamp(at, 0);
    const Shape planes = {shape[0], shape[1], shape.slice(2, shape.rank()).product()};
    const Tensor flat = scatter_add(zeros(planes, g.dtype()), 2, to(flatten(at, 2), int64), flatten(g, 2));
    return {reshape(flat, shape)};
  });
  return {y[0], y[1]};
}

MaxPool indexed(const MaxPool& y) { return {y.values, to(y.indices, int64)}; }
MaxPool unbatched(const MaxPool& y, const Tensor& x) { return {unbatched(y.values, x), unbatched(y.indices, x)}; }

MaxPool max_pool(const char* op, const Tensor& given, int spatial, const Spatial& kernel, const MaxPoolOptions& o) {
  const Tensor x = batched(op, given, spatial);
  const Pooling pooling = regular(op, x, spatial, {kernel, o.stride, o.padding, o.dilation, o.ceil_mode});
  return unbatched(max_over(op, x, spatial, pooling), given);
}

MaxPool adaptive_max_pool(const char* op, const Tensor& given, int spatial, const Spatial& output_size) {
  const Tensor x = batched(op, given, spatial);
  return unbatched(max_over(op, x, spatial, adaptive(op, x, spatial, output_size)), given);
}

Tensor max_unpool(const char* op, const Tensor& given, const Tensor& given_indices, int spatial,
                  const Spatial& kernel_size, const MaxUnpoolOptions& o) {
  const Tensor x = batched(op, given, spatial);
  if (given_indices.shape() != given.shape())
    fail<ShapeError>("[{}] the indices are {}, the values {}; there must be an index for each value", op,
                     given_indices.shape(), given.shape());
  if (given_indices.dtype() != int64)
    fail<DTypeError>("[{}] the indices are {}; take the int64 indices of a max pooling", op, given_indices.dtype());
  const Tensor indices = given.rank() == x.rank() ? given_indices : unsqueeze(given_indices, 0);
  const Dims kernel = kernel_size.over(op, "kernel_size", spatial, 1),
             stride = o.stride.empty() ? kernel : o.stride.over(op, "stride", spatial, 1),
             padding = o.padding.over(op, "padding", spatial, 0);
  const int given_sizes = o.output_size.rank();
  if (given_sizes != 0 && given_sizes != spatial && given_sizes != given.rank())
    fail<ShapeError>("[{}] output_size {} has {} numbers; give the {} spatial sizes", op, o.output_size, given_sizes,
                     spatial);
  Shape shape = x.shape();
  for (int d = 0; d < spatial; ++d) {
    const int64_t usual = Dims{x.shape()[2 + d] - 1, stride[d]}.product(op) - 2 * padding[d] + kernel[d];
    const int64_t size = shape[2 + d] = given_sizes == 0 ? usual : o.output_size[given_sizes - spatial + d];
    if (size < 1 || size <= usual - stride[d] || size >= usual + stride[d])
      fail<ShapeError>(
          "[{}] dimension {} of {} would go to size {}; it must be at least 1 and less than stride {} away "
          "from {}",
          op, 2 + d, x.shape(), size, stride[d], usual);
  }
  detail::check_memory(op, shape.product(op), sizeof(int64_t));
  const int64_t plane = shape.slice(2, shape.rank()).product();
  raw::check_distinct(op, indices, plane);
  const Tensor flat = scatter_add(zeros({shape[0], shape[1], plane}, x.dtype()), 2, flatten(indices, 2), flatten(x, 2));
  return unbatched(reshape(flat, shape), given);
}

Tensor mean_over(const char* op, const Tensor& x, const Shape& result, const Pooling& pooling);

// The adjoint of mean_over.
Tensor spread_over(const Tensor& g, const Shape& x_shape, const Pooling& pooling) {
  return record("avg_pool_backward", {g}, raw::avg_pool_backward("avg_pool", g, x_shape, pooling), Keep::nothing(),
                pooling, [](const Backward& b, const Pooling& p) -> Gradients {
                  return {mean_over("avg_pool", b.grad(), b.shape(0), p)};
                });
}

Tensor mean_over(const char* op, const Tensor& x, const Shape& result, const Pooling& pooling) {
  return record(
      op, {x}, raw::avg_pool(op, x, result, pooling), Keep::nothing(), pooling,
      [](const Backward& b, const Pooling& p) -> Gradients { return {spread_over(b.grad(), b.shape(0), p)}; });
}

Tensor avg_pool(const char* op, const Tensor& given, int spatial, const Spatial& kernel, const AvgPoolOptions& o) {
  const Tensor x = batched(op, given, spatial);
  if (o.divisor_override < 0)
    fail<ValueError>("[{}] divisor_override {} must be positive, or 0 for the number of cells", op, o.divisor_override);
  Pooling pooling = regular(op, x, spatial, {kernel, o.stride, o.padding, 1, o.ceil_mode});
  pooling.count_padding = o.count_include_pad;
  pooling.divisor = static_cast<double>(o.divisor_override);
  return unbatched(mean_over(op, x, result_shape(x, spatial, pooling), pooling), given);
}

Tensor adaptive_avg_pool(const char* op, const Tensor& given, int spatial, const Spatial& output_size) {
  const Tensor x = batched(op, given, spatial);
  const Pooling p = adaptive(op, x, spatial, output_size);
  return unbatched(mean_over(op, x, result_shape(x, spatial, p), p), given);
}

}  // namespace

// The functions for one number of dimensions.
#define COTANGENT_POOLS(n)                                                                                       \
  Tensor max_pool##n##d(const Tensor& x, const Spatial& k, const MaxPoolOptions& o) {                            \
    return max_pool("max_pool" #n "d", x, n, k, o).values;                                                       \
  }                                                                                                              \
  MaxPool max_pool##n##d_with_indices(const Tensor& x, const Spatial& k, const MaxPoolOptions& o) {              \
    return indexed(max_pool("max_pool" #n "d", x, n, k, o));                                                     \
  }                                                                                                              \
  Tensor adaptive_max_pool##n##d(const Tensor& x, const Spatial& size) {                                         \
    return adaptive_max_pool("adaptive_max_pool" #n "d", x, n, size).values;                                     \
  }                                                                                                              \
  MaxPool adaptive_max_pool##n##d_with_indices(const Tensor& x, const Spatial& size) {                           \
    return indexed(adaptive_max_pool("adaptive_max_pool" #n "d", x, n, size));                                   \
  }                                                                                                              \
  Tensor max_unpool##n##d(const Tensor& x, const Tensor& indices, const Spatial& k, const MaxUnpoolOptions& o) { \
    return max_unpool("max_unpool" #n "d", x, indices, n, k, o);                                                 \
  }                                                                                                              \
  Tensor avg_pool##n##d(const Tensor& x, const Spatial& k, const AvgPoolOptions& o) {                            \
    return avg_pool("avg_pool" #n "d", x, n, k, o);                                                              \
  }                                                                                                              \
  Tensor adaptive_avg_pool##n##d(const Tensor& x, const Spatial& size) {                                         \
    return adaptive_avg_pool("adaptive_avg_pool" #n "d", x, n, size);                                            \
  }
COTANGENT_POOLS(1)
COTANGENT_POOLS(2)
COTANGENT_POOLS(3)

}  // namespace cotangent
