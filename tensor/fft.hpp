#pragma once
// Fourier transforms along the last axis, and convolutions by them, without history. A complex number is a pair (re,
// im): a trailing axis of 2. Tensors are float32 or float64, of any strides; n is any length of at least 1.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// y_k = scale sum_j x_j exp(-+ 2 pi i j k / n).   (.., T, 2) -> (.., n, 2), where x is cut or padded with zeros to n.
Tensor fft(const char* op, const Tensor& x, int64_t n, double scale, bool inverse);

/// y_k = scale sum_j x_j exp(-2 pi i j k / n) for k <= n/2, times `inner` except for k = 0 and k = n/2.
///   (.., T), cut or padded with zeros to n -> (.., n/2 + 1, 2)
Tensor rfft(const char* op, const Tensor& x, int64_t n, double scale, double inner);
/// x_j = scale Re sum_{k <= n/2} z_k exp(2 pi i j k / n), where all but k = 0 and k = n/2 count `inner` times.
///   (.., K, 2), cut or padded with zeros to n/2 + 1 -> (.., length), the first of n
/// With the same scale and inner this is the transpose of rfft; with 1/n and 2 its inverse.
Tensor irfft(const char* op, const Tensor& z, int64_t n, double scale, double inner, int64_t length);

/// The shortest length of at least `least` that is even and quick to transform.
int64_t fft_length(int64_t least);

/// The first `kept` of irfft(rfft(x) s), or of irfft(rfft(x) conj(s)): convolution, or correlation, around a circle of
/// n places, for an n of fft_length.
///   x (batch.., T), s (.., n/2 + 1, 2) whose other axes broadcast to the batch -> (batch.., kept), laid out like x
/// Nothing but a few rows is ever transformed at once, and a transform does not leave the cache.
Tensor fft_convolve(const char* op, const Tensor& x, const Tensor& s, int64_t n, bool conjugate, int64_t kept);
/// The gradient of fft_convolve by s, from g for its result; `shape` is that of s.
Tensor fft_correlate(const char* op, const Tensor& x, const Tensor& g, const Shape& shape, int64_t n, bool conjugate);

}  // namespace cotangent::raw
