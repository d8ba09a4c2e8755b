// Products of few rows with a matrix. What a tile holds in registers lets it load each element of the matrix once for
// several rows.
#include <utility>  // integer_sequence: no code

#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/few_rows.hpp>
#include <cotangent/tensor/kernels/lanes.hpp>

namespace cotangent::kernels {
namespace {

// Vectors of a tile: half of 32 registers, or of 16.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kHeld = 16, kMostDots = 32;
#else
constexpr int kHeld = 8, kMostDots = 8;
#endif
constexpr int kBeside = 8;  // columns or rows of the matrix that are read side by side, at most
template <int M>
constexpr int kBesideRows = M == 1 || kHeld / M > kBeside ? kBeside
                            : M == 3                      ? kHeld / 4
                                                          : kHeld / M;
constexpr int64_t kSumBytes = 16 << 10;  // of the result, which the first cache keeps while rows are added

// ---- by columns ----

/// Of each sum that has `Part` lanes in a or b, one half.
template <class T, int Part, bool upper, int... I>
Vec<T> halves(Vec<T> a, Vec<T> b, std::integer_sequence<int, I...>) {
  constexpr int half = Part / 2;
  return __builtin_shufflevector(a, b, (I / half * Part + I % half + (upper ? half : 0))...);
}
/// The sums of the lanes of each of `Count` vectors: lane after lane, from v[0] on. Halves are added until one is left.
template <class T, int Count, int Part = kLanes<T>>
[[gnu::always_inline]] inline void sum_lanes(Vec<T>* v) {
  if constexpr (Part > 1) {
    constexpr int L = kLanes<T>, vectors = (Count * Part + L - 1) / L;
    constexpr std::make_integer_sequence<int, L> lanes;
    COTANGENT_UNROLL for (int i = 0; i < vectors; i += 2) {
      const Vec<T> a = v[i], b = v[i + 1 < vectors ? i + 1 : i];
      v[i / 2] = halves<T, Part, false>(a, b, lanes) + halves<T, Part, true>(a, b, lanes);
    }
    sum_lanes<T, Count, Part / 2>(v);
  }
}

/// Lanes of which the last `count` are taken, in a mask that begins `count` places on.
template <class T>
struct LastLanes {
  typename Simd<T>::Lane lanes[2 * kLanes<T>];
  constexpr LastLanes() : lanes{} {
    for (int i = kLanes<T>; i < 2 * kLanes<T>; ++i) lanes[i] = -1;
  }
  typename Simd<T>::Mask of(int64_t count) const {
    typename Simd<T>::Mask mask;
    __builtin_memcpy(&mask, lanes + count, sizeof mask);
    return mask;
  }
};
template <class T>
constexpr LastLanes<T> kLast;

/// M rows of x by N columns of w, of which the first `done` are left alone: they were computed before.
template <class T, int M, int N>
[[gnu::noinline]] void dots_tile(const FewRows<T>& p, int64_t row, int64_t column, int64_t done) {
  constexpr int L = kLanes<T>, vectors = (M * N + L - 1) / L;
  const T *x = p.x + row * p.x_row, *w = p.w + column * p.w_step;
  const int64_t k = p.k, x_row = p.x_row, w_step = p.w_step;
  using Mask = typename Simd<T>::Mask;
  Vec<T> sums[M * N];
  COTANGENT_UNROLL for (int i = 0; i < M * N; ++i) sums[i] = Vec<T>{};
  const auto add = [&](auto take) __attribute__((always_inline)) {
    Vec<T> of[M];
    COTANGENT_UNROLL for (int i = 0; i < M; ++i) of[i] = take(x + i * x_row);
    COTANGENT_UNROLL for (int j = 0; j < N; ++j) {
      const Vec<T> v = take(w + j * w_step);
      COTANGENT_UNROLL for (int i = 0; i < M; ++i) sums[i * N + j] += of[i] * v;
    }
  };
  int64_t l = 0;
  for (; l + L <= k; l += L) {
    if constexpr (N <= kBeside / 2) {  // few columns bring the next ones along
      COTANGENT_UNROLL for (int j = 0; j < N; ++j) __builtin_prefetch(w + (N + j) * w_step + l);
    }
    add([l](const T* v) { return load(v + l); });
  }
  if (l < k) {  // the rest lies in the last lanes of the vector that ends with the row
    const Mask rest = kLast<T>.of(k - l);
    add([k, rest](const T* v) { return (Vec<T>)((Mask)load(v + k - L) & rest); });
  }

  sum_lanes<T, M * N>(sums);
  T all[vectors * L];
  const T alpha = static_cast<T>(p.alpha), beta = static_cast<T>(p.beta);
  COTANGENT_UNROLL for (int i = 0; i < vectors; ++i) store(all + i * L, alpha * sums[i]);
  T* c = p.c + row * p.c_row + column * p.c_column;
  if (done == 0 && beta == T(0) && p.c_column == 1) {
    COTANGENT_UNROLL for (int i = 0; i < M; ++i) __builtin_memcpy(c + i * p.c_row, all + i * N, N * sizeof(T));
    return;
  }
#pragma GCC unroll 1
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 1
    for (int64_t j = done; j < N; ++j) {
      T& to = c[i * p.c_row + j * p.c_column];
      to = beta == T(0) ? all[i * N + j] : all[i * N + j] + beta * to;
    }
}

template <class T, int M>
void dots_rows(const FewRows<T>& p, int64_t row, int64_t column, int64_t end) {
  constexpr int N = kBesideRows<M>;
  if (end < N) {
    if constexpr (N > 4)
      if (column + 4 <= end) dots_tile<T, M, 4>(p, row, column, 0), column += 4;
    for (; column < end; ++column) dots_tile<T, M, 1>(p, row, column, 0);
    return;
  }
  for (; column < end; column += N) {
    const int64_t first = column < end - N ? column : end - N;  // the last ones end with the matrix
    dots_tile<T, M, N>(p, row, first, column - first);
  }
}

/// Fewer terms than a vector has lanes.
template <class T>
void short_dots(const FewRows<T>& p) {
  const T alpha = static_cast<T>(p.alpha), beta = static_cast<T>(p.beta);
  for (int64_t i = 0; i < p.m; ++i)
    for (int64_t j = 0; j < p.n; ++j) {
      T sum = 0;
      for (int64_t l = 0; l < p.k; ++l) sum += p.x[i * p.x_row + l] * p.w[j * p.w_step + l];
      T& to = p.c[i * p.c_row + j * p.c_column];
      to = beta == T(0) ? alpha * sum : alpha * sum + beta * to;
    }
}

template <class T>
void dots(const FewRows<T>& p) {
  if (p.k < kLanes<T>) return short_dots(p);
  for (int64_t j = 0; j < p.n; j += kBeside) {
    const int64_t end = j + kBeside < p.n ? j + kBeside : p.n;
    int64_t i = 0;
    for (; p.m - i >= 4; i += 4) dots_rows<T, 4>(p, i, j, end);
    if (p.m - i == 3) dots_rows<T, 3>(p, i, j, end);
    if (p.m - i == 2) dots_rows<T, 2>(p, i, j, end);
    if (p.m - i == 1) dots_rows<T, 1>(p, i, j, end);
  }
}

// ---- by rows ----

/// The columns from `j` on, as far as vectors go, or one by one.
template <class T, bool wide, int M, int R>
int64_t add_columns(int64_t n, const T* factors, const T* w, int64_t w_row, T* c, int64_t c_row, int64_t j) {
  using Lanes = LanesOf<T, wide>;
  using V = typename Lanes::V;
  V factor[M * R];
  COTANGENT_UNROLL for (int i = 0; i < M * R; ++i) factor[i] = V{} + factors[i];
  for (; j + Lanes::count <= n; j += Lanes::count) {
    V row[R];
    COTANGENT_UNROLL for (int r = 0; r < R; ++r) row[r] = Lanes::take(w + r * w_row + j);
    COTANGENT_UNROLL for (int i = 0; i < M; ++i) {
      V sum = Lanes::take(c + i * c_row + j);
      COTANGENT_UNROLL for (int r = 0; r < R; ++r) sum += factor[i * R + r] * row[r];
      Lanes::put(sum, c + i * c_row + j);
    }
  }
  return j;
}

/// c += x w for M rows of x and R rows of w.
template <class T, int M, int R>
[[gnu::noinline]] void add_rows(const FewRows<T>& p, int64_t row, int64_t column, int64_t n, int64_t k) {
  T factors[M * R];
  const T alpha = static_cast<T>(p.alpha);
  for (int i = 0; i < M; ++i)
    for (int r = 0; r < R; ++r) factors[i * R + r] = alpha * p.x[(row + i) * p.x_row + (k + r) * p.x_column];
  const T* w = p.w + k * p.w_step + column;
  T* c = p.c + row * p.c_row + column;
  const int64_t j = add_columns<T, true, M, R>(n, factors, w, p.w_step, c, p.c_row, 0);
  if (j < n) add_columns<T, false, M, R>(n, factors, w, p.w_step, c, p.c_row, j);
}

/// Rows of w from k on, of which there are `count`.
template <class T, int M>
void add_some(const FewRows<T>& p, int64_t row, int64_t column, int64_t n, int64_t k, int64_t count) {
  constexpr int R = kBesideRows<M>;
  const int64_t end = k + count;
  for (; k + R <= end; k += R) add_rows<T, M, R>(p, row, column, n, k);
  if constexpr (R > 4)
    if (k + 4 <= end) add_rows<T, M, 4>(p, row, column, n, k), k += 4;
  for (; k < end; ++k) add_rows<T, M, 1>(p, row, column, n, k);
}

template <class T>
void add(const FewRows<T>& p) {
  const int64_t most = kSumBytes / int64_t{sizeof(T)} / p.m & -64, width = most > 64 ? most : 64;
  for (int64_t j = 0; j < p.n; j += width)
    for (int64_t k = 0; k < p.k; k += kBeside) {
      const int64_t n = width < p.n - j ? width : p.n - j, count = kBeside < p.k - k ? kBeside : p.k - k;
      int64_t i = 0;
      for (; p.m - i >= 4; i += 4) add_some<T, 4>(p, i, j, n, k, count);
      if (p.m - i == 3) add_some<T, 3>(p, i, j, n, k, count);
      if (p.m - i == 2) add_some<T, 2>(p, i, j, n, k, count);
      if (p.m - i == 1) add_some<T, 1>(p, i, j, n, k, count);
    }
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<FewRowsLoops>& t) {
  t = {{kMostDots, dots<float>, add<float>}, {kMostDots, dots<double>, add<double>}};
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
