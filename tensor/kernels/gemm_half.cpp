// Products of float16 and of bfloat16: their packing, and, for processors that multiply pairs of bfloat16 and add both
// products to a float32 (avx512_bf16), the product of a strip of rows with a panel of columns.
#include <cotangent/tensor/kernels/gemm_half.hpp>
#include <cotangent/tensor/kernels/half.hpp>
#include <cotangent/tensor/kernels/transpose.hpp>
#include <cotangent/tensor/kernels/vector.hpp>

namespace cotangent::kernels {
namespace {

constexpr int64_t kPart = 64;  // packed elements along k that are transposed at once

/// Packed as float32.
template <class Half>
struct Widened {
  using Element = Half;
  using Packed = float;
  static constexpr int64_t depth = 1;
  static void along(const Half* x, int64_t k, float* y) { widen(x, y, k); }
  static void across(const Half* x, const Half*, int64_t n, float* y) { widen(x, y, n); }
  static float one(const Half* x, const Half*) { return widened(*x); }
};

template <class Way>
void pack(int64_t k, int64_t n, const void* from, int64_t k_step, int64_t n_step, void* to) {
  using Packed = typename Way::Packed;
  constexpr int64_t per = Way::depth;
  const auto* x = static_cast<const typename Way::Element*>(from);
  Packed* y = static_cast<Packed*>(to);
  const int64_t depth = (k + per - 1) / per;
  if (n_step != 1 && k_step == 1) {
    alignas(64) Packed rows[kHalfPanel * kPart];
    for (int64_t i = 0; i < depth; i += kPart) {
      const int64_t count = depth - i < kPart ? depth - i : kPart, rest = k - i * per;
      for (int64_t j = 0; j < n; ++j)
        Way::along(x + j * n_step + i * per, rest < per * kPart ? rest : per * kPart, rows + j * kPart);
      transpose(rows, n, count, kPart, y + i * kHalfPanel, kHalfPanel);
    }
    for (int64_t i = 0; n < kHalfPanel && i < depth; ++i)
      for (int64_t j = n; j < kHalfPanel; ++j) y[i * kHalfPanel + j] = 0;
    return;
  }
  for (int64_t i = 0; i < depth; ++i, x += per * k_step, y += kHalfPanel) {
    const auto* next = per * i + 1 < k ? x + k_step : nullptr;
    if (n_step == 1 && n == kHalfPanel) {
      Way::across(x, next, kHalfPanel, y);
      continue;
    }
    if (n_step == 1)
      Way::across(x, next, n, y);
    else
      for (int64_t j = 0; j < n; ++j) y[j] = Way::one(x + j * n_step, next ? next + j * n_step : nullptr);
    for (int64_t j = n; j < kHalfPanel; ++j) y[j] = 0;
  }
}

template <class Half>
void store(int64_t m, int64_t n, float* sums, int64_t sums_row, float alpha, const float* bias, float beta, void* to,
           int64_t c_row) {
  Half* c = static_cast<Half*>(to);
  for (int64_t i = 0; i < m; ++i, sums += sums_row, c += c_row) {
    if (alpha != 1.0f) {
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) sums[j] *= alpha;
    }
    if (bias) {
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) sums[j] += bias[j];
    }
    if (beta != 0.0f) {
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) sums[j] += beta * widened(c[j]);
    }
    narrow(sums, c, n);
  }
}

#ifdef __AVX512F__
#define COTANGENT_PAIRS [[gnu::target("avx512bf16")]]
constexpr int kLanes = 16;

/// Packed as pairs of neighbours along k.
struct Paired {
  using Element = BFloat16Bits;
  using Packed = uint32_t;
  static constexpr int64_t depth = 2;
  static void along(const BFloat16Bits* x, int64_t k, uint32_t* y) {
    if (k == 2 * kPart) {
      __builtin_memcpy(y, x, 4 * kPart);
    } else {
      __builtin_memcpy(y, x, static_cast<uint64_t>(k / 2) * 4);
      if (k % 2) y[k / 2] = x[k - 1].bits;
    }
  }
  static void across(const BFloat16Bits* x, const BFloat16Bits* next, int64_t n, uint32_t* y) {
    if (next) {
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) y[j] = x[j].bits | static_cast<uint32_t>(next[j].bits) << 16;
    } else {
      for (int64_t j = 0; j < n; ++j) y[j] = x[j].bits;
    }
  }
  static uint32_t one(const BFloat16Bits* x, const BFloat16Bits* next) {
    return x->bits | (next ? static_cast<uint32_t>(next->bits) << 16 : 0);
  }
};

/// M rows by N vectors of columns.
template <int M, int N>
COTANGENT_PAIRS void tile(const PairProduct& p, const uint16_t* a, float* c) {
  __m512 sums[M][N];
  COTANGENT_UNROLL for (int i = 0; i < M; ++i) {
    COTANGENT_UNROLL for (int j = 0; j < N; ++j) sums[i][j] = _mm512_setzero_ps();
  }
  const uint32_t* b = p.b;
  const int64_t a_row = p.a_row, a_pair = p.a_pair;
  for (int64_t k = 0; k < p.k; ++k, a += a_pair, b += kHalfPanel) {
    __m512bh row[N];
    COTANGENT_UNROLL for (int j = 0; j < N; ++j) row[j] = (__m512bh)_mm512_load_si512(b + j * kLanes);
    COTANGENT_UNROLL for (int i = 0; i < M; ++i) {
      int32_t pair;
      __builtin_memcpy(&pair, a + i * a_row, 4);
      const __m512bh factor = (__m512bh)_mm512_set1_epi32(pair);
      COTANGENT_UNROLL for (int j = 0; j < N; ++j) sums[i][j] = _mm512_dpbf16_ps(sums[i][j], factor, row[j]);
    }
  }
  COTANGENT_UNROLL for (int i = 0; i < M; ++i) {
    COTANGENT_UNROLL for (int j = 0; j < N; ++j) {
      float* to = c + i * p.c_row + j * kLanes;
      _mm512_storeu_ps(to, p.add ? _mm512_add_ps(_mm512_loadu_ps(to), sums[i][j]) : sums[i][j]);
    }
  }
}

template <int N>
void strips(const PairProduct& p) {
  for (int64_t first = 0; first < p.m; first += kHalfStrip) {
    const uint16_t* a = p.a + first / kHalfStrip * p.a_strip;
    float* c = p.c + first * p.c_row;
    int64_t rows = p.m - first;
    if (rows >= kHalfStrip) {
      tile<kHalfStrip, N>(p, a, c);
      continue;
    }
    const auto take = [&](int64_t count, auto multiply) {
      if (!(rows & count)) return;
      multiply(p, a, c);
      a += count * p.a_row, c += count * p.c_row;
    };
    take(4, tile<4, N>);
    take(2, tile<2, N>);
    take(1, tile<1, N>);
  }
}

void multiply(const PairProduct& p) { p.n > kLanes ? strips<2>(p) : strips<1>(p); }

/// Each row is summed in the same order, whichever rows are summed with it.
template <int M>
COTANGENT_PAIRS void dots(int64_t k, const uint16_t* a, int64_t a_row, const uint16_t* x, float* y) {
  __m512 sums[M][2];
  COTANGENT_UNROLL for (int i = 0; i < M; ++i) sums[i][0] = sums[i][1] = _mm512_setzero_ps();
  for (int64_t l = 0; l < k; l += 64) {
    COTANGENT_UNROLL for (int half = 0; half < 2; ++half) {
      const int64_t rest = k - l - 32 * half;
      const __mmask32 mask = rest >= 32 ? ~__mmask32{0} : rest > 0 ? ~__mmask32{0} >> (32 - rest) : 0;
      const __m512bh factor = (__m512bh)_mm512_maskz_loadu_epi16(mask, x + l + 32 * half);
      COTANGENT_UNROLL for (int i = 0; i < M; ++i) {
        const __m512bh row = (__m512bh)_mm512_maskz_loadu_epi16(mask, a + i * a_row + l + 32 * half);
        sums[i][half] = _mm512_dpbf16_ps(sums[i][half], row, factor);
      }
    }
  }
  COTANGENT_UNROLL for (int i = 0; i < M; ++i) {
    float each[kLanes];
    _mm512_storeu_ps(each, _mm512_add_ps(sums[i][0], sums[i][1]));
    for (int half = kLanes / 2; half > 0; half /= 2)
      for (int j = 0; j < half; ++j) each[j] += each[j + half];
    y[i] = each[0];
  }
}

void dot_rows(int64_t m, int64_t k, const void* from, int64_t a_row, const void* with, float* y) {
  const uint16_t *a = static_cast<const uint16_t*>(from), *x = static_cast<const uint16_t*>(with);
  int64_t i = 0;
  for (; i + 4 <= m; i += 4) dots<4>(k, a + i * a_row, a_row, x, y + i);
  for (; i < m; ++i) dots<1>(k, a + i * a_row, a_row, x, y + i);
}
#endif

}  // namespace

namespace COTANGENT_ISA {
void fill(HalfTable& t) {
  t.bfloat16 = {1, pack<Widened<BFloat16Bits>>, nullptr, store<BFloat16Bits>, nullptr};
  t.float16 = {1, pack<Widened<Float16Bits>>, nullptr, store<Float16Bits>, nullptr};
#ifdef __AVX512F__
  if (__builtin_cpu_supports("avx512bf16")) t.bfloat16 = {2, pack<Paired>, multiply, store<BFloat16Bits>, dot_rows};
#endif
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
