#pragma once
// Normalisation along rows, and of channels.
#include <cstdint>

namespace cotangent::kernels {

/// 1 / sqrt(v) for a variance v. NaN for an infinite one: its squares were beyond the dtype, and 0 would be no result.
[[gnu::always_inline]] inline double inverse_deviation(double v) {
  return v < __builtin_inf() ? 1 / __builtin_sqrt(v) : __builtin_nan("");
}
[[gnu::always_inline]] inline float inverse_deviation(float v) {
  return v < __builtin_inff() ? 1 / __builtin_sqrtf(v) : __builtin_nanf("");
}

/// y = (x - mean) * scale + shift of each channel, limited to [low, high]. No gradient passes a limit. The mean is
/// rounded; the shift takes back what it lost.
template <class T>
struct ChannelNorm {
  int64_t channels;
  const T *mean, *scale, *shift;  ///< (channels)
  double low = -__builtin_inf(), high = __builtin_inf();
};
/// Normalisation. Means and rstds (one over the standard deviation) are of rows, or of channels. Of large
/// numbers, means are taken twice: of the numbers, and of their deviations from the first.
template <class T>
struct NormLoops {
  /// y = (x - mean) * rstd * weight + bias along rows of n elements, whose means and rstds are kept. weight and bias
  /// may be null. [1] is that, and [0] takes 0 for the mean.
  void (*layer_norm[2])(const T* x, const T* weight, const T* bias, T* y, double* mean, T* rstd, int64_t rows,
                        int64_t n, double eps);
  /// dweight and dbias are added to. Each of weight, dx, dweight and dbias may be null.
  void (*layer_norm_backward[2])(const T* dy, const T* x, const T* weight, const double* mean, const T* rstd, T* dx,
                                 T* dweight, T* dbias, int64_t rows, int64_t n);
  /// Of n elements of one channel, or several spans of n that lie `stride` apart: the mean and the sum of squared
  /// deviations.
  void (*span_moments)(const T* x, int64_t spans, int64_t n, int64_t stride, double* mean, double* squares);
  /// Spans of n elements, from the one of number `first` to before `last`, of which span i is of channel i % channels.
  void (*span_normalize)(const ChannelNorm<T>& c, const T* x, T* y, int64_t first, int64_t last, int64_t n);
  /// With g = dy where y is within the limits, else 0: the sums of g and g * (x - mean) of a channel, which are added
  /// to, and dx = scale * g + slope * (x - mean) + offset.
  void (*span_sums)(const ChannelNorm<T>& c, int64_t channel, const T* dy, const T* x, int64_t spans, int64_t n,
                    int64_t stride, double* sum, double* product);
  void (*span_gradient)(const ChannelNorm<T>& c, const T* slope, const T* offset, const T* dy, const T* x, T* dx,
                        int64_t first, int64_t last, int64_t n);
  /// The same for rows that hold an element of each channel; the sums are overwritten. `rest` is what rounding took
  /// from the mean, if row_moments gives true.
  bool (*row_moments)(const T* x, int64_t rows, int64_t channels, T* mean, T* squares, T* rest);
  void (*row_normalize)(const ChannelNorm<T>& c, const T* x, T* y, int64_t rows);
  void (*row_sums)(const ChannelNorm<T>& c, const T* dy, const T* x, int64_t rows, T* sum, T* product);
  void (*row_gradient)(const ChannelNorm<T>& c, const T* slope, const T* offset, const T* dy, const T* x, T* dx,
                       int64_t rows);
};

}  // namespace cotangent::kernels
