// Private: what the normalisations share.
#pragma once
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/norm.hpp>
#include <cotangent/tensor/precision_internal.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent::norms {

/// The numbers of a normalisation.
struct NormAttributes {
  int dims;  // of the normalized shape
  bool training;
  double eps;
  Limits limits = {};
};

inline void check_parameter(const char* op, const char* name, const Tensor& parameter, const Shape& shape) {
  if (parameter.defined() && parameter.shape() != shape)
    fail<ShapeError>("[{}] {} is {}; it must be {}", op, name, parameter.shape(), shape);
  if (parameter.defined() && !parameter.is_floating())
    fail<DTypeError>("[{}] {} is {}; it must be floating", op, name, parameter.dtype());
}

inline void check_floating(const char* op, const Tensor& x) {
  if (!x.is_floating())
    fail<DTypeError>("[{}] takes a floating tensor, got {}; convert it with to(float32)", op, x.dtype());
}

/// Gradients in the dtypes of their inputs.
inline Gradients finish(const Backward& b, const raw::NormGradients& g) {
  auto as_input = [&](const Tensor& y, int i) { return y.defined() ? to(y, b.dtype(i)) : y; };
  return {g.x, as_input(g.weight, 1), as_input(g.bias, 2)};
}

/// x less its mean, which is taken away twice: of large numbers, the first is rounded, and the second is small.
inline Tensor centred(const Tensor& x, const Dims& dims) {
  const Tensor d = x - mean(x.detach(), dims, true);
  return d - mean(d, dims, true);
}
/// One over the standard deviation of what is centred.
inline Tensor inverse_deviation(const Tensor& centred, const Dims& dims, double eps) {
  return rsqrt(mean(square(centred), dims, true) + eps);
}
/// By elementary functions, in the dtype that the kernel computes in; the way to higher derivatives.
inline Tensor normalized(const Tensor& centred, const Tensor& rstd, const Tensor& weight, const Tensor& bias,
                         Dtype dtype) {
  Tensor y = centred * rstd;
  if (weight.defined()) y = y * to(weight, y.dtype());
  if (bias.defined()) y = y + to(bias, y.dtype());
  return to(y, dtype);
}

}  // namespace cotangent::norms
