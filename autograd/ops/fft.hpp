#pragma once
// Fourier transforms and convolutions by them. A complex number is a pair (re, im): a trailing axis of 2, which `dim`
// does not count. Any length is quick to transform: products of 2, 3 and 5 at once, others through one of those.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {
namespace fft {

/// Which way is divided by n: back, both by sqrt(n), or there.
enum class Norm : uint8_t { backward, ortho, forward };

/// The discrete Fourier transform along `dim` of real numbers: y_k = sum_j x_j exp(-2 pi i j k / n), for k = 0..n/2.
/// The others would be their conjugates.
///   x (.., T, ..) -> (.., n/2 + 1, .., 2);   dx_j = Re sum_k dy_k exp(2 pi i j k / n), also by a transform
/// x is cut or padded with zeros to n; n = 0 stands for T. NaN in a row makes all of its result NaN. A ValueError for a
/// length below 1.
Tensor rfft(const Tensor& x, int64_t n = 0, int64_t dim = -1, Norm norm = Norm::backward);
/// The n real numbers whose transform begins with x: the inverse of rfft.
///   x (.., K, .., 2) -> (.., n, ..);   dx is rfft(dy) / n, twice that where k stands for two
/// x is cut or padded with zeros to n/2 + 1, and imaginary parts at k = 0 and k = n/2 do not count. n = 0 stands for
/// 2 (K - 1): say n where it is odd. Errors as of rfft.
Tensor irfft(const Tensor& x, int64_t n = 0, int64_t dim = -1, Norm norm = Norm::backward);

/// The discrete Fourier transform along `dim` of complex numbers: y_k = sum_j x_j exp(-2 pi i j k / n).
///   x (.., T, .., 2) -> (.., n, .., 2);   dx is n ifft(dy)
/// Length, padding and errors are as of rfft.
Tensor fft(const Tensor& x, int64_t n = 0, int64_t dim = -1, Norm norm = Norm::backward);
/// Its inverse, x_j = sum_k y_k exp(2 pi i j k / n) / n.   (.., T, .., 2) -> (.., n, .., 2);   dx is fft(dy) / n
Tensor ifft(const Tensor& x, int64_t n = 0, int64_t dim = -1, Norm norm = Norm::backward);

/// The frequencies of fft's results for samples that are `d` apart, [0, 1, .., -2, -1] / (n d); of rfft's, [0, 1, ..,
/// n/2] / (n d). A ValueError for an n below 1.
Tensor fftfreq(int64_t n, double d = 1, Dtype dtype = default_dtype());
Tensor rfftfreq(int64_t n, double d = 1, Dtype dtype = default_dtype());

}  // namespace fft

/// What a convolution gives: as many values as x has, of which none depends on later ones, or all T + L - 1.
enum class FftConv : uint8_t { causal, full };

/// y_t = sum_l k_l x_{t-l} along the last axis, in time T log T however long the kernels are.
///   x (.., T), k (.., L) whose other axes broadcast -> (.., T) or, for full, (.., T + L - 1)
///   dx and dk are correlations of dy with k and x, by transforms as well
/// Channels that lie side by side in x, as in a transposed (B, T, C), are read and written as they lie. The rounding
/// error is that of the largest value of a row, and NaN anywhere in a row makes all of it NaN: a result depends on
/// later values in that way only. A ShapeError for no taps or shapes that do not broadcast.
Tensor fft_conv1d(const Tensor& x, const Tensor& k, FftConv keep = FftConv::causal);

/// Kernels of `taps` weights, transformed for convolutions around n places: for several with the same ones.
struct FftKernel {
  Tensor transform;  ///< (.., n/2 + 1, 2), float32 or float64
  int64_t n = 0, taps = 0;
};
/// For inputs of up to `length` values; differentiable by k (.., L).
FftKernel fft_kernel(const Tensor& k, int64_t length);
/// A ValueError where n is below T + taps - 1, so that the ends would meet.
Tensor fft_conv1d(const Tensor& x, const FftKernel& kernel, FftConv keep = FftConv::causal);

}  // namespace cotangent
