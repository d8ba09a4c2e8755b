// Products of matrices: the packing of operands, and the product of a strip of rows with a panel of columns, which
// stays in registers while it runs over k. Vector types of the compiler serve here instead of plain loops, since a loop
// over an array of accumulators does not keep them in registers.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/gemm.hpp>
#include <cotangent/tensor/kernels/transpose.hpp>
#include <cotangent/tensor/kernels/vector.hpp>

namespace cotangent::kernels {
namespace {

// A tile of kStrip rows and two vectors of columns fills the registers: 12 + 2 of 16, or 8 + 2 of 16. Of 32 registers
// half are enough to wait for sums, and 8 rows divide the sizes that people choose.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kStrip = 8;
#elif defined(__AVX__)
constexpr int kStrip = 6;
#else
constexpr int kStrip = 4;
#endif

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
template <class T>
constexpr int kPanel = 2 * kLanes<T>;

/// M rows by N vectors of columns.
template <class T, int M, int N>
void tile(const PanelProduct<T>& p, const T* a, T* c) {
  using Vector = typename Vectors<T>::Full;
  constexpr int lanes = kLanes<T>;
  Vector sums[M][N];
  for (int i = 0; i < M; ++i)
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

template <class T, int N>
void strips(const PanelProduct<T>& p) {
  T* c = p.c;
  for (int64_t first = 0; first < p.m; first += kStrip) {
    const T* a = p.a + first / kStrip * p.a_strip;
    const int64_t rows = p.m - first < kStrip ? p.m - first : kStrip;
    for (int64_t i = 0; i < rows;) {
      const T* from = a + i * p.a_row;
      T* to = c + (first + i) * p.c_row;
      const int64_t rest = rows - i;
      if (rest == kStrip)
        tile<T, kStrip, N>(p, from, to), i += kStrip;
      else if (rest >= 4)
        tile<T, 4, N>(p, from, to), i += 4;
      else if (rest >= 2)
        tile<T, 2, N>(p, from, to), i += 2;
      else
        tile<T, 1, N>(p, from, to), i += 1;
    }
  }
}

template <class T>
void multiply(const PanelProduct<T>& p) {
  if (p.n > kLanes<T>)
    strips<T, 2>(p);
  else
    strips<T, 1>(p);
}

/// Rows of a fixed length.
template <class T, int Width>
void copy_rows(int64_t k, const T* x, int64_t k_step, T* y) {
  for (int64_t i = 0; i < k; ++i) __builtin_memcpy(y + i * Width, x + i * k_step, Width * sizeof(T));
}

template <class T>
void pack(int64_t width, int64_t k, int64_t n, const T* x, int64_t k_step, int64_t n_step, T* y) {
  if (n_step == 1 && n == width) {
    if (width == kPanel<T>) return copy_rows<T, kPanel<T>>(k, x, k_step, y);
    if (width == kStrip) return copy_rows<T, kStrip>(k, x, k_step, y);
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
void axpy(int64_t n, double alpha, const T* x, T* y) {
  const T a = static_cast<T>(alpha);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] += a * x[i];
}

template <class T>
GemmLoops<T> loops() {
  return {kStrip, kLanes<T>, pack<T>, multiply<T>, axpy<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<GemmLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
