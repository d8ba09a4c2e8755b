// Cross entropy of class indices, fused with the softmax of the logits: forward keeps two numbers a row, backward
// writes the gradient of the logits in one pass.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/loss.hpp>
#include <cotangent/tensor/kernels/math.hpp>
#include <cotangent/tensor/kernels/sums.hpp>
#include <cotangent/tensor/kernels/turned.hpp>

namespace cotangent::kernels {
namespace {

/// The arguments of a row: its target class (or -1 where ignored) and the weights of its terms
///     loss = hit * -log p[target] + smooth * sum over c of w[c] * -log p[c]
template <class T>
struct Terms {
  Terms(const CrossEntropy<T>& a, int64_t i)
      : target(a.target[i] == a.ignore_index ? -1 : a.target[i]), hit(0), smooth(0) {
    if (target < 0) return;
    hit = static_cast<T>(1 - a.smoothing) * (a.weight ? a.weight[target] : T(1));
    smooth = static_cast<T>(a.smoothing / static_cast<double>(a.classes));
  }
  int64_t target;
  T hit, smooth;
};

/// weight * x, where a weight of 0 also takes away what is infinite.
template <class T>
T weighed(T weight, T x) {
  return (weight == T(0)) & (m_fabs(x) == static_cast<T>(__builtin_inf())) ? T(0) : weight * x;
}

// ---- classes lie one after another ----

template <class T>
void forward_row(const CrossEntropy<T>& a, int64_t i) {
  const int64_t n = a.classes;
  const T *x = a.logits + i * n, *w = a.weight;
  const Terms<T> row(a, i);
  T* loss = a.loss + i;
  if (row.target < 0) {
    *loss = 0;
    return;
  }
  T m = x[0];
#pragma omp simd reduction(max : m)
  for (int64_t c = 0; c < n; ++c) m = x[c] > m ? x[c] : m;
  const T log_sum = m_log(sum_of<T>(n, [=](int64_t c) { return m_quick_exp(x[c] - m); }));
  a.shift[i] = m;
  a.log_sum[i] = log_sum;
  *loss = weighed(row.hit, log_sum - (x[row.target] - m));
  if (row.smooth == T(0)) return;
  const T total = w ? sum_of<T>(n, [=](int64_t c) { return weighed(w[c], log_sum - (x[c] - m)); })
                    : sum_of<T>(n, [=](int64_t c) { return log_sum - (x[c] - m); });
  *loss += row.smooth * total;
}

template <class T>
void backward_row(const CrossEntropy<T>& a, int64_t i) {
  const int64_t n = a.classes;
  const T *x = a.logits + i * n, *w = a.weight;
  T* dx = a.d_logits + i * n;
  const Terms<T> row(a, i);
  if (row.target < 0) {
    for (int64_t c = 0; c < n; ++c) dx[c] = 0;
    return;
  }
  const T g = a.grad[i * a.grad_step] * static_cast<T>(a.grad_scale);
  const T m = a.shift[i], log_sum = a.log_sum[i];
  const T scale = g * (row.hit + row.smooth * static_cast<T>(a.weight_sum)), smooth = g * row.smooth;
  if (w && smooth != T(0)) {
#pragma omp simd
    for (int64_t c = 0; c < n; ++c) dx[c] = scale * m_quick_exp(x[c] - m - log_sum) - smooth * w[c];
  } else {
#pragma omp simd
    for (int64_t c = 0; c < n; ++c) dx[c] = scale * m_quick_exp(x[c] - m - log_sum) - smooth;
  }
  dx[row.target] -= g * row.hit;
}

// ---- classes lie `inner` apart: columns [first, first + count) of the matrix of sample o ----

template <class T>
void forward_columns(const CrossEntropy<T>& a, int64_t o, int64_t first, int64_t count) {
  const int64_t n = a.classes, at = o * a.inner + first;
  const T *x = a.logits + o * n * a.inner + first, *w = a.weight;
  T *m = a.shift + at, *log_sum = a.log_sum + at, *loss = a.loss + at;
  double all[kColumns], all_total[kColumns];
  for (int64_t j = 0; j < count; ++j) m[j] = x[j], all[j] = all_total[j] = 0;
  for (int64_t c = 1; c < n; ++c) {
    const T* row = x + c * a.inner;
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) m[j] = row[j] > m[j] ? row[j] : m[j];
  }
  for (int64_t from = 0; from < n; from += kSumRows) {
    const int64_t to = n - from < kSumRows ? n : from + kSumRows;
    T sum[kColumns], total[kColumns];
    for (int64_t j = 0; j < count; ++j) sum[j] = total[j] = 0;
    for (int64_t c = from; c < to; ++c) {
      const T* row = x + c * a.inner;
      const T weight = w ? w[c] : T(1);
#pragma omp simd
      for (int64_t j = 0; j < count; ++j) {
        sum[j] += m_quick_exp(row[j] - m[j]);
        total[j] += weighed(weight, row[j] - m[j]);
      }
    }
    for (int64_t j = 0; j < count; ++j)
      all[j] += static_cast<double>(sum[j]), all_total[j] += static_cast<double>(total[j]);
  }
  for (int64_t j = 0; j < count; ++j) {
    const Terms<T> row(a, at + j);
    log_sum[j] = m_log(static_cast<T>(all[j]));
    loss[j] = row.target < 0 ? T(0) : weighed(row.hit, log_sum[j] - (x[row.target * a.inner + j] - m[j]));
    if (row.smooth != T(0))
      loss[j] += row.smooth * static_cast<T>(a.weight_sum * static_cast<double>(log_sum[j]) - all_total[j]);
  }
}

template <class T>
void backward_columns(const CrossEntropy<T>& a, int64_t o, int64_t first, int64_t count) {
  const int64_t n = a.classes, at = o * a.inner + first;
  const T *x = a.logits + o * n * a.inner + first, *w = a.weight;
  T* dx = a.d_logits + o * n * a.inner + first;
  const T *m = a.shift + at, *log_sum = a.log_sum + at;
  T scale[kColumns], smooth[kColumns], hit[kColumns];
  for (int64_t j = 0; j < count; ++j) {
    const Terms<T> row(a, at + j);
    const T g = row.target < 0 ? T(0) : a.grad[(at + j) * a.grad_step] * static_cast<T>(a.grad_scale);
    scale[j] = g * (row.hit + row.smooth * static_cast<T>(a.weight_sum)), smooth[j] = g * row.smooth,
    hit[j] = g * row.hit;
  }
  for (int64_t c = 0; c < n; ++c) {
    const T* row = x + c * a.inner;
    T* to = dx + c * a.inner;
    const T weight = w ? w[c] : T(1);
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) to[j] = scale[j] * m_quick_exp(row[j] - m[j] - log_sum[j]) - smooth[j] * weight;
  }
  for (int64_t j = 0; j < count; ++j) {
    const int64_t target = a.target[at + j];
    if (target != a.ignore_index)
      dx[target * a.inner + j] -= hit[j];
    else
      for (int64_t c = 0; c < n; ++c) dx[c * a.inner + j] = 0;
  }
}

// ---- either ----

/// Rows `first` to before `last`, which are short, as columns.
template <class T, void (*columns)(const CrossEntropy<T>&, int64_t, int64_t, int64_t)>
void run_turned(const CrossEntropy<T>& a, int64_t first, int64_t last) {
  Turned<T> logits;  // and their gradient, which takes their place
  for (; first < last; first += kTurned) {
    const int64_t count = last - first < kTurned ? last - first : kTurned, n = a.classes;
    logits.load(a.logits + first * n, count, n);
    CrossEntropy<T> b = a;
    b.inner = kTurned;
    b.logits = b.d_logits = logits.data;
    b.target += first, b.shift += first, b.log_sum += first;
    if (b.loss) b.loss += first;
    if (b.grad) b.grad += first * b.grad_step;
    columns(b, 0, 0, count);
    if (a.d_logits) logits.store(a.d_logits + first * n, count, n);
  }
}

template <class T, void (*row)(const CrossEntropy<T>&, int64_t),
          void (*columns)(const CrossEntropy<T>&, int64_t, int64_t, int64_t)>
void run(const CrossEntropy<T>& a, int64_t first, int64_t last) {
  if (a.inner == 1 && a.classes < kShortRow) return run_turned<T, columns>(a, first, last);
  const int64_t blocks = (a.inner + kColumns - 1) / kColumns;
  for (int64_t i = first; i < last; ++i) {
    if (a.inner == 1) {
      row(a, i);
    } else {
      const int64_t column = i % blocks * kColumns;
      columns(a, i / blocks, column, a.inner - column < kColumns ? a.inner - column : kColumns);
    }
  }
}

// ---- squared error ----

template <class T>
double squared_distance(const T* x, const T* y, int64_t n) {
  double sum;
  add_up_row<1, T, true>(n, &sum, [=](int64_t i, T* s) { s[0] += (x[i] - y[i]) * (x[i] - y[i]); });
  return sum;
}

template <class T>
LossLoops<T> loops() {
  return {run<T, forward_row<T>, forward_columns<T>>, run<T, backward_row<T>, backward_columns<T>>,
          squared_distance<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<LossLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
