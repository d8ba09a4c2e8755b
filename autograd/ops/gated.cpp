#include <cotangent/autograd/ops/gated.hpp>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace {

struct Halves {
  Tensor value, gate;
};
Halves halves(const char* op, const Tensor& x, int64_t dim) {
  const int d = checked_dim(op, dim, x.rank());
  const int64_t size = x.rank() ? x.shape()[d] : 1;
  if (size % 2)
    fail<ShapeError>("[{}] dimension {} of x, {}, has the odd size {}; it must be even, to hold values and gates", op,
                     d, x.shape(), size);
  const Tensors parts = split(x.is_floating() ? x : to(x, default_dtype()), {size / 2, size / 2}, d);
  return {parts[0], parts[1]};
}

}  // namespace

Tensor glu(const Tensor& x, int64_t dim) {
  const auto [value, gate] = halves("glu", x, dim);
  return value * sigmoid(gate);
}
Tensor bilinear_glu(const Tensor& x, int64_t dim) {
  const auto [value, gate] = halves("bilinear_glu", x, dim);
  return value * gate;
}
Tensor reglu(const Tensor& x, int64_t dim) {
  const auto [value, gate] = halves("reglu", x, dim);
  return value * relu(gate);
}
Tensor geglu(const Tensor& x, int64_t dim, Gelu form) {
  const auto [value, gate] = halves("geglu", x, dim);
  return value * gelu(gate, form);
}
Tensor swiglu(const Tensor& x, int64_t dim) {
  const auto [value, gate] = halves("swiglu", x, dim);
  return value * silu(gate);
}

Tensor maxout(const Tensor& x, int64_t pieces, int64_t dim) {
  if (pieces < 1) fail<ValueError>("[maxout] {} pieces; there must be 1 or more", pieces);
  const int d = checked_dim("maxout", dim, x.rank());
  const int64_t size = x.rank() ? x.shape()[d] : 1;
  if (size % pieces)
    fail<ShapeError>("[maxout] dimension {} of x, {}, has the size {}; it must be a multiple of the {} pieces", d,
                     x.shape(), size, pieces);
  const Tensor in = x.is_floating() ? x : to(x, default_dtype());
  return max(in.rank() ? unflatten(in, d, {size / pieces, pieces}) : unsqueeze(in, 0), in.rank() ? d + 1 : 0).values;
}

}  // namespace cotangent
