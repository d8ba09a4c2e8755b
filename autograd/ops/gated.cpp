#include <cotangent/autograd/ops/gated.hpp>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/elementwise_internal.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>

namespace cotangent {
namespace {

/// value * f(gate), of the halves of x.
template <class F>
Tensor gated(const char* op, const Tensor& x, int64_t dim, F f) {
  const int d = checked_dim(op, dim, x.rank());
  const int64_t size = x.rank() ? x.shape()[d] : 1;
  if (size % 2)
    fail<ShapeError>("[{}] dimension {} of x, {}, has the odd size {}; it must be even, to hold values and gates", op,
                     d, x.shape(), size);
  if (is_low_precision(x.dtype()))
    return in_float32<to>([&](const Tensor& wide) { return gated(op, wide, dim, f); }, x);
  const Tensors parts = split(detail::floating(x), {size / 2, size / 2}, d);
  return parts[0] * f(parts[1]);
}

}  // namespace

Tensor glu(const Tensor& x, int64_t dim) {
  return gated("glu", x, dim, [](const Tensor& gate) { return sigmoid(gate); });
}
Tensor bilinear_glu(const Tensor& x, int64_t dim) {
  return gated("bilinear_glu", x, dim, [](const Tensor& gate) { return gate; });
}
Tensor reglu(const Tensor& x, int64_t dim) {
  return gated("reglu", x, dim, [](const Tensor& gate) { return relu(gate); });
}
Tensor geglu(const Tensor& x, int64_t dim, Gelu form) {
  return gated("geglu", x, dim, [form](const Tensor& gate) { return gelu(gate, form); });
}
Tensor swiglu(const Tensor& x, int64_t dim) {
  return gated("swiglu", x, dim, [](const Tensor& gate) { return silu(gate); });
}

Tensor maxout(const Tensor& x, int64_t pieces, int64_t dim) {
  if (pieces < 1) fail<ValueError>("[maxout] {} pieces; there must be 1 or more", pieces);
  const int d = checked_dim("maxout", dim, x.rank());
  const int64_t size = x.rank() ? x.shape()[d] : 1;
  if (size % pieces)
    fail<ShapeError>("[maxout] dimension {} of x, {}, has the size {}; it must be a multiple of the {} pieces", d,
                     x.shape(), size, pieces);
  const Tensor in = detail::floating(x);
  return max(in.rank() ? unflatten(in, d, {size / pieces, pieces}) : unsqueeze(in, 0), in.rank() ? d + 1 : 0).values;
}

}  // namespace cotangent
