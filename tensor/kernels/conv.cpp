// Convolution over panels: the source pixels that a block of results reads, packed so that it becomes a matrix product
// whose tile of results stays in registers. Compilers' vector extensions, not intrinsics: a `Vec` is as wide as the
// instruction set allows, and the loops over it are unrolled so that every accumulator gets a register.
#include <cotangent/tensor/kernels/kernels.hpp>

namespace cotangent::kernels {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64, kRows = 8, kVectors = 3, kGradRows = 12, kGradVectors = 2;  // of 32 registers
#elif defined(__AVX__)
constexpr int kVectorBytes = 32, kRows = 4, kVectors = 3, kGradRows = 6, kGradVectors = 2;  // of 16 registers
#else
constexpr int kVectorBytes = 16, kRows = 4, kVectors = 3, kGradRows = 6, kGradVectors = 2;
#endif

#define COTANGENT_UNROLL _Pragma("GCC unroll 16")

template <class T>
struct Simd;
template <>
struct Simd<float> {
  typedef float Vec __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
  typedef int32_t Mask __attribute__((vector_size(kVectorBytes)));
  using Lane = int32_t;
};
template <>
struct Simd<double> {
  typedef double Vec __attribute__((vector_size(kVectorBytes), aligned(8), may_alias));
  typedef int64_t Mask __attribute__((vector_size(kVectorBytes)));
  using Lane = int64_t;
};
template <class T>
using Vec = typename Simd<T>::Vec;
template <class T>
constexpr int kLanes = kVectorBytes / int(sizeof(T));

template <class T>
Vec<T> load(const T* p) {
  return *reinterpret_cast<const Vec<T>*>(p);
}
template <class T>
void store(T* p, Vec<T> v) {
  *reinterpret_cast<Vec<T>*>(p) = v;
}

template <class T>
void pack(const void* px, const int64_t* offsets, int64_t depth, const PixelRun* runs, int64_t run_count, bool exact,
          void* ppanel, int64_t width) {
  constexpr int L = kLanes<T>;
  const T* x = static_cast<const T*>(px);
  T* panel = static_cast<T*>(ppanel);
  for (int64_t k = 0; k < depth; ++k, panel += width)
    for (int64_t j = 0; j < run_count; ++j) {
      const T* from = x + offsets[k] + runs[j].from;
      T* to = panel + runs[j].to;
      const int64_t n = runs[j].count;
      int64_t i = 0;
      for (; i + L <= n; i += L) store(to + i, load(from + i));
      if (i == n) continue;
      if (!exact) {
        store(to + i, load(from + i));
      } else if (n >= L) {
        store(to + n - L, load(from + n - L));
      } else {
        for (; i < n; ++i) to[i] = from[i];
      }
    }
}

template <class T, int V>
void product_tile(int64_t depth, const T* a, const T* b, const T* start, T* c, int64_t row_stride) {
  constexpr int L = kLanes<T>;
  Vec<T> sum[kRows][V];
  COTANGENT_UNROLL for (int r = 0; r < kRows; ++r) {
    COTANGENT_UNROLL for (int v = 0; v < V; ++v) sum[r][v] =
        start ? Vec<T>{} + start[r] : load(c + r * row_stride + v * L);
  }
  for (int64_t k = 0; k < depth; ++k, a += kRows, b += kVectors * L) {
    Vec<T> column[V];
    COTANGENT_UNROLL for (int v = 0; v < V; ++v) column[v] = load(b + v * L);
    COTANGENT_UNROLL for (int r = 0; r < kRows; ++r) {
      COTANGENT_UNROLL for (int v = 0; v < V; ++v) sum[r][v] += a[r] * column[v];
    }
  }
  COTANGENT_UNROLL for (int r = 0; r < kRows; ++r) {
    COTANGENT_UNROLL for (int v = 0; v < V; ++v) store(c + r * row_stride + v * L, sum[r][v]);
  }
}

template <class T>
void product(int64_t depth, int64_t columns, const void* pa, const void* pb, const void* start, void* pc,
             int64_t row_stride) {
  const T *a = static_cast<const T*>(pa), *b = static_cast<const T*>(pb), *s = static_cast<const T*>(start);
  T* c = static_cast<T*>(pc);
  if (columns > 2 * kLanes<T>)
    product_tile<T, 3>(depth, a, b, s, c, row_stride);
  else if (columns > kLanes<T>)
    product_tile<T, 2>(depth, a, b, s, c, row_stride);
  else
    product_tile<T, 1>(depth, a, b, s, c, row_stride);
}

template <class T, int V>
void outer_tile(int64_t pixels, const T* a, int64_t a_stride, const T* b, int64_t b_stride, T* c, int64_t c_stride) {
  constexpr int L = kLanes<T>;
  Vec<T> sum[kGradRows][V];
  COTANGENT_UNROLL for (int r = 0; r < kGradRows; ++r) {
    COTANGENT_UNROLL for (int v = 0; v < V; ++v) sum[r][v] = load(c + r * c_stride + v * L);
  }
  for (int64_t p = 0; p < pixels; ++p, ++a, b += b_stride) {
    Vec<T> column[V];
    COTANGENT_UNROLL for (int v = 0; v < V; ++v) column[v] = load(b + v * L);
    COTANGENT_UNROLL for (int r = 0; r < kGradRows; ++r) {
      COTANGENT_UNROLL for (int v = 0; v < V; ++v) sum[r][v] += a[r * a_stride] * column[v];
    }
  }
  COTANGENT_UNROLL for (int r = 0; r < kGradRows; ++r) {
    COTANGENT_UNROLL for (int v = 0; v < V; ++v) store(c + r * c_stride + v * L, sum[r][v]);
  }
}

template <class T>
void outer(int64_t pixels, int64_t columns, const void* pa, int64_t a_stride, const void* pb, int64_t b_stride,
           void* pc, int64_t c_stride) {
  const T *a = static_cast<const T*>(pa), *b = static_cast<const T*>(pb);
  T* c = static_cast<T*>(pc);
  if (columns > kLanes<T>)
    outer_tile<T, kGradVectors>(pixels, a, a_stride, b, b_stride, c, c_stride);
  else
    outer_tile<T, 1>(pixels, a, a_stride, b, b_stride, c, c_stride);
}

template <class T>
void transpose(const void* px, int64_t rows, int64_t columns, int64_t x_stride, void* py, int64_t y_stride) {
  const T* x = static_cast<const T*>(px);
  T* y = static_cast<T*>(py);
  for (int64_t i = 0; i < columns; ++i)
    for (int64_t r = 0; r < rows; ++r) y[i * y_stride + r] = x[r * x_stride + i];
}

template <class T, int V>
void filter_block(int64_t depth, const T* weights, const T* x, const int64_t* offsets, T start, T* y, int64_t n) {
  constexpr int L = kLanes<T>;
  Vec<T> sum[V];
  COTANGENT_UNROLL for (int v = 0; v < V; ++v) sum[v] = Vec<T>{} + start;
  for (int64_t k = 0; k < depth; ++k) {
    const T* from = x + offsets[k];
    COTANGENT_UNROLL for (int v = 0; v < V; ++v) sum[v] += weights[k] * load(from + v * L);
  }
  COTANGENT_UNROLL for (int v = 0; v < V; ++v) {
    if ((v + 1) * L <= n) {
      store(y + v * L, sum[v]);
    } else {
      for (int64_t i = v * L; i < n; ++i) y[i] = sum[v][i - v * L];
    }
  }
}

template <class T>
void filter(int64_t depth, const void* weights, const void* px, const int64_t* offsets, const void* start, void* py,
            int64_t n) {
  constexpr int L = kLanes<T>;
  const T *w = static_cast<const T*>(weights), *x = static_cast<const T*>(px);
  const T s = start ? *static_cast<const T*>(start) : T(0);
  T* y = static_cast<T*>(py);
  int64_t i = 0;
  for (; n - i > 2 * L; i += 4 * L) filter_block<T, 4>(depth, w, x + i, offsets, s, y + i, n - i);
  if (n - i > L)
    filter_block<T, 2>(depth, w, x + i, offsets, s, y + i, n - i);
  else if (n > i)
    filter_block<T, 1>(depth, w, x + i, offsets, s, y + i, n - i);
}

// K products of g with the source at K offsets, each summed over rows of n pixels.
template <class T, int K>
void correlate_block(const T* x, int64_t x_stride, const int64_t* offsets, const T* g, int64_t g_stride, int64_t rows,
                     int64_t n, T* sums) {
  constexpr int L = kLanes<T>;
  const int64_t tail = n % L;
  typename Simd<T>::Mask inside;
  for (int i = 0; i < L; ++i) inside[i] = i < tail ? -1 : 0;
  Vec<T> sum[K];
  COTANGENT_UNROLL for (int k = 0; k < K; ++k) sum[k] = Vec<T>{};
  for (int64_t r = 0; r < rows; ++r, x += x_stride, g += g_stride) {
    int64_t i = 0;
    for (; i + L <= n; i += L) {
      const Vec<T> gradient = load(g + i);
      COTANGENT_UNROLL for (int k = 0; k < K; ++k) sum[k] += gradient * load(x + offsets[k] + i);
    }
    if (tail) {
      Vec<T> gradient{};
      for (int64_t j = 0; j < tail; ++j) gradient[j] = g[i + j];
      COTANGENT_UNROLL for (int k = 0; k < K; ++k) {
        const Vec<T> source = load(x + offsets[k] + i);
        sum[k] += gradient * (inside ? source : Vec<T>{});
      }
    }
  }
  COTANGENT_UNROLL for (int k = 0; k < K; ++k) {
    T total = 0;
    for (int i = 0; i < L; ++i) total += sum[k][i];
    sums[k] += total;
  }
}

template <class T>
void correlate(int64_t depth, const void* px, int64_t x_stride, const int64_t* offsets, const void* pg,
               int64_t g_stride, int64_t rows, int64_t n, void* psums) {
  const T *x = static_cast<const T*>(px), *g = static_cast<const T*>(pg);
  T* sums = static_cast<T*>(psums);
  int64_t k = 0;
  for (; k + 9 <= depth; k += 9) correlate_block<T, 9>(x, x_stride, offsets + k, g, g_stride, rows, n, sums + k);
  for (; k + 3 <= depth; k += 3) correlate_block<T, 3>(x, x_stride, offsets + k, g, g_stride, rows, n, sums + k);
  for (; k < depth; ++k) correlate_block<T, 1>(x, x_stride, offsets + k, g, g_stride, rows, n, sums + k);
}

template <class T>
ConvLoops loops() {
  return {kRows,        kVectors * kLanes<T>,
          kGradRows,    kGradVectors * kLanes<T>,
          kLanes<T>,    pack<T>,
          product<T>,   outer<T>,
          transpose<T>, filter<T>,
          correlate<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill_conv(Table& t) {
  t.conv[0] = loops<float>();
  t.conv[1] = loops<double>();
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
