#pragma once
// What the op tables of the normalisations share.
#include <cmath>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {

/// A normalisation by its definition: `group(i)` is the row or channel of element i, `place(i)` the index of its
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

/// Argument i, or an undefined tensor where the sample leaves it out.
inline Tensor argument(Arguments x, size_t i) { return x.size() > i ? x[i] : Tensor(); }

}  // namespace cotangent
