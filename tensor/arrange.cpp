#include <cotangent/tensor/arrange.hpp>

#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/strided.hpp>

namespace cotangent::raw {

using detail::make_view;

Tensor pad(const Tensor& x, const Dims& before, const Shape& shape, const Scalar& value) {
  const Tensor y = empty_in_format(shape, x.dtype(), memory_format(x), "pad");
  // dimension by dimension, what lies on either side of the part that x's size leaves free
  Shape part = shape;
  int64_t start = 0;
  for (int d = 0; d < x.rank(); ++d) {
    const auto fill = [&](int64_t from, int64_t length) {
      Shape side = part;
      side[d] = length;
      if (length > 0) fill_into(make_view(y, side, y.strides(), start + from * y.strides()[d]), value, "pad");
    };
    fill(0, before[d]);
    const int64_t after = before[d] + x.shape()[d];
    fill(after, shape[d] - after);
    start += before[d] * y.strides()[d];
    part[d] = x.shape()[d];
  }
  if (x.numel() > 0) copy_into("pad", x, make_view(y, part, y.strides(), start));
  return y;
}

Tensor roll(const Tensor& x, const Dims& shifts) {
  const Tensor y = empty_like(x, x.dtype());
  if (x.numel() == 0) return y;
  const Shape& shape = x.shape();
  // along each dimension the first n - shift elements move up, and the last `shift` to the front
  for (uint32_t fronts = 0; fronts < 1u << x.rank(); ++fronts) {
    Shape block = shape;
    int64_t from = 0, to = 0;
    for (int d = 0; d < x.rank(); ++d) {
      const bool front = fronts >> d & 1u;
      block[d] = front ? shifts[d] : shape[d] - shifts[d];
      if (front)
        from += (shape[d] - shifts[d]) * x.strides()[d];
      else
        to += shifts[d] * y.strides()[d];
    }
    if (block.product() > 0)
      copy_into("roll", make_view(x, block, x.strides(), from), make_view(y, block, y.strides(), to));
  }
  return y;
}

}  // namespace cotangent::raw
