// The row-wise halves of tiled attention, between the matrix products.
#include <cotangent/tensor/kernels/attention.hpp>
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/math.hpp>

namespace cotangent::kernels {
namespace {

// scores = scale * scores + mask, with -inf beyond the row's last visible key.
template <class T>
void apply_mask(T* s, const AttentionTile<T>& t, int64_t row, int64_t visible) {
  const T scale = static_cast<T>(t.scale);
#pragma omp simd
  for (int64_t j = 0; j < visible; ++j) s[j] *= scale;
  if (t.added) {
    const T* m = t.added + row * t.mask_row;
    if (t.mask_column) {
#pragma omp simd
      for (int64_t j = 0; j < visible; ++j) s[j] += m[j];
    } else {
      for (int64_t j = 0; j < visible; ++j) s[j] += m[0];
    }
  }
  if (t.allowed) {
    const bool* m = t.allowed + row * t.mask_row;
    for (int64_t j = 0; j < visible; ++j)
      if (!m[j * t.mask_column]) s[j] = -static_cast<T>(__builtin_inf());
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
  const T infinity = static_cast<T>(__builtin_inf());
  for (int64_t i = 0; i < t.rows; ++i) {
    T* s = scores + i * t.row_stride;
    const int64_t visible = visible_keys(t, i);
    apply_mask(s, t, i, visible);
    T top = m[i];
#pragma omp simd reduction(max : top)
    for (int64_t j = 0; j < visible; ++j) top = s[j] > top ? s[j] : top;
    if (top == -infinity) {  // nothing to see so far
      for (int64_t j = 0; j < t.columns; ++j) s[j] = 0;
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
      const T shrink = m[i] == -infinity ? T(0) : m_exp(m[i] - top);
      l[i] *= shrink;
      T* row = acc + i * width;
#pragma omp simd
      for (int64_t j = 0; j < width; ++j) row[j] *= shrink;
      m[i] = top;
    }
    l[i] += total;
  }
}

// scores become the probabilities p = exp(score - log_sum_exp), and products (dO V^T) become ds = p (dp - delta) scale.
template <class T>
void backward(T* scores, T* products, const T* log_sum_exp, const T* delta, const AttentionTile<T>& t) {
  for (int64_t i = 0; i < t.rows; ++i) {
    T *s = scores + i * t.row_stride, *d = products + i * t.row_stride;
    const T top = log_sum_exp[i], shift = delta[i];
    const T scale = static_cast<T>(t.scale);
    const int64_t visible = visible_keys(t, i);
    apply_mask(s, t, i, visible);
#pragma omp simd
    for (int64_t j = 0; j < visible; ++j) {
      s[j] = m_quick_exp(s[j] - top);
      d[j] = s[j] * (d[j] - shift) * scale;
    }
    for (int64_t j = visible; j < t.columns; ++j) s[j] = d[j] = 0;
  }
}

template <class T>
void finish(const T* acc, const T* top, const T* total, int64_t rows, int64_t width, T* y, int64_t y_row, T* lse) {
  for (int64_t i = 0; i < rows; ++i, acc += width, y += y_row) {
    const bool masked = total[i] == T(0);
    lse[i] = masked ? static_cast<T>(__builtin_inf()) : top[i] + m_log(total[i]);
    const T scale = masked ? T(0) : T(1) / total[i];
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
AttentionLoops<T> loops() {
  return {forward<T>, backward<T>, finish<T>, dot_rows<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<AttentionLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
