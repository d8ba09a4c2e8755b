#include <cotangent/tensor/join.hpp>

#include <algorithm>

#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent::raw {
namespace {

using detail::make_tensor;
using detail::make_view;

void check_not_empty(const char* op, std::span<const Tensor> xs) {
  if (xs.empty()) fail<ValueError>("[{}] no tensors are given; it takes one at least", op);
}

}  // namespace

Tensor cat(const char* op, std::span<const Tensor> xs, int64_t dim) {
  check_not_empty(op, xs);
  const Tensor& first = xs[0];
  if (first.rank() == 0) fail<ShapeError>("[{}] tensors of rank 0 have no dimension to be joined along; use stack", op);
  const int d = checked_dim(op, dim, first.rank());
  Shape shape = first.shape();
  shape[d] = 0;
  bool all_channels_last = true;
  for (size_t i = 0; i < xs.size(); ++i) {
    Shape rest = xs[i].shape();
    bool fits = rest.rank() == first.rank();
    if (fits) {
      if (__builtin_add_overflow(shape[d], rest[d], &shape[d])) shape[d] = INT64_MAX;
      rest[d] = first.shape()[d];
      fits = rest == first.shape();
    }
    if (!fits)
      fail<ShapeError>("[{}] shapes {} (tensor 0) and {} (tensor {}) don't fit; they may differ in dimension {} only",
                       op, first.shape(), xs[i].shape(), i, d);
    all_channels_last &= memory_format(xs[i]) == MemoryFormat::channels_last;
  }
  const Tensor y = empty_in_format(shape, first.dtype(),
                                   all_channels_last ? MemoryFormat::channels_last : MemoryFormat::contiguous, op);
  int64_t start = 0;
  for (const Tensor& x : xs) {
    copy_into(op, x, make_view(y, x.shape(), y.strides(), start * y.strides()[d]));
    start += x.shape()[d];
  }
  return y;
}

Tensor stack(const char* op, std::span<const Tensor> xs, int64_t dim) {
  check_not_empty(op, xs);
  const Tensor& first = xs[0];
  const int d = checked_dim(op, dim, first.rank() + 1);
  for (size_t i = 1; i < xs.size(); ++i)
    if (xs[i].shape() != first.shape())
      fail<ShapeError>("[{}] shapes {} (tensor 0) and {} (tensor {}) differ; all must be the same", op, first.shape(),
                       xs[i].shape(), i);
  Shape shape = first.shape();
  shape.insert(d, static_cast<int64_t>(xs.size()));
  const Tensor y = make_tensor(shape, first.dtype(), op);
  for (size_t i = 0; i < xs.size(); ++i) copy_into(op, xs[i], select(op, y, d, static_cast<int64_t>(i)));
  return y;
}

Tensor flip(const Tensor& x, uint32_t dims) {
  Strides backwards = x.strides();
  int64_t last = 0;
  for (int d = 0; d < x.rank(); ++d) {
    if (!(dims >> d & 1u)) continue;
    last += std::max<int64_t>(x.shape()[d] - 1, 0) * x.strides()[d];
    backwards[d] = -x.strides()[d];
  }
  const Tensor y = empty_like(x, x.dtype());
  if (x.numel() > 0) copy_into("flip", make_view(x, x.shape(), backwards, last), y);
  return y;
}

}  // namespace cotangent::raw
