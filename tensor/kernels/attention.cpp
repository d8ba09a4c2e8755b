// The row-wise halves of tiled attention, between the matrix products.
#include <cotangent/tensor/kernels/attention.hpp>
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/math.hpp>
#include <cotangent/tensor/kernels/sums.hpp>

namespace cotangent::kernels {
namespace {

template <class T>
constexpr T kInfinity = static_cast<T>(__builtin_inf());

// scores = scale * scores + mask, and -inf where that hides a key.
template <class T>
void apply_mask(T* s, const AttentionTile<T>& t, int64_t row, int64_t visible) {
  const T scale = static_cast<T>(t.scale);
#pragma omp simd
  for (int64_t j = 0; j < visible; ++j) s[j] *= scale;
  if (t.added) {
    const T* m = t.added + row * t.added_row;
    if (t.added_column) {
#pragma omp simd
      for (int64_t j = 0; j < visible; ++j) s[j] = m[j] == -kInfinity<T> ? m[j] : s[j] + m[j];
    } else {
      for (int64_t j = 0; j < visible; ++j) s[j] = m[0] == -kInfinity<T> ? m[0] : s[j] + m[0];
    }
  }
  if (t.allowed) {
    const bool* m = t.allowed + row * t.allowed_row;
    for (int64_t j = 0; j < visible; ++j)
      if (!m[j * t.allowed_column]) s[j] = -kInfinity<T>;
  }
}

template <class T>
int64_t visible_keys(const AttentionTile<T>& t, int64_t row) {
  const int64_t n = t.first_hidden + row;  // columns of this tile that row `row` may see
  return !t.causal || n > t.columns ? t.columns : (n < 0 ? 0 : n);
}

// One tile of the online softmax: scores become exp(score - max), and what was accumulated so far is rescaled to the
// new maximum.
template <class T>
void forward(T* scores, T* m, T* l, T* acc, int64_t width, const AttentionTile<T>& t) {
  for (int64_t i = 0; i < t.rows; ++i) {
    T* s = scores + i * t.row_stride;
    const int64_t visible = visible_keys(t, i);
    apply_mask(s, t, i, visible);
    T top = m[i];
#pragma omp simd reduction(max : top)
    for (int64_t j = 0; j < visible; ++j) top = s[j] > top ? s[j] : top;
    if (top == -kInfinity<T>) {  // nothing to see so far, but perhaps NaN, which is no maximum
      for (int64_t j = 0; j < visible; ++j) l[i] += s[j] = s[j] != s[j] ? s[j] : T(0);
      for (int64_t j = visible; j < t.columns; ++j) s[j] = 0;
      continue;
    }
    T total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t j = 0; j < visible; ++j) {
      s[j] = m_quick_exp(s[j] - top);
      total += s[j];
    }
    for (int64_t j = visible; j < t.columns; ++j) s[j] = 0;
    if (top != m[i]) {
      const T shrink = m[i] == -kInfinity<T> ? T(0) : m_exp(m[i] - top);
      l[i] *= shrink;
      T* row = acc + i * width;
#pragma omp simd
      for (int64_t j = 0; j < width; ++j) row[j] *= shrink;
      m[i] = top;
    }
    l[i] += total;
  }
}

// scores become the probabilities p = exp(score - maximum) * share, and products (dO V^T) become ds = p (dp - delta)
// scale.
template <class T>
void backward(T* scores, T* products, const T* maximum, const T* shares, const T* delta, const AttentionTile<T>& t) {
  for (int64_t i = 0; i < t.rows; ++i) {
    T *s = scores + i * t.row_stride, *d = products + i * t.row_stride;
    const T top = maximum[i], share = shares[i], shift = delta[i];
    const T scale = static_cast<T>(t.scale);
    const int64_t visible = visible_keys(t, i);
    apply_mask(s, t, i, visible);
#pragma omp simd
    for (int64_t j = 0; j < visible; ++j) {
      s[j] = m_quick_exp(s[j] - top) * share;
      d[j] = s[j] * (d[j] - shift) * scale;
    }
    for (int64_t j = visible; j < t.columns; ++j) s[j] = d[j] = 0;
  }
}

template <class T>
void finish(const T* acc, const T* top, const T* total, int64_t rows, int64_t width, T* y, int64_t y_row, T* maximum,
            T* share) {
  for (int64_t i = 0; i < rows; ++i, acc += width, y += y_row) {
    const bool masked = total[i] == T(0);
    maximum[i] = masked ? T(0) : top[i];
    const T scale = share[i] = masked ? T(0) : T(1) / total[i];
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) y[j] = acc[j] * scale;
  }
}

template <class T>
void dot_rows(const T* a, int64_t a_row, const T* b, int64_t b_row, int64_t rows, int64_t width, T* y) {
  for (int64_t i = 0; i < rows; ++i, a += a_row, b += b_row) {
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < width; ++j) sum += a[j] * b[j];
    y[i] = sum;
  }
}

template <class T>
bool finite(const T* x, int64_t x_row, int64_t rows, int64_t width) {
  T sum;
  add_up<1>(rows, width, x_row, &sum, [=](int64_t i, T* s) { s[0] += x[i] * T(0); });
  return sum == T(0);
}

/// By a mask; what is hidden for being later is not asked for.
template <class T>
bool is_hidden(const AttentionTile<T>& t, int64_t i, int64_t j) {
  return (t.allowed && !t.allowed[i * t.allowed_row + j * t.allowed_column]) ||
         (t.added && t.added[i * t.added_row + j * t.added_column] == -kInfinity<T>);
}

template <class T>
void add_seen(const AttentionTile<T>& t, const T* w, bool transposed, const T* x, int64_t x_row, int64_t x_column,
              int64_t width, T* y, int64_t y_row) {
  for (int64_t i = 0; i < t.rows; ++i)
    for (int64_t j = 0; j < visible_keys(t, i); ++j) {
      if (is_hidden(t, i, j)) continue;
      const T weight = w[i * t.row_stride + j], *from = x + (transposed ? i : j) * x_row;
      T* to = y + (transposed ? j : i) * y_row;
      for (int64_t c = 0; c < width; ++c) to[c] += weight * from[c * x_column];
    }
}

template <class T>
void add_diagonals(const AttentionTile<T>& t, const T* w, T* y) {
  for (int64_t i = 0; i < t.rows; ++i, w += t.row_stride, --y) {
    const int64_t visible = visible_keys(t, i);
    const T* added = t.added + i * t.added_row;  // a row of the table whose gradient this is
    if (t.allowed) {
      const bool* allowed = t.allowed + i * t.allowed_row;
      for (int64_t j = 0; j < visible; ++j)
        if (allowed[j * t.allowed_column] && added[j] != -kInfinity<T>) y[j] += w[j];
    } else {
#pragma omp simd
      for (int64_t j = 0; j < visible; ++j) y[j] += added[j] == -kInfinity<T> ? T(0) : w[j];
    }
  }
}

template <class T>
void clear_hidden(const AttentionTile<T>& t, T* w) {
  for (int64_t i = 0; i < t.rows; ++i, w += t.row_stride)
    for (int64_t j = 0; j < t.columns; ++j)
      if (is_hidden(t, i, j)) w[j] = 0;
}

/// Calls f(w, x, n, step) for up to three stretches of each row of pairs, whose x are `step` apart: those that share
/// the last row of the table, those with a row each, those that share the first.
template <class W, class X, class F>
void for_stretches(const AttentionBand& b, W* w, X* x, F f) {
  for (int64_t i = 0; i < b.rows; ++i, w += b.row_stride, x += b.x_row) {
    const auto column = [&](int64_t j) { return j < 0 ? 0 : j > b.columns ? b.columns : j; };
    const int64_t row = b.start + i, own = column(row - (b.count - 1)), first = column(row + 1);
    if (own > 0) f(w, x + (b.count - 1), own, b.x_column);
    if (first > own) f(w + own, x + own * b.x_column + (row - own), first - own, b.x_column - 1);
    if (b.columns > first) f(w + first, x + first * b.x_column, b.columns - first, b.x_column);
  }
}

template <class T>
void add_band(const AttentionBand& band, const T* x, T* w) {
  for_stretches(band, w, x, [](T* to, const T* from, int64_t n, int64_t step) {
    if (step == 0) {
      const T one = *from;
      for (int64_t j = 0; j < n; ++j) to[j] += one;
    } else if (step == 1) {
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) to[j] += from[j];
    } else if (step == -1) {
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) to[j] += from[-j];
    } else {
      for (int64_t j = 0; j < n; ++j) to[j] += from[j * step];
    }
  });
}

template <class T>
void sum_band(const AttentionBand& band, const T* w, T* x) {
  for_stretches(band, w, x, [](const T* from, T* to, int64_t n, int64_t step) {
    if (step == 0) {
      T sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t j = 0; j < n; ++j) sum += from[j];
      *to += sum;
    } else if (step == 1) {
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) to[j] += from[j];
    } else if (step == -1) {
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) to[-j] += from[j];
    } else {
      for (int64_t j = 0; j < n; ++j) to[j * step] += from[j];
    }
  });
}

template <class T>
AttentionLoops<T> loops() {
  return {forward<T>,       backward<T>, finish<T>,   finite<T>,       add_seen<T>,
          add_diagonals<T>, add_band<T>, sum_band<T>, clear_hidden<T>, dot_rows<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<AttentionLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
