#pragma once
// float16 and bfloat16 by their bits, to float32 and back: library code that is inline must not be called from kernels.
#include <cstdint>
#include <cstring>

#include <cotangent/tensor/kernels/vector.hpp>

#ifdef __F16C__
#include <immintrin.h>
#endif

namespace cotangent::kernels {
namespace {

struct BFloat16Bits {
  uint16_t bits;
};
struct Float16Bits {
  uint16_t bits;
};

inline float as_float(uint32_t u) {
  float f;
  std::memcpy(&f, &u, 4);
  return f;
}
inline uint32_t as_bits(float f) {
  uint32_t u;
  std::memcpy(&u, &f, 4);
  return u;
}

inline float widened(BFloat16Bits x) { return as_float(static_cast<uint32_t>(x.bits) << 16); }
inline float widened(Float16Bits x) {
  // Shift exponent and fraction into place, then multiply by 2^112: right for subnormals too.
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000u) << 16;
  const uint32_t rest = static_cast<uint32_t>(x.bits & 0x7fffu) << 13;
  const uint32_t scaled = as_bits(as_float(rest) * 0x1p112f);
  return as_float(sign | (rest >= 0x0f800000u ? rest | 0x7f800000u : scaled));
}

/// To the nearest, ties to even.
template <class Half>
Half narrowed(float x);
template <>
inline BFloat16Bits narrowed(float x) {
  const uint32_t u = as_bits(x);
  const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16, nan = (u >> 16) | 0x40u;
  return {static_cast<uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? nan : rounded)};
}
template <>
inline Float16Bits narrowed(float x) {
  const uint32_t u = as_bits(x);
  const uint32_t sign = (u >> 16) & 0x8000u, m = u & 0x7fffffffu;
  const uint32_t normal = (m - 0x38000000u + 0xfffu + ((m >> 13) & 1u)) >> 13;
  // adding 0.5 rounds a value below 2^-14 to a multiple of 2^-24, in the last bits of the sum
  const uint32_t subnormal = as_bits(as_float(m) + 0.5f) - 0x3f000000u;
  const uint32_t special = m > 0x7f800000u ? 0x7e00u : 0x7c00u;
  return {static_cast<uint16_t>(sign | (m >= 0x477ff000u ? special : m < 0x38800000u ? subnormal : normal))};
}

/// y = x, of n elements. For bfloat16 the processor's own instruction will not do: it takes subnormals as 0.
template <class Half>
void widen(const Half* x, float* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = widened(x[i]);
}
template <class Half>
void narrow(const float* x, Half* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = narrowed<Half>(x[i]);
}

// As the loop above, whose choice the compiler would make among halves of vectors.
template <>
inline void narrow(const float* x, BFloat16Bits* y, int64_t n) {
  constexpr int lanes = kVectorBytes / 4;
  typedef uint32_t Words __attribute__((vector_size(kVectorBytes)));
  typedef uint16_t Halves __attribute__((vector_size(kVectorBytes / 2)));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    Words u;
    std::memcpy(&u, x + i, sizeof u);
    const Words rounded = u + 0x7fffu + ((u >> 16) & 1u);
    const Words either = (u & 0x7fffffffu) > 0x7f800000u ? u | 0x400000u : rounded;
    const Halves bits = __builtin_convertvector(either >> 16, Halves);
    std::memcpy(y + i, &bits, sizeof bits);
  }
  for (; i < n; ++i) y[i] = narrowed<BFloat16Bits>(x[i]);
}

#ifdef __F16C__
template <>
inline void widen(const Float16Bits* x, float* y, int64_t n) {
  const int64_t whole = n / 8 * 8;
  for (int64_t i = 0; i < whole; i += 8)
    _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i))));
  for (int64_t i = whole; i < n; ++i) y[i] = widened(x[i]);
}
template <>
inline void narrow(const float* x, Float16Bits* y, int64_t n) {
  constexpr int nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  const int64_t whole = n / 8 * 8;
  for (int64_t i = 0; i < whole; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), nearest));
  for (int64_t i = whole; i < n; ++i) y[i] = narrowed<Float16Bits>(x[i]);
}
#endif

}  // namespace
}  // namespace cotangent::kernels
