// Private: what the normalisations share.
#pragma once
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
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

/// By elementary functions, in the dtype that the kernel computes in; the way to higher derivatives.
inline Tensor normalized(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& weight,
                         const Tensor& bias, Dtype dtype) {
  Tensor y = (x - mean) * rstd;
  if (weight.defined()) y = y * to(weight, x.dtype());
  if (bias.defined()) y = y + to(bias, x.dtype());
  return to(y, dtype);
}

}  // namespace cotangent::norms
