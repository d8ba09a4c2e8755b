#include <cotangent/tensor/reduce.hpp>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/strided.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent::raw {

Tensor sum(const char*, const Tensor& x, uint32_t dims) {
  Shape shape = x.shape();
  for (int d = 0; d < x.rank(); ++d)
    if (dims >> d & 1u) shape[d] = 1;
  Tensor y = detail::make_tensor(shape, x.is_floating() ? x.dtype() : int64);
  fill_into(y, 0);
  Strides strides = y.strides();
  for (int d = 0; d < x.rank(); ++d)
    if (dims >> d & 1u) strides[d] = 0;
  const Tensor in = x.is_floating() ? x : cast(x, int64);
  add_overlapping(in, detail::make_view(y, x.shape(), strides, 0));
  return y;
}

}  // namespace cotangent::raw
