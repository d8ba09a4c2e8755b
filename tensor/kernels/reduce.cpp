// Reductions of contiguous rows to one element each, and of matrices to one row. Each keeps many partial results at
// once, and joins those of long halves in pairs, which is fast and loses less to rounding than a running sum.
#include <cotangent/tensor/kernels/math.hpp>
#include <cotangent/tensor/kernels/reduce.hpp>
#include <cotangent/tensor/kernels/sums.hpp>
#include <cotangent/tensor/kernels/wrap.hpp>

namespace cotangent::kernels {
namespace {

// A fold takes each element by `load` and joins two partial results by `join`. NaN wins in the extremes.
struct Sum {
  template <class T>
  static T load(T x) {
    return x;
  }
  template <class T>
  static T join(T a, T b) {
    return static_cast<T>(wrap_t<T>(a) + wrap_t<T>(b));
  }
};
struct SumSquares : Sum {
  template <class T>
  static T load(T x) {
    return static_cast<T>(wrap_t<T>(x) * wrap_t<T>(x));
  }
};
struct Product : Sum {
  template <class T>
  static T join(T a, T b) {
    return static_cast<T>(wrap_t<T>(a) * wrap_t<T>(b));
  }
};
struct Max : Sum {
  template <class T>
  static T join(T a, T b) {
    const T larger = b > a ? b : a;
    return b != b ? b : larger;
  }
};
struct Min : Sum {
  template <class T>
  static T join(T a, T b) {
    const T smaller = b < a ? b : a;
    return b != b ? b : smaller;
  }
};

/// Joins acc[0..from) down to acc[0..to).
template <class F, class T>
void halve(T* acc, int from, int to) {
  for (int width = from / 2; width >= to; width /= 2)
    for (int j = 0; j < width; ++j) acc[j] = F::join(acc[j], acc[j + width]);
}

constexpr int64_t kFoldBlock = 4096;  // elements of which the partial results are joined: the order of sums
template <class T>
constexpr int kVector = 64 / sizeof(T);
template <class T>
constexpr int kFolded = 4 * kVector<T>;  // partial results at once

/// acc[j] = x[j], x[j + kFolded], x[j + 2 kFolded] ... joined, for n elements, a multiple of kFolded.
template <class F, class T>
[[gnu::always_inline]] inline void fold_block(const T* x, int64_t n, T* acc) {
  for (int j = 0; j < kFolded<T>; ++j) acc[j] = F::load(x[j]);
  for (int64_t i = kFolded<T>; i < n; i += kFolded<T>)
    for (int j = 0; j < kFolded<T>; ++j) acc[j] = F::join(acc[j], F::load(x[i + j]));
}

/// The same, with the results of the halves of long rows joined. These stay vectors: to make them one number, block
/// after block, would keep the loads of the next one waiting.
template <class F, class T>
[[gnu::noinline]] void fold_long(const T* x, int64_t n, T* result) {
  T part[kFolded<T>];
  if (n <= kFoldBlock) {
    fold_block<F>(x, n, part);
    for (int j = 0; j < kFolded<T>; ++j) result[j] = part[j];
    return;
  }
  T rest[kFolded<T>];  // not `part`, which nothing else can reach and so stays in registers
  const int64_t half = (n / 2 + kFoldBlock - 1) / kFoldBlock * kFoldBlock;
  fold_long<F>(x, half, result);
  fold_long<F>(x + half, n - half, rest);
  for (int j = 0; j < kFolded<T>; ++j) result[j] = F::join(result[j], rest[j]);
}

template <class F, class T>
T fold(const T* x, int64_t n) {
  T acc[kFolded<T>];
  int64_t i = 0;
  if (n >= kFolded<T>) {
    i = n / kFolded<T> * kFolded<T>;
    if (n <= kFoldBlock) {
      fold_block<F>(x, i, acc);
    } else {
      T all[kFolded<T>];
      fold_long<F>(x, i, all);
      for (int j = 0; j < kFolded<T>; ++j) acc[j] = all[j];
    }
    halve<F>(acc, kFolded<T>, kVector<T>);
  } else if (n >= kVector<T>) {
    for (int j = 0; j < kVector<T>; ++j) acc[j] = F::load(x[j]);
    i = kVector<T>;
  } else {
    acc[0] = F::load(x[0]);
    for (i = 1; i < n; ++i) acc[0] = F::join(acc[0], F::load(x[i]));
    return acc[0];
  }
  for (; i + kVector<T> <= n; i += kVector<T>)
    for (int j = 0; j < kVector<T>; ++j) acc[j] = F::join(acc[j], F::load(x[i + j]));
  halve<F>(acc, kVector<T>, 1);
  T result = acc[0];
  for (; i < n; ++i) result = F::join(result, F::load(x[i]));
  return result;
}

template <class F, class T>
void rows(const void* px, void* py, int64_t count, int64_t n) {
  const T* x = static_cast<const T*>(px);
  T* y = static_cast<T*>(py);
  for (int64_t r = 0; r < count; ++r) y[r] = fold<F>(x + r * n, n);
}

template <class F, class T>
void column_block(const T* x, T* __restrict y, int64_t n, int64_t stride, int64_t count) {
  for (int64_t j = 0; j < count; ++j) y[j] = F::load(x[j]);
  int64_t i = 1;
  for (; i + 4 <= n; i += 4) {
    const T *a = x + i * stride, *b = a + stride, *c = b + stride, *d = c + stride;
#pragma omp simd
    for (int64_t j = 0; j < count; ++j)
      y[j] = F::join(y[j], F::join(F::join(F::load(a[j]), F::load(b[j])), F::join(F::load(c[j]), F::load(d[j]))));
  }
  for (; i < n; ++i) {
    const T* a = x + i * stride;
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) y[j] = F::join(y[j], F::load(a[j]));
  }
}

template <class F, class T>
void columns(const void* px, void* py, int64_t n, int64_t stride, int64_t count) {
  const T* x = static_cast<const T*>(px);
  T* y = static_cast<T*>(py);
  if (n <= kSumRows || count > kColumns) return column_block<F>(x, y, n, stride, count);
  T rest[kColumns];
  const int64_t half = n / 2;
  columns<F, T>(x, y, half, stride, count);
  columns<F, T>(x + half * stride, rest, n - half, stride, count);
  for (int64_t j = 0; j < count; ++j) y[j] = F::join(y[j], rest[j]);
}

// ---- where an extreme stands first ----

template <class T>
bool same(T a, T b) {
  return (a == b) | ((a != a) & (b != b));
}

template <class T>
void find_rows(const void* px, const void* pv, int64_t* index, int64_t count, int64_t n) {
  constexpr int kBlock = 64;
  const T *x = static_cast<const T*>(px), *value = static_cast<const T*>(pv);
  for (int64_t r = 0; r < count; ++r, x += n) {
    const T v = value[r];
    int64_t i = 0;
    int first = kBlock;  // in the block
    for (; i + kBlock <= n; i += kBlock) {
#pragma omp simd reduction(min : first)
      for (int j = 0; j < kBlock; ++j) {
        const int here = same(x[i + j], v) ? j : kBlock;
        first = here < first ? here : first;
      }
      if (first < kBlock) break;
    }
    if (first == kBlock)
      for (first = 0; i + first < n && !same(x[i + first], v);) ++first;
    index[r] = i + first;
  }
}

template <class T>
void find_columns(const void* px, const void* pv, int64_t* index, int64_t n, int64_t stride, int64_t count) {
  const T *x = static_cast<const T*>(px), *value = static_cast<const T*>(pv);
  for (int64_t i = n - 1; i >= 0; --i) {  // backwards: the first one is written last
    const T* row = x + i * stride;
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) index[j] = same(row[j], value[j]) ? i : index[j];
  }
}

// ---- deviations from the mean, in two passes ----

template <class T>
void deviation_rows(const T* x, T* mean, T* squares, T* sum, int64_t count, int64_t n) {
  for (int64_t r = 0; r < count; ++r, x += n) {
    const T m = mean[r] = fold<Sum>(x, n) / static_cast<T>(n);
    double totals[2];
    add_up_row<2, T, true>(n, totals, [=](int64_t i, T* to) {
      const T d = x[i] - m;
      to[0] += d, to[kWide] += d * d;
    });
    sum[r] = static_cast<T>(totals[0]), squares[r] = static_cast<T>(totals[1]);
  }
}

template <class T>
void deviation_columns(const T* x, T* __restrict mean, T* __restrict squares, T* __restrict sum, int64_t n,
                       int64_t stride, int64_t count) {
  columns<Sum, T>(x, mean, n, stride, count);
  double s[kColumns], q[kColumns];
  for (int64_t j = 0; j < count; ++j) mean[j] /= static_cast<T>(n), s[j] = q[j] = 0;
  for (int64_t first = 0; first < n; first += kSumRows) {
    const int64_t last = n - first < kSumRows ? n : first + kSumRows;
    for (int64_t j = 0; j < count; ++j) sum[j] = squares[j] = 0;
    for (int64_t i = first; i < last; ++i) {
      const T* row = x + i * stride;
#pragma omp simd
      for (int64_t j = 0; j < count; ++j) {
        const T d = row[j] - mean[j];
        sum[j] += d, squares[j] += d * d;
      }
    }
    if (n <= kSumRows) return;
    for (int64_t j = 0; j < count; ++j) s[j] += static_cast<double>(sum[j]), q[j] += static_cast<double>(squares[j]);
  }
  for (int64_t j = 0; j < count; ++j) sum[j] = static_cast<T>(s[j]), squares[j] = static_cast<T>(q[j]);
}

template <class T>
bool refine(T* mean, T* squares, T* sum, int64_t count, int64_t n) {
  const double each = static_cast<double>(n), part = 1 / each;
  double most = 0;
#pragma omp simd reduction(max : most)
  for (int64_t i = 0; i < count; ++i) {
    const double share = static_cast<double>(sum[i]) * part, exact = static_cast<double>(mean[i]) + share;
    const T rounded = static_cast<T>(exact), left = squares[i] - static_cast<T>(share * share * each);
    const double rest = exact - static_cast<double>(rounded);
    mean[i] = rounded;
    sum[i] = static_cast<T>(rest);
    squares[i] = left < T(0) ? T(0) : left;
    const double matters = rest * rest * each - 1e-12 * static_cast<double>(squares[i]);
    most = matters > most ? matters : most;
  }
  return most > 0;
}

template <class F, class T>
void scan(const T* x, T* y, double* totals, int64_t n, int64_t stride, int64_t count) {
  for (int64_t i = 0; i < n; ++i, x += stride, y += stride)
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) {
      totals[j] = F::join(totals[j], static_cast<double>(x[j]));
      y[j] = static_cast<T>(totals[j]);
    }
}

template <class F, class T>
FoldLoops fold_loops() {
  return {rows<F, T>, columns<F, T>};
}

template <class T>
void fill_sums(ReduceTable& t, int dtype) {
  t.fold[int(Fold::sum)][dtype] = fold_loops<Sum, T>();
  t.fold[int(Fold::sum_squares)][dtype] = fold_loops<SumSquares, T>();
  t.fold[int(Fold::product)][dtype] = fold_loops<Product, T>();
}
template <class T>
void fill_extremes(ReduceTable& t, int dtype) {
  t.fold[int(Fold::max)][dtype] = fold_loops<Max, T>();
  t.fold[int(Fold::min)][dtype] = fold_loops<Min, T>();
  t.find[dtype] = {find_rows<T>, find_columns<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ReduceTable& t) {
  fill_sums<float>(t, 0), fill_sums<double>(t, 1), fill_sums<int64_t>(t, 4);
  fill_extremes<float>(t, 0), fill_extremes<double>(t, 1);
  fill_extremes<int64_t>(t, 4), fill_extremes<int32_t>(t, 5), fill_extremes<uint8_t>(t, 6);
  t.deviation = {{deviation_rows<float>, deviation_columns<float>, refine<float>},
                 {deviation_rows<double>, deviation_columns<double>, refine<double>}};
  t.scan = {{scan<Sum, float>, scan<Product, float>}, {scan<Sum, double>, scan<Product, double>}};
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
