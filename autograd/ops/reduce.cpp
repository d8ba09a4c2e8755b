#include <cotangent/autograd/ops/reduce.hpp>

#include <cotangent/autograd/op_info.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/reduce.hpp>

namespace cotangent {
namespace {

// The shape without the reduced dimensions.
Shape without(const Shape& shape, uint32_t dims) {
  Shape result;
  for (int d = 0; d < shape.rank(); ++d)
    if (!(dims >> d & 1u)) result.push_back(shape[d]);
  return result;
}

Tensor finish(const Tensor& y, uint32_t dims, bool keepdim) {
  return keepdim ? y : reshape(y, without(y.shape(), dims));
}

}  // namespace

Tensor sum(const Tensor& x, const DimList& dims, bool keepdim) {
  const uint32_t mask = checked_dims("sum", dims, x.rank());
  const Tensor y = record("sum", {x}, raw::sum("sum", x, mask), Keep::nothing(), NoAttributes{},
                          [](const Backward& b, NoAttributes) -> Gradients { return {expand(b.grad(), b.shape(0))}; });
  return finish(y, mask, keepdim);
}

Tensor mean(const Tensor& x, const DimList& dims, bool keepdim) {
  if (!x.is_floating())
    fail<DTypeError>("[mean] takes a floating tensor, got {}; convert it with to(float32)", x.dtype());
  const Tensor y = sum(x, dims, keepdim);
  return y / (static_cast<double>(x.numel()) / static_cast<double>(y.numel()));
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const int skip = x.rank() - shape.rank();
  Dims dims;
  for (int d = 0; d < x.rank(); ++d)
    if (d < skip || (shape[d - skip] == 1 && x.shape()[d] != 1)) dims.push_back(d);
  const Tensor y = dims.empty() ? x : sum(x, dims, true);
  return reshape(y, shape);
}

Tensor Tensor::sum() const { return cotangent::sum(*this); }
Tensor Tensor::mean() const { return cotangent::mean(*this); }

}  // namespace cotangent
