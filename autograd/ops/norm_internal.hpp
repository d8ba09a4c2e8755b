// Private: what the normalisations share.
#pragma once
#include <cmath>

#include <cotangent/autograd/op_info.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/norm.hpp>

namespace cotangent::norms {

/// What the gradient of a normalisation needs besides the inputs.
struct NormAttributes {
  int dims;  // of the normalized shape
  bool training;
  double eps;
  Tensor mean, rstd;
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

inline Tensor widened(const Tensor& x) { return x.dtype() == float64 ? x : to(x, float32); }

/// For the op tables, by the definition: `group(i)` is the row or channel of element i, `place(i)` the index of its
/// weight.
template <class Group, class Place>
Tensor naive_norm(Arguments x, int64_t groups, Group group, Place place, double eps,
                  const std::vector<double>& moments = {}) {
  const std::vector<double> v = x[0].detach().to_vector<double>();
  std::vector<double> mean(static_cast<size_t>(groups)), var = mean, count = mean, y = v;
  auto at = [](std::vector<double>& values, int64_t i) -> double& { return values[static_cast<size_t>(i)]; };
  const int64_t n = x[0].numel();
  for (int64_t i = 0; i < n; ++i) at(mean, group(i)) += v[static_cast<size_t>(i)], at(count, group(i)) += 1;
  for (int64_t i = 0; i < groups; ++i) at(mean, i) /= at(count, i);
  for (int64_t i = 0; i < n; ++i) {
    const double d = v[static_cast<size_t>(i)] - at(mean, group(i));
    at(var, group(i)) += d * d / at(count, group(i));
  }
  if (!moments.empty()) {
    mean.assign(moments.begin(), moments.begin() + groups);
    var.assign(moments.begin() + groups, moments.end());
  }
  const std::vector<double> w = x.size() > 1 ? x[1].detach().to_vector<double>() : std::vector<double>();
  const std::vector<double> b = x.size() > 2 ? x[2].detach().to_vector<double>() : std::vector<double>();
  for (int64_t i = 0; i < n; ++i) {
    double& e = at(y, i);
    e = (e - at(mean, group(i))) / std::sqrt(at(var, group(i)) + eps);
    if (!w.empty()) e *= w[static_cast<size_t>(place(i))];
    if (!b.empty()) e += b[static_cast<size_t>(place(i))];
  }
  return from_vector(y, x[0].shape());
}

inline Tensor argument(Arguments x, size_t i) { return x.size() > i ? x[i] : Tensor(); }

}  // namespace cotangent::norms
