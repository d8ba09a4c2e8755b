#pragma once
// Normalisation along rows, and of channels.
#include <cstdint>

namespace cotangent::kernels {

/// y = (x - mean) * scale + shift of each channel, limited to [low, high]. No gradient passes a limit.
struct ChannelNorm {
  int64_t channels;
  const void *mean, *scale, *shift;  ///< (channels)
  double low = -__builtin_inf(), high = __builtin_inf();
};
/// Normalisation. Means and rstds (one over the standard deviation) are of rows, or of channels.
struct NormLoops {
  /// y = (x - mean) * rstd * weight + bias along rows of n elements, whose means and rstds are kept. weight and bias
  /// may be null. [1] is that, and [0] takes 0 for the mean.
  void (*layer_norm[2])(const void* x, const void* weight, const void* bias, void* y, void* mean, void* rstd,
                        int64_t rows, int64_t n, double eps);
  /// dweight and dbias are added to. Each of weight, dx, dweight and dbias may be null.
  void (*layer_norm_backward[2])(const void* dy, const void* x, const void* weight, const void* mean, const void* rstd,
                                 void* dx, void* dweight, void* dbias, int64_t rows, int64_t n);
  /// Of n elements of one channel, or several spans of n that lie `stride` apart: the mean and the sum of squared
  /// deviations.
  void (*span_moments)(const void* x, int64_t spans, int64_t n, int64_t stride, double* mean, double* squares);
  /// Spans of n elements, from the one of number `first` to before `last`, of which span i is of channel i % channels.
  void (*span_normalize)(const ChannelNorm& c, const void* x, void* y, int64_t first, int64_t last, int64_t n);
  /// With g = dy where y is within the limits, else 0: the sums of g and g * (x - mean) of a channel, which are added
  /// to, and dx = scale * g + slope * (x - mean) + offset.
  void (*span_sums)(const ChannelNorm& c, int64_t channel, const void* dy, const void* x, int64_t spans, int64_t n,
                    int64_t stride, double* sum, double* product);
  void (*span_gradient)(const ChannelNorm& c, const void* slope, const void* offset, const void* dy, const void* x,
                        void* dx, int64_t first, int64_t last, int64_t n);
  /// The same for rows that hold an element of each channel; the sums are overwritten.
  void (*row_moments)(const void* x, int64_t rows, int64_t channels, void* mean, void* squares);
  void (*row_normalize)(const ChannelNorm& c, const void* x, void* y, int64_t rows);
  void (*row_sums)(const ChannelNorm& c, const void* dy, const void* x, int64_t rows, void* sum, void* product);
  void (*row_gradient)(const ChannelNorm& c, const void* slope, const void* offset, const void* dy, const void* x,
                       void* dx, int64_t rows);
};

}  // namespace cotangent::kernels
