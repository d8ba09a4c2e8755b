// The row-wise halves of tiled attention, between the matrix products.
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/kernels/math.hpp>

namespace cotangent::kernels {
namespace {

// scores = scale * scores + mask, with -inf beyond the row's last visible key.
template <class T>
void apply_mask(T* s, const AttentionTile& t, int64_t row, int64_t visible) {
  const T scale = static_cast<T>(t.scale);
#pragma omp simd
  for (int64_t j = 0; j < visible; ++j) s[j] *= scale;
  if (t.added) {
    const T* m = static_cast<const T*>(t.added) + row * t.mask_row;
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

int64_t visible_keys(const AttentionTile& t, int64_t row) {
  const int64_t n = t.first_hidden + row;  // columns of this tile that row `row` may see
  return !t.causal || n > t.columns ? t.columns : (n < 0 ? 0 : n);
}

// One tile of the online softmax: scores become exp(score - max), and what was accumulated so far is rescaled to the
// new maximum.
template <class T>
void forward(void* scores, void* maximum, void* sum, void* accumulated, int64_t width, const AttentionTile& t) {
  T *m = static_cast<T*>(maximum), *l = static_cast<T*>(sum), *acc = static_cast<T*>(accumulated);
  const T infinity = static_cast<T>(__builtin_inf());
  for (int64_t i = 0; i < t.rows; ++i) {
    T* s = static_cast<T*>(scores) + i * t.row_stride;
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
void backward(void* scores, void* products, const void* log_sum_exp, const void* delta, const AttentionTile& t) {
  for (int64_t i = 0; i < t.rows; ++i) {
    T *s = static_cast<T*>(scores) + i * t.row_stride, *d = static_cast<T*>(products) + i * t.row_stride;
    const T top = static_cast<const T*>(log_sum_exp)[i], shift = static_cast<const T*>(delta)[i];
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
void finish(const void* accumulated, const void* maximum, const void* sum, int64_t rows, int64_t width, void* p_y,
            int64_t y_row, void* log_sum_exp) {
  const T *acc = static_cast<const T*>(accumulated), *top = static_cast<const T*>(maximum),
          *total = static_cast<const T*>(sum);
  T *y = static_cast<T*>(p_y), *lse = static_cast<T*>(log_sum_exp);
  for (int64_t i = 0; i < rows; ++i, acc += width, y += y_row) {
    const bool masked = total[i] == T(0);
    lse[i] = masked ? static_cast<T>(__builtin_inf()) : top[i] + m_log(total[i]);
    const T scale = masked ? T(0) : T(1) / total[i];
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) y[j] = acc[j] * scale;
  }
}

template <class T>
void dot_rows(const void* p_a, int64_t a_row, const void* p_b, int64_t b_row, int64_t rows, int64_t width, void* y) {
  const T *a = static_cast<const T*>(p_a), *b = static_cast<const T*>(p_b);
  for (int64_t i = 0; i < rows; ++i, a += a_row, b += b_row) {
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < width; ++j) sum += a[j] * b[j];
    static_cast<T*>(y)[i] = sum;
  }
}

}  // namespace

namespace COTANGENT_ISA {
void fill_attention(Table& t) {
  t.attention.forward[0] = forward<float>;
  t.attention.forward[1] = forward<double>;
  t.attention.backward[0] = backward<float>;
  t.attention.backward[1] = backward<double>;
  t.attention.finish[0] = finish<float>;
  t.attention.finish[1] = finish<double>;
  t.attention.dot_rows[0] = dot_rows<float>;
  t.attention.dot_rows[1] = dot_rows<double>;
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
