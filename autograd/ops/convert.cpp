#include <cotangent/autograd/ops/convert.hpp>

#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>

namespace cotangent {

Tensor to(const Tensor& x, Dtype dtype) {
  if (x.dtype() == dtype) return x;
  return record("to", {x}, raw::cast(x, dtype), Keep::nothing(), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients { return {to(b.grad(), b.dtype(0))}; });
}

static Gradients pass_on(const Backward& b) { return {b.grad()}; }

Tensor clone(const Tensor& x) {
  return record("clone", {x}, raw::clone(x), Keep::nothing(), NoAttributes{},
                [](const Backward& b, NoAttributes) { return pass_on(b); });
}

Tensor contiguous(const Tensor& x, MemoryFormat format) {
  if (x.is_contiguous(format)) {
    if (x.rank() != 4 || raw::memory_format(x) == format) return x;
    return record_view("contiguous", x, raw::in_format(x, format), NoAttributes{},
                       [](const Backward& b, NoAttributes) { return pass_on(b); });
  }
  return record("contiguous", {x}, raw::contiguous(x, format), Keep::nothing(), NoAttributes{},
                [](const Backward& b, NoAttributes) { return pass_on(b); });
}

Tensor identity(const Tensor& x) {
  return record_view("identity", x, detail::make_alias(x), NoAttributes{},
                     [](const Backward& b, NoAttributes) { return pass_on(b); });
}

Tensor Tensor::to(Dtype dtype) const { return cotangent::to(*this, dtype); }
Tensor Tensor::clone() const { return cotangent::clone(*this); }
Tensor Tensor::contiguous(MemoryFormat format) const { return cotangent::contiguous(*this, format); }

}  // namespace cotangent
