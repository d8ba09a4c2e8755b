// Private: what the normalisations share.
#pragma once
#include <algorithm>

#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>

namespace cotangent::raw::norms {

constexpr int64_t kSpan = 4096;  // elements whose moments are taken at once: the order of sums, alike on all machines

/// x in `dtype` and dense; an undefined x stays so.
inline Tensor prepared(const Tensor& x, Dtype dtype, MemoryFormat format = MemoryFormat::contiguous) {
  if (!x.defined()) return x;
  return contiguous(x.dtype() == dtype ? x : cast(x, dtype), format);
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

/// The same for each channel of `count` rows, to which `rows` rows are added. `space` is for 3 numbers a channel.
template <class T>
void merge_rows(double* mean, double* squares, int64_t count, const T* x, int64_t rows, int64_t channels, T* space) {
  T *m = space, *s = m + channels, *rest = s + channels;
  const bool rounded = kernels::kernels().norm.of<T>().row_moments(x, rows, channels, m, s, rest);
  for (int64_t i = 0; i < channels; ++i) {
    const double lost = rounded ? static_cast<double>(rest[i]) : 0, excess = static_cast<double>(rows) * lost * lost;
    merge(mean[i], squares[i], count, static_cast<double>(m[i]) + lost, static_cast<double>(s[i]) - excess, rows);
  }
}
/// Rows of channels that fit in a core's caches.
inline int64_t row_block(int64_t channels) {
  return std::clamp<int64_t>(4 * kSpan / std::max<int64_t>(channels, 1), 4, 256);
}

}  // namespace cotangent::raw::norms
