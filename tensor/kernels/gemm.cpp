// Products of matrices: the packing of operands, and the product of a strip of rows with a panel of columns, which
// stays in registers while it runs over k. Vector types of the compiler serve here instead of plain loops, since a loop
// over an array of accumulators does not keep them in registers.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/gemm.hpp>
#include <cotangent/tensor/kernels/transpose.hpp>
#include <cotangent/tensor/kernels/vector.hpp>

namespace cotangent::kernels {
namespace {

template <class T>
struct Vectors;
template <>
struct Vectors<float> {
  typedef float Full __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
};
template <>
struct Vectors<double> {
  typedef double Full __attribute__((vector_size(kVectorBytes), aligned(8), may_alias));
};
template <class T>
constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

/// M rows by N vectors of columns.
template <class T, int M, int N>
void tile(const PanelProduct<T>& p, const T* a, T* c) {
  using Vector = typename Vectors<T>::Full;
  constexpr int lanes = kLanes<T>;
  Vector sums[M][N];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)  // unrolled, else they are set to 0 in memory, too
    for (int j = 0; j < N; ++j) sums[i][j] = Vector{};
  const T* b = p.b;
  const int64_t a_row = p.a_row, a_column = p.a_column, b_row = p.b_row;
  for (int64_t k = 0; k < p.k; ++k) {
    Vector row[N];
    for (int j = 0; j < N; ++j) row[j] = *reinterpret_cast<const Vector*>(b + j * lanes);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      const T factor = a[i * a_row];
      for (int j = 0; j < N; ++j) sums[i][j] += factor * row[j];
    }
    a += a_column;
    b += b_row;
  }
  const T alpha = static_cast<T>(p.alpha), beta = static_cast<T>(p.beta);
  if (p.n == N * lanes) {
    Vector bias[N] = {};
    if (p.bias)
      for (int j = 0; j < N; ++j) bias[j] = *reinterpret_cast<const Vector*>(p.bias + j * lanes);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i)
      for (int j = 0; j < N; ++j) sums[i][j] = alpha * sums[i][j] + bias[j];
    if (beta != T(0)) {
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i)
        for (int j = 0; j < N; ++j) sums[i][j] += beta * *reinterpret_cast<Vector*>(c + i * p.c_row + j * lanes);
    }
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i)
      for (int j = 0; j < N; ++j) *reinterpret_cast<Vector*>(c + i * p.c_row + j * lanes) = sums[i][j];
    return;
  }
  T part[M][N * lanes];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < N; ++j) *reinterpret_cast<Vector*>(part[i] + j * lanes) = alpha * sums[i][j];
  for (int i = 0; i < M; ++i)
    for (int64_t j = 0; j < p.n; ++j) {
      T& to = c[i * p.c_row + j];
      T sum = part[i][j] + (p.bias ? p.bias[j] : T(0));
      if (beta != T(0)) sum += beta * to;
      to = sum;
    }
}

template <class T, int Strip, int N>
void strips(const PanelProduct<T>& p) {
  T* c = p.c;
  for (int64_t first = 0; first < p.m; first += Strip) {
    const T* a = p.a + first / Strip * p.a_strip;
    const int64_t rows = p.m - first < Strip ? p.m - first : Strip;
    for (int64_t i = 0; i < rows;) {
      const T* from = a + i * p.a_row;
      T* to = c + (first + i) * p.c_row;
      const int64_t rest = rows - i;
      if (rest == Strip)
        tile<T, Strip, N>(p, from, to), i += Strip;
      else if (rest >= 4)
        tile<T, 4, N>(p, from, to), i += 4;
      else if (rest >= 2)
        tile<T, 2, N>(p, from, to), i += 2;
      else
        tile<T, 1, N>(p, from, to), i += 1;
    }
  }
}

template <class T, int Strip, int N>
void multiply(const PanelProduct<T>& p) {
  if constexpr (N > 1)
    if (p.n <= (N - 1) * kLanes<T>) return multiply<T, Strip, N - 1>(p);
  strips<T, Strip, N>(p);
}

template <class T, int Strip, int N>
constexpr GemmTile<T> kTile{Strip, N, multiply<T, Strip, N>};

/// Rows of a fixed length.
template <class T, int Width>
void copy_rows(int64_t k, const T* x, int64_t k_step, T* y) {
  for (int64_t i = 0; i < k; ++i) __builtin_memcpy(y + i * Width, x + i * k_step, Width * sizeof(T));
}

/// The same of several parts: four at once, so that a row is read as it lies.
template <class T, int Width>
void copy_parts(int64_t k, const T* x, int64_t k_step, T* y, int64_t parts, int64_t part) {
  for (; parts >= 4; parts -= 4, x += 4 * Width, y += 4 * part)
    for (int64_t i = 0; i < k; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j)
        __builtin_memcpy(y + j * part + i * Width, x + i * k_step + j * Width, Width * sizeof(T));
  for (; parts > 0; --parts, x += Width, y += part) copy_rows<T, Width>(k, x, k_step, y);
}

template <class T>
void pack_part(int64_t width, int64_t k, int64_t n, const T* x, int64_t k_step, int64_t n_step, T* y) {
  if (n_step == 1 && n == width) {
    if (width == 4 * kLanes<T>) return copy_rows<T, 4 * kLanes<T>>(k, x, k_step, y);
    if (width == 3 * kLanes<T>) return copy_rows<T, 3 * kLanes<T>>(k, x, k_step, y);
    if (width == 2 * kLanes<T>) return copy_rows<T, 2 * kLanes<T>>(k, x, k_step, y);
  }
  if (k_step == 1) transpose(x, n, k, n_step, y, width);
  for (int64_t i = 0; i < k; ++i) {
    int64_t j = k_step == 1 ? n : 0;
    if (n_step == 1)
      for (; j + 4 <= n; j += 4) __builtin_memcpy(y + i * width + j, x + i * k_step + j, 4 * sizeof(T));
    for (; j < n; ++j) y[i * width + j] = x[i * k_step + j * n_step];
    for (; j < width; ++j) y[i * width + j] = T(0);
  }
}

template <class T>
[[gnu::noinline]] void pack_parts(int64_t width, int64_t k, int64_t n, const T* x, int64_t k_step, int64_t n_step, T* y,
                                  int64_t part) {
  int64_t parts = 0;  // strips that are copied together
  if (n_step == 1 && width == 4)
    copy_parts<T, 4>(k, x, k_step, y, parts = n / 4, part);
  else if (n_step == 1 && width == 6)
    copy_parts<T, 6>(k, x, k_step, y, parts = n / 6, part);
  else if (n_step == 1 && width == 8)
    copy_parts<T, 8>(k, x, k_step, y, parts = n / 8, part);
  y += parts * part;
  for (int64_t j = parts * width; j < n; j += width, y += part)
    pack_part(width, k, n - j < width ? n - j : width, x + j * n_step, k_step, n_step, y);
}
/// A part that is not filled is that of a small product, which would feel the registers that the others need saved.
template <class T>
void pack(int64_t width, int64_t k, int64_t n, const T* x, int64_t k_step, int64_t n_step, T* y, int64_t part) {
  n < width ? pack_part(width, k, n, x, k_step, n_step, y) : pack_parts(width, k, n, x, k_step, n_step, y, part);
}

template <class T>
void axpy(int64_t n, double alpha, const T* x, T* y) {
  const T a = static_cast<T>(alpha);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] += a * x[i];
}

template <class T>
GemmLoops<T> loops() {
  return {
    .lanes = kLanes<T>,
// Of 32 registers, or of 16.
#if defined(__AVX512F__) || defined(__aarch64__)
    .tiles = {kTile<T, 8, 2>, kTile<T, 4, 4>, kTile<T, 8, 3>, kTile<T, 6, 4>},
#elif defined(__AVX__)
    .tiles = {kTile<T, 6, 2>, kTile<T, 4, 3>},
#else
    .tiles = {kTile<T, 4, 2>, kTile<T, 4, 3>},
#endif
    .pack = pack<T>, .axpy = axpy<T>
  };
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<GemmLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
