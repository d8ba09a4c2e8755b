// Normalisation by mean and variance: along rows (layer norm), and of channels (batch norm), whose elements lie in
// spans of one channel each, or in rows that hold one element of every channel.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/math.hpp>
#include <cotangent/tensor/kernels/norm.hpp>
#include <cotangent/tensor/kernels/sums.hpp>

namespace cotangent::kernels {
namespace {

/// Whether a mean is so large beside the deviations that what rounding took from it matters: then it takes a third
/// pass.
template <class T>
bool is_large(T mean, T variance) {
  return mean * mean > T(16) * variance;
}

/// The mean, and the sum of squared deviations from it: from those from `near`, whose sum is `sum`.
struct Moments {
  Moments(double near, double squares_, double sum, double count)
      : mean(near + sum / count), squares(squares_ - sum / count * sum) {
    if (squares < 0) squares = 0;
  }
  double mean, squares;
};

// Without its mean taken away (centred = false) it is the norm by the root mean square.
template <class T, bool centred, bool kLong = false>
void layer_norm(const T* x, const T* w, const T* b, T* y, double* means, T* rstds, int64_t rows, int64_t n,
                double eps) {
  if (!kLong && n > kLongRow) return layer_norm<T, centred, true>(x, w, b, y, means, rstds, rows, n, eps);
  const double part = 1 / static_cast<double>(n);
  for (int64_t r = 0; r < rows; ++r, x += n, y += n) {
    double sum, mean = 0, squares;
    if constexpr (centred) {
      add_up_row<1, T, kLong>(n, &sum, [=](int64_t i, T* s) { s[0] += x[i]; });
      const T near = static_cast<T>(sum * part);
      add_up_row<1, T, kLong>(n, &squares, [=](int64_t i, T* s) { s[0] += (x[i] - near) * (x[i] - near); });
      mean = static_cast<double>(near);
      if (is_large(near, static_cast<T>(squares * part))) {
        add_up_row<1, T, kLong>(n, &sum, [=](int64_t i, T* s) { s[0] += x[i] - near; });
        const Moments of(mean, squares, sum, static_cast<double>(n));
        mean = of.mean, squares = of.squares;
      }
    } else {
      add_up_row<1, T, kLong>(n, &squares, [=](int64_t i, T* s) { s[0] += x[i] * x[i]; });
    }
    const T rstd = inverse_deviation(static_cast<T>(squares * part + eps)), m = static_cast<T>(mean);
    const T lift = -static_cast<T>(mean - static_cast<double>(m)) * rstd;  // what m lacks
    means[r] = mean, rstds[r] = rstd;
    if (w && b) {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) y[i] = ((x[i] - m) * rstd + lift) * w[i] + b[i];
    } else {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - m) * rstd + lift;
      if (w)
#pragma omp simd
        for (int64_t i = 0; i < n; ++i) y[i] *= w[i];
      if (b)
#pragma omp simd
        for (int64_t i = 0; i < n; ++i) y[i] += b[i];
    }
  }
}

// With g = dy * w and h = (x - mean) * rstd:   dx = rstd * (g - mean(g) - h * mean(g * h)), where mean(g) stays away if
// x was not centred
template <class T, bool centred, bool kLong = false>
void layer_norm_backward(const T* dy, const T* x, const T* w, const double* means, const T* rstds, T* dx, T* dw, T* db,
                         int64_t rows, int64_t n) {
  if (!kLong && n > kLongRow) return layer_norm_backward<T, centred, true>(dy, x, w, means, rstds, dx, dw, db, rows, n);
  const double part = 1 / static_cast<double>(n);
  for (int64_t r = 0; r < rows; ++r, x += n, dy += n) {
    const T m = static_cast<T>(means[r]), rstd = rstds[r];
    const double rest = means[r] - static_cast<double>(m);
    const T lift = -static_cast<T>(rest) * rstd;
    if (dw)
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) dw[i] += dy[i] * ((x[i] - m) * rstd + lift);
    if (db)
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) db[i] += dy[i];
    if (!dx) continue;
    const double scale = static_cast<double>(rstd), cubed = -scale * scale * scale * part,
                 lowered = centred ? -scale * part : 0;
    double total[2];  // of g and g * (x - m)
    if (w)
      add_up_row<2, T, kLong>(n, total, [=](int64_t i, T* s) {
        const T g = dy[i] * w[i];
        s[0] += g, s[kWide] += g * (x[i] - m);
      });
    else
      add_up_row<2, T, kLong>(n, total, [=](int64_t i, T* s) { s[0] += dy[i], s[kWide] += dy[i] * (x[i] - m); });
    const double factor = cubed * (total[1] - rest * total[0]);
    const T slope = static_cast<T>(factor), shift = static_cast<T>(lowered * total[0] - rest * factor);
    if (w) {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) dx[i] = rstd * (dy[i] * w[i]) + (x[i] - m) * slope + shift;
    } else {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) dx[i] = rstd * dy[i] + (x[i] - m) * slope + shift;
    }
    dx += n;
  }
}

// ---- channels in spans ----

template <class T>
struct Channel {
  Channel(const ChannelNorm<T>& c, int64_t i) : mean(c.mean[i]), scale(c.scale[i]), shift(c.shift[i]) {}
  T operator()(T x) const { return (x - mean) * scale + shift; }
  T mean, scale, shift;
};

/// What becomes of y, and of its gradient.
template <class T>
struct Unlimited {
  T operator()(T y) const { return y; }
  T passed(T dy, T) const { return dy; }
};
template <class T>
struct Limited {
  T low, high;
  T operator()(T y) const { return y < low ? low : y > high ? high : y; }
  T passed(T dy, T y) const { return (y > low) & (y < high) ? dy : T(0); }
};
template <class T, class F>
void with_limits(const ChannelNorm<T>& c, F f) {
  if (c.low == -__builtin_inf() && c.high == __builtin_inf())
    f(Unlimited<T>{});
  else
    f(Limited<T>{static_cast<T>(c.low), static_cast<T>(c.high)});
}

template <class T>
void span_moments(const T* x, int64_t spans, int64_t n, int64_t stride, double* mean, double* squares) {
  T sum, squared;
  const T count = static_cast<T>(spans * n);
  add_up<1>(spans, n, stride, &sum, [=](int64_t i, T* s) { s[0] += x[i]; });
  const T near = sum / count;
  add_up<1>(spans, n, stride, &squared, [=](int64_t i, T* s) { s[0] += (x[i] - near) * (x[i] - near); });
  *mean = static_cast<double>(near), *squares = static_cast<double>(squared);
  if (!is_large(near, squared / count)) return;
  add_up<1>(spans, n, stride, &sum, [=](int64_t i, T* s) { s[0] += x[i] - near; });
  const Moments of(*mean, *squares, static_cast<double>(sum), static_cast<double>(spans * n));
  *mean = of.mean, *squares = of.squares;
}

template <class T>
void span_normalize(const ChannelNorm<T>& c, const T* px, T* py, int64_t first, int64_t last, int64_t n) {
  with_limits<T>(c, [&](auto limited) {
    for (int64_t i = first; i < last; ++i) {
      const Channel<T> of(c, i % c.channels);
      const T* x = px + i * n;
      T* y = py + i * n;
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) y[j] = limited(of(x[j]));
    }
  });
}

template <class T>
void span_sums(const ChannelNorm<T>& c, int64_t channel, const T* dy, const T* x, int64_t spans, int64_t n,
               int64_t stride, double* sum, double* product) {
  const Channel<T> of(c, channel);
  T total[2];
  with_limits<T>(c, [&](auto limited) {
    add_up<2>(spans, n, stride, total, [=](int64_t i, T* s) {
      const T g = limited.passed(dy[i], of(x[i]));
      s[0] += g, s[kWide] += g * (x[i] - of.mean);
    });
  });
  *sum += total[0], *product += total[1];
}

template <class T>
void span_gradient(const ChannelNorm<T>& c, const T* p_slope, const T* p_offset, const T* p_dy, const T* px, T* p_dx,
                   int64_t first, int64_t last, int64_t n) {
  with_limits<T>(c, [&](auto limited) {
    for (int64_t i = first; i < last; ++i) {
      const Channel<T> of(c, i % c.channels);
      const T slope = p_slope[i % c.channels], offset = p_offset[i % c.channels];
      const T *dy = p_dy + i * n, *x = px + i * n;
      T* dx = p_dx + i * n;
#pragma omp simd
      for (int64_t j = 0; j < n; ++j)
        dx[j] = of.scale * limited.passed(dy[j], of(x[j])) + slope * (x[j] - of.mean) + offset;
    }
  });
}

// ---- channels in rows ----

constexpr int64_t kShortRow = 64;

/// Adds the terms f(element, channel) of rows to the sums of the channels. Short rows are taken four at a time, which
/// read and write a sum once for all four; with long ones, the processor would not guess what comes next.
template <class T, class F>
void add_up_rows(int64_t rows, int64_t channels, const T* x, T* sums, F f) {
  const auto add = [&](auto count) {
    constexpr int kRows = count;
#pragma omp simd
    for (int64_t i = 0; i < channels; ++i) {
      T sum = sums[i];
#pragma GCC unroll 4
      for (int k = 0; k < kRows; ++k) sum += f(x[k * channels + i], i);
      sums[i] = sum;
    }
    x += kRows * channels;
  };
  if (channels <= kShortRow)
    for (; rows >= 4; rows -= 4) add(std::integral_constant<int, 4>());
  for (; rows > 0; --rows) add(std::integral_constant<int, 1>());
}

template <class T>
bool row_moments(const T* x, int64_t rows, int64_t channels, T* mean, T* squares, T* rest) {
  for (int64_t i = 0; i < channels; ++i) mean[i] = squares[i] = T(0);
  add_up_rows(rows, channels, x, mean, [](T value, int64_t) { return value; });
  const T share = T(1) / static_cast<T>(rows);
  for (int64_t i = 0; i < channels; ++i) mean[i] *= share;
  add_up_rows(rows, channels, x, squares, [=](T value, int64_t i) { return (value - mean[i]) * (value - mean[i]); });
  int large = 0;
#pragma omp simd reduction(| : large)
  for (int64_t i = 0; i < channels; ++i) large |= is_large(mean[i], share * squares[i]) ? 1 : 0;
  if (!large) return false;
  for (int64_t i = 0; i < channels; ++i) rest[i] = T(0);
  add_up_rows(rows, channels, x, rest, [=](T value, int64_t i) { return value - mean[i]; });
  for (int64_t i = 0; i < channels; ++i) rest[i] *= share;
  return true;
}

template <class T>
void row_normalize(const ChannelNorm<T>& c, const T* x, T* y, int64_t rows) {
  with_limits<T>(c, [&](auto limited) {
    for (int64_t r = 0; r < rows; ++r, x += c.channels, y += c.channels)
#pragma omp simd
      for (int64_t i = 0; i < c.channels; ++i) y[i] = limited(Channel<T>(c, i)(x[i]));
  });
}

template <class T>
void row_sums(const ChannelNorm<T>& c, const T* dy, const T* x, int64_t rows, T* sum, T* product) {
  for (int64_t i = 0; i < c.channels; ++i) sum[i] = product[i] = T(0);
  with_limits<T>(c, [&](auto limited) {
    for (int64_t r = 0; r < rows; ++r, x += c.channels, dy += c.channels)
#pragma omp simd
      for (int64_t i = 0; i < c.channels; ++i) {
        const Channel<T> of(c, i);
        const T g = limited.passed(dy[i], of(x[i]));
        sum[i] += g;
        product[i] += g * (x[i] - of.mean);
      }
  });
}

template <class T>
void row_gradient(const ChannelNorm<T>& c, const T* slope, const T* offset, const T* dy, const T* x, T* dx,
                  int64_t rows) {
  with_limits<T>(c, [&](auto limited) {
    for (int64_t r = 0; r < rows; ++r, x += c.channels, dy += c.channels, dx += c.channels)
#pragma omp simd
      for (int64_t i = 0; i < c.channels; ++i) {
        const Channel<T> of(c, i);
        dx[i] = of.scale * limited.passed(dy[i], of(x[i])) + slope[i] * (x[i] - of.mean) + offset[i];
      }
  });
}

template <class T>
NormLoops<T> loops() {
  return {{layer_norm<T, false>, layer_norm<T, true>},
          {layer_norm_backward<T, false>, layer_norm_backward<T, true>},
          span_moments<T>,
          span_normalize<T>,
          span_sums<T>,
          span_gradient<T>,
          row_moments<T>,
          row_normalize<T>,
          row_sums<T>,
          row_gradient<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<NormLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
