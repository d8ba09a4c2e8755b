// Softmax and its logarithm along contiguous rows, or along the columns of a matrix, kColumns at a time. Short rows are
// turned into columns.
#include <cotangent/tensor/kernels/math.hpp>
#include <cotangent/tensor/kernels/softmax.hpp>
#include <cotangent/tensor/kernels/sums.hpp>
#include <cotangent/tensor/kernels/turned.hpp>

namespace cotangent::kernels {
namespace {

template <class T>
T maximum(const T* x, int64_t n) {
  T m = x[0];
#pragma omp simd reduction(max : m)
  for (int64_t i = 0; i < n; ++i) m = x[i] > m ? x[i] : m;
  return m;
}

template <class T, bool kLong = false>
void softmax_rows(const T* x, T* y, int64_t rows, int64_t n) {
  if (!kLong && n > kLongRow) return softmax_rows<T, true>(x, y, rows, n);
  for (int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const T m = maximum(x, n);
    const T scale = T(1) / sum_of<T, kLong>(n, [=](int64_t i) {
                      const T e = m_quick_exp(x[i] - m);
                      y[i] = e;
                      return e;
                    });
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] *= scale;
  }
}

template <class T, bool kLong = false>
void log_softmax_rows(const T* x, T* y, int64_t rows, int64_t n) {
  if (!kLong && n > kLongRow) return log_softmax_rows<T, true>(x, y, rows, n);
  for (int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const T m = maximum(x, n);
    const T log_sum = m_log(sum_of<T, kLong>(n, [=](int64_t i) { return m_quick_exp(x[i] - m); }));
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = x[i] - m - log_sum;
  }
}

/// Of an array the compiler knows the length, and unrolls the loops.
template <class T, class M>
[[gnu::always_inline]] inline void maxima(const T* x, M& m, int64_t n, int64_t stride, int64_t count) {
  for (int64_t j = 0; j < count; ++j) m[j] = x[j];
  for (int64_t i = 1; i < n; ++i) {
    const T* row = x + i * stride;
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) m[j] = row[j] > m[j] ? row[j] : m[j];
  }
}

template <class T, bool kLog>
void columns(const T* x, T* y, int64_t n, int64_t stride, int64_t count) {
  T m[kColumns], sum[kColumns];
  maxima(x, m, n, stride, count);
  sum_columns(n, count, sum, [&](int64_t i) {
    const T* row = x + i * stride;
    T* out = y + i * stride;
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) {
      const T e = m_quick_exp(row[j] - m[j]);
      sum[j] += e;
      out[j] = kLog ? row[j] - m[j] : e;
    }
  });
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) sum[j] = kLog ? m_log(sum[j]) : T(1) / sum[j];
  for (int64_t i = 0; i < n; ++i) {
    T* out = y + i * stride;
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) out[j] = kLog ? out[j] - sum[j] : out[j] * sum[j];
  }
}

template <class T, bool kLog, bool kLong = false>
void rows_backward(const T* dy, const T* y, T* dx, int64_t rows, int64_t n) {
  if (!kLong && n > kLongRow) return rows_backward<T, kLog, true>(dy, y, dx, rows, n);
  for (int64_t r = 0; r < rows; ++r, dy += n, y += n, dx += n) {
    const T sum = sum_of<T, kLong>(n, [=](int64_t i) { return kLog ? dy[i] : dy[i] * y[i]; });
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) dx[i] = kLog ? dy[i] - m_quick_exp(y[i]) * sum : y[i] * (dy[i] - sum);
  }
}

template <class T, bool kLog>
void columns_backward(const T* dy, const T* y, T* dx, int64_t n, int64_t stride, int64_t count) {
  T sum[kColumns];
  sum_columns(n, count, sum, [&](int64_t i) {
    const T *g = dy + i * stride, *out = y + i * stride;
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) sum[j] += kLog ? g[j] : g[j] * out[j];
  });
  for (int64_t i = 0; i < n; ++i) {
    const T *g = dy + i * stride, *out = y + i * stride;
    T* to = dx + i * stride;
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) to[j] = kLog ? g[j] - m_quick_exp(out[j]) * sum[j] : out[j] * (g[j] - sum[j]);
  }
}

// ---- log(sum(exp(x))), shifted by the maximum where that is finite ----

template <class T>
T finite_or_zero(T x) {
  return m_fabs(x) <= (sizeof(T) == 4 ? T(__FLT_MAX__) : T(__DBL_MAX__)) ? x : T(0);
}

template <class T>
void logsumexp_rows(const T* x, T* y, T* shift, T* total, int64_t rows, int64_t n) {
  for (int64_t r = 0; r < rows; ++r, x += n) {
    const T m = finite_or_zero(maximum(x, n));
    shift[r] = m;
    total[r] = sum_of<T>(n, [=](int64_t i) { return m_quick_exp(x[i] - m); });
    y[r] = m + m_log(total[r]);
  }
}

template <class T>
void logsumexp_columns(const T* x, T* y, T* m, T* total, int64_t n, int64_t stride, int64_t count) {
  T sum[kColumns];
  maxima(x, m, n, stride, count);
  for (int64_t j = 0; j < count; ++j) m[j] = finite_or_zero(m[j]);
  sum_columns(n, count, sum, [&](int64_t i) {
    const T* row = x + i * stride;
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) sum[j] += m_quick_exp(row[j] - m[j]);
  });
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) total[j] = sum[j], y[j] = m[j] + m_log(sum[j]);
}

// ---- rows of any length ----

template <class T, bool kLog>
void any_rows(const T* x, T* y, int64_t rows, int64_t n) {
  if (n >= kShortRow) return (kLog ? log_softmax_rows<T> : softmax_rows<T>)(x, y, rows, n);
  Turned<T> turned;
  for (int64_t r = 0; r < rows; r += kTurned) {
    const int64_t count = rows - r < kTurned ? rows - r : kTurned;
    turned.load(x + r * n, count, n);
    columns<T, kLog>(turned.data, turned.data, n, kTurned, count);
    turned.store(y + r * n, count, n);
  }
}
template <class T, bool kLog>
void any_rows_backward(const T* dy, const T* y, T* dx, int64_t rows, int64_t n) {
  if (n >= kShortRow) return rows_backward<T, kLog>(dy, y, dx, rows, n);
  Turned<T> g, out;
  for (int64_t r = 0; r < rows; r += kTurned) {
    const int64_t count = rows - r < kTurned ? rows - r : kTurned;
    g.load(dy + r * n, count, n);
    out.load(y + r * n, count, n);
    columns_backward<T, kLog>(g.data, out.data, g.data, n, kTurned, count);
    g.store(dx + r * n, count, n);
  }
}
template <class T>
void any_logsumexp_rows(const T* x, T* y, T* shift, T* total, int64_t rows, int64_t n) {
  if (n >= kShortRow) return logsumexp_rows(x, y, shift, total, rows, n);
  Turned<T> turned;
  for (int64_t r = 0; r < rows; r += kTurned) {
    const int64_t count = rows - r < kTurned ? rows - r : kTurned;
    turned.load(x + r * n, count, n);
    logsumexp_columns(turned.data, y + r, shift + r, total + r, n, kTurned, count);
  }
}

template <class T, bool kLog>
SoftmaxLoops<T> loops() {
  return {any_rows<T, kLog>, columns<T, kLog>, any_rows_backward<T, kLog>, columns_backward<T, kLog>};
}
template <class T>
LogSumExpLoops<T> logsumexp() {
  return {any_logsumexp_rows<T>, logsumexp_columns<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(SoftmaxTable& t) {
  t = {{loops<float, false>(), loops<double, false>()},
       {loops<float, true>(), loops<double, true>()},
       {logsumexp<float>(), logsumexp<double>()}};
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
