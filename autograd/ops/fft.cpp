#include <cotangent/autograd/ops/fft.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/fft.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>

namespace cotangent {
namespace {

/// raw::rfft and raw::irfft with the same factors are each other's transposes, so that two ops have all derivatives.
struct Real {
  int64_t n;
  double scale, inner;
};
Tensor from_spectrum(const Tensor& z, Real way, int64_t length);

Tensor spectrum(const Tensor& x, Real way) {
  return record("rfft", {x}, raw::rfft("rfft", x, way.n, way.scale, way.inner), Keep::nothing(), way,
                [](const Backward& b, Real w) -> Gradients { return {from_spectrum(b.grad(), w, b.shape(0).back())}; });
}
Tensor from_spectrum(const Tensor& z, Real way, int64_t length) {
  return record("irfft", {z}, raw::irfft("irfft", z, way.n, way.scale, way.inner, length), Keep::nothing(), way,
                [](const Backward& b, Real w) -> Gradients {
                  return {narrow(spectrum(b.grad(), w), -2, 0, b.shape(0)[b.shape(0).rank() - 2])};
                });
}

struct Whole {
  int64_t n;
  double scale;
  bool inverse;
};
Tensor transformed(const Tensor& x, Whole way) {
  const char* op = way.inverse ? "ifft" : "fft";
  const Tensor y = raw::fft(op, x, way.n, way.scale, way.inverse);
  const auto rule = [](const Backward& b, Whole w) -> Gradients {
    return {narrow(transformed(b.grad(), {w.n, w.scale, !w.inverse}), -2, 0, b.shape(0)[b.shape(0).rank() - 2])};
  };
  return way.inverse ? record("ifft", {x}, y, Keep::nothing(), way, rule)
                     : record("fft", {x}, y, Keep::nothing(), way, rule);
}

/// Says which axis it is of x, not counting that of pairs.
int checked_axis(const char* op, const Tensor& x, int64_t dim, bool pairs) {
  if (!x.is_floating())
    fail<DTypeError>("[{}] takes a floating tensor, got {}; convert with to(float32)", op, x.dtype());
  if (x.rank() < (pairs ? 2 : 1) || (pairs && x.size(-1) != 2))
    fail<ShapeError>("[{}] x is {}; it must be {}", op, x.shape(), pairs ? "(.., T, 2), of pairs (re, im)" : "(.., T)");
  return checked_dim(op, dim, x.rank() - (pairs ? 1 : 0));
}
void check_length(const char* op, int64_t n) {
  if (n < 1) fail<ValueError>("[{}] the length is {}; it must be at least 1", op, n);
}
/// x, of which no more than n places along an axis count, with this axis at the end.
Tensor at_the_end(const Tensor& x, int axis, int end, int64_t n) {
  const Tensor moved = axis == end ? x : transpose(x, axis, end);
  return moved.size(end) > n ? narrow(moved, end, 0, n) : moved;
}
Tensor moved_back(const Tensor& y, int axis, int end) { return axis == end ? y : transpose(y, axis, end); }

double scale_of(fft::Norm norm, int64_t n, bool inverse) {
  const double whole = 1 / static_cast<double>(n);
  if (norm == fft::Norm::ortho) return std::sqrt(whole);
  return (norm == fft::Norm::backward) == inverse ? whole : 1;
}

Tensor complex_transform(const char* op, const Tensor& x, int64_t n, int64_t dim, fft::Norm norm, bool inverse) {
  const int axis = checked_axis(op, x, dim, true), end = x.rank() - 2;
  if (n == 0) n = x.size(axis);
  check_length(op, n);
  return moved_back(transformed(at_the_end(x, axis, end, n), {n, scale_of(norm, n, inverse), inverse}), axis, end);
}

Tensor frequencies(const char* op, int64_t n, double d, Dtype dtype, int64_t count) {
  check_length(op, n);
  const Tensor y = empty({count}, float64);
  for (int64_t k = 0; k < count; ++k)
    y.data<double>()[k] = static_cast<double>(k < (n + 1) / 2 || count < n ? k : k - n) / (static_cast<double>(n) * d);
  return to(y, dtype);
}

}  // namespace

namespace fft {

Tensor rfft(const Tensor& x, int64_t n, int64_t dim, Norm norm) {
  const int axis = checked_axis("rfft", x, dim, false), end = x.rank() - 1;
  if (is_low_precision(x.dtype())) return in_float32<to>(rfft, x, n, dim, norm);
  if (n == 0) n = x.size(axis);
  check_length("rfft", n);
  return moved_back(spectrum(at_the_end(x, axis, end, n), {n, scale_of(norm, n, false), 1}), axis, end);
}

Tensor irfft(const Tensor& x, int64_t n, int64_t dim, Norm norm) {
  const int axis = checked_axis("irfft", x, dim, true), end = x.rank() - 2;
  if (is_low_precision(x.dtype())) return in_float32<to>(irfft, x, n, dim, norm);
  if (n == 0) n = 2 * (x.size(axis) - 1);
  check_length("irfft", n);
  return moved_back(from_spectrum(at_the_end(x, axis, end, n / 2 + 1), {n, scale_of(norm, n, true), 2}, n), axis, end);
}

Tensor fft(const Tensor& x, int64_t n, int64_t dim, Norm norm) {
  if (is_low_precision(x.dtype())) return in_float32<to>(fft, x, n, dim, norm);
  return complex_transform("fft", x, n, dim, norm, false);
}
Tensor ifft(const Tensor& x, int64_t n, int64_t dim, Norm norm) {
  if (is_low_precision(x.dtype())) return in_float32<to>(ifft, x, n, dim, norm);
  return complex_transform("ifft", x, n, dim, norm, true);
}

Tensor fftfreq(int64_t n, double d, Dtype dtype) { return frequencies("fftfreq", n, d, dtype, n); }
Tensor rfftfreq(int64_t n, double d, Dtype dtype) { return frequencies("rfftfreq", n, d, dtype, n / 2 + 1); }

}  // namespace fft

namespace {

struct Around {
  int64_t n;
  bool conjugate;
};

/// conj(a) b of pairs.
Tensor conjugate_times(const Tensor& a, const Tensor& b) {
  const Tensor ar = select(a, -1, 0), ai = select(a, -1, 1), br = select(b, -1, 0), bi = select(b, -1, 1);
  return stack({ar * br + ai * bi, ar * bi - ai * br}, -1);
}

// A primitive because the composition of rfft, a product and irfft writes and reads three spectra, each of which is
// four times as large as x where the kernel is as long: this keeps none.
Tensor around(const Tensor& x, const Tensor& s, Around way, int64_t kept) {
  return record(
      "fft_conv1d", {x, s}, raw::fft_convolve("fft_conv1d", x, s, way.n, way.conjugate, kept), Keep::inputs(2), way,
      [](const Backward& b, Around w) -> Gradients {
        const Tensor &in = b.input(0), &by = b.input(1), &dy = b.grad();
        Tensor dx, ds;
        if (b.needs(0)) dx = around(dy, by, {w.n, !w.conjugate}, in.size(-1));
        if (b.needs(1) && !b.creates_graph()) {
          ds = raw::fft_correlate("fft_conv1d", in, dy, by.shape(), w.n, w.conjugate);
        } else if (b.needs(1)) {
          const Tensor X = spectrum(in, {w.n, 1, 1}), G = spectrum(dy, {w.n, 1 / static_cast<double>(w.n), 2});
          ds = sum_to(w.conjugate ? conjugate_times(G, X) : conjugate_times(X, G), by.shape());
        }
        return {dx, ds};
      });
}

void check_signal(const Tensor& x, const char* name) {
  if (x.rank() < 1) fail<ShapeError>("[fft_conv1d] {} is a scalar; it must be (.., T)", name);
}

}  // namespace

FftKernel fft_kernel(const Tensor& k, int64_t length) {
  check_signal(k, "the kernel");
  const int64_t taps = k.size(-1);
  if (taps == 0) fail<ShapeError>("[fft_conv1d] the kernel is {}; it must have at least one tap", k.shape());
  int64_t least;
  if (length < 0 || __builtin_add_overflow(length, taps, &least))
    fail<ValueError>("[fft_conv1d] inputs of length {} for {} taps; both must be sizes", length, taps);
  const int64_t n = raw::fft_length(std::max<int64_t>(least - 1, 1));
  return {fft::rfft(is_low_precision(k.dtype()) ? to(k, float32) : k, n), n, taps};
}

Tensor fft_conv1d(const Tensor& x, const FftKernel& kernel, FftConv keep) {
  COTANGENT_AUTOCAST(fft_conv1d, x, kernel, keep);
  check_signal(x, "x");
  const Tensor wide = is_low_precision(x.dtype()) ? to(x, float32) : x;
  if (!x.is_floating() || wide.dtype() != kernel.transform.dtype())
    fail<DTypeError>("[fft_conv1d] x is {} and the transform of the kernel {}; it must be {}", x.dtype(),
                     kernel.transform.dtype(), x.is_floating() ? wide.dtype() : float32);
  const Shape &s = kernel.transform.shape(), rows = x.shape().slice(0, x.rank() - 1);
  const int64_t T = x.size(-1), full = T + kernel.taps - 1;
  if (full > kernel.n)
    fail<ValueError>("[fft_conv1d] a kernel of {} taps for {} places meets x {} at its ends; make it for a longer one",
                     kernel.taps, kernel.n, x.shape());
  Shape all = broadcast_shapes("fft_conv1d", rows, s.slice(0, s.rank() - 2));
  all.push_back(T);
  return to(around(all == x.shape() ? wide : expand(wide, all), kernel.transform, {kernel.n, false},
                   keep == FftConv::causal ? T : full),
            x.dtype());
}

Tensor fft_conv1d(const Tensor& x, const Tensor& k, FftConv keep) {
  COTANGENT_AUTOCAST(fft_conv1d, x, k, keep);
  check_signal(x, "x");
  check_signal(k, "the kernel");
  if (!x.is_floating() || x.dtype() != k.dtype())
    fail<DTypeError>("[fft_conv1d] x is {} and the kernel {}; they must have one floating dtype", x.dtype(), k.dtype());
  const int64_t T = x.size(-1), useful = std::max<int64_t>(T, 1);
  const bool cut = keep == FftConv::causal && k.size(-1) > useful;
  return fft_conv1d(x, fft_kernel(cut ? narrow(k, -1, 0, useful) : k, T), keep);
}

}  // namespace cotangent
