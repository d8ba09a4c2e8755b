// Private: what the normalisations share.
#pragma once
#include <cotangent/tensor/elementwise.hpp>

namespace cotangent::raw::norms {

constexpr int64_t kSpan = 4096;  // elements whose moments are taken at once: the order of sums, alike on all machines

/// x in `dtype` and dense; an undefined x stays so.
inline Tensor prepared(const Tensor& x, Dtype dtype) {
  if (!x.defined()) return x;
  return contiguous(x.dtype() == dtype ? x : cast(x, dtype));
}
inline Tensor in_dtype(const Tensor& x, Dtype dtype) { return !x.defined() || x.dtype() == dtype ? x : cast(x, dtype); }
template <class T>
const T* data_or_null(const Tensor& x) {
  return x.defined() ? x.data<T>() : nullptr;
}

/// A mean and a sum of squared deviations, to which those of another part are added.
inline void merge(double& mean, double& squares, int64_t count, double other_mean, double other_squares,
                  int64_t other_count) {
  const double share = static_cast<double>(other_count) / static_cast<double>(count + other_count),
               d = other_mean - mean;
  mean += d * share;
  squares += other_squares + d * d * (static_cast<double>(count) * share);
}

}  // namespace cotangent::raw::norms
