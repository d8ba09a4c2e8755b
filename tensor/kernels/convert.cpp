// Conversions between dtypes, selection by a mask, elements that lie apart, and y += alpha x.
#include <cotangent/tensor/kernels/kernels.hpp>

#include <cstring>
#include <type_traits>  // integral_constant: no code

#ifdef __SSE2__
#include <immintrin.h>
#endif

namespace cotangent::kernels {
namespace {

// Storage formats by their bits: library code that is inline must not be called from here.
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
template <class T>
inline T load(T x) {
  return x;
}
inline float load(BFloat16Bits x) { return as_float(static_cast<uint32_t>(x.bits) << 16); }
inline float load(Float16Bits x) {
  // Shift exponent and fraction into place, then multiply by 2^112: right for subnormals too.
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000u) << 16;
  const uint32_t rest = static_cast<uint32_t>(x.bits & 0x7fffu) << 13;
  const uint32_t scaled = as_bits(as_float(rest) * 0x1p112f);
  return as_float(sign | (rest >= 0x0f800000u ? rest | 0x7f800000u : scaled));
}
template <class To>
struct Store {
  template <class From>
  static To convert(From x) {
    return static_cast<To>(x);
  }
};
template <>
struct Store<bool> {
  template <class From>
  static bool convert(From x) {
    return x != From(0);
  }
};
template <>
struct Store<BFloat16Bits> {
  template <class From>
  static BFloat16Bits convert(From x) {
    const uint32_t u = as_bits(static_cast<float>(x));
    const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16, nan = (u >> 16) | 0x40u;
    return {static_cast<uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? nan : rounded)};
  }
};
template <>
struct Store<Float16Bits> {
  template <class From>
  static Float16Bits convert(From x) {
    const uint32_t u = as_bits(static_cast<float>(x));
    const uint32_t sign = (u >> 16) & 0x8000u, m = u & 0x7fffffffu;
    const uint32_t normal = (m - 0x38000000u + 0xfffu + ((m >> 13) & 1u)) >> 13;
    // adding 0.5 rounds a value below 2^-14 to a multiple of 2^-24, in the last bits of the sum
    const uint32_t subnormal = as_bits(as_float(m) + 0.5f) - 0x3f000000u;
    const uint32_t special = m > 0x7f800000u ? 0x7e00u : 0x7c00u;
    return {static_cast<uint16_t>(sign | (m >= 0x477ff000u ? special : m < 0x38800000u ? subnormal : normal))};
  }
};

template <class From, class To>
void loop(const void* x, void* y, int64_t n) {
  const From* in = static_cast<const From*>(x);
  To* out = static_cast<To*>(y);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = Store<To>::convert(load(in[i]));
}

template <class From>
void row(ConvertLoop* to) {
  to[0] = loop<From, float>;
  to[1] = loop<From, double>;
  to[2] = loop<From, BFloat16Bits>;
  to[3] = loop<From, Float16Bits>;
  to[4] = loop<From, int64_t>;
  to[5] = loop<From, int32_t>;
  to[6] = loop<From, uint8_t>;
  to[7] = loop<From, bool>;
}

template <class T>
void where(const bool* condition, const void* pa, const void* pb, void* py, int64_t n, int step_a, int step_b) {
  const T *a = static_cast<const T*>(pa), *b = static_cast<const T*>(pb);
  T* y = static_cast<T*>(py);
  const auto choose = [=](auto if_true, auto if_false) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      const T p = if_true(i), q = if_false(i), mask = static_cast<T>(T(0) - static_cast<T>(condition[i]));
      y[i] = static_cast<T>((p & mask) | (q & ~mask));  // a choice by ?: would become a branch
    }
  };
  const auto each_a = [=](int64_t i) { return a[i]; };
  const auto each_b = [=](int64_t i) { return b[i]; };
  const auto one_a = [v = *a](int64_t) { return v; };
  const auto one_b = [v = *b](int64_t) { return v; };
  if (step_a)
    step_b ? choose(each_a, each_b) : choose(each_a, one_b);
  else
    step_b ? choose(one_a, each_b) : choose(one_a, one_b);
}

// Compilers know shuffles for strides that are constants.
template <class F>
void with_stride(int64_t stride, F f) {
  if (stride == 1)
    f(std::integral_constant<int64_t, 1>{});
  else if (stride == 2)
    f(std::integral_constant<int64_t, 2>{});
  else
    f(stride);
}
template <class T>
void gather(const void* px, void* py, int64_t n, int64_t stride) {
  const T* x = static_cast<const T*>(px);
  T* y = static_cast<T*>(py);
  if (stride == 0) {
    const T one = *x;
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = one;
    return;
  }
  with_stride(stride, [=](auto step) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = x[i * step];
  });
}
template <class T>
void scatter(const void* px, void* py, int64_t n, int64_t stride) {
  const T* x = static_cast<const T*>(px);
  T* y = static_cast<T*>(py);
  for (int64_t i = 0; i < n; ++i) y[i * stride] = x[i];
}

void stream(const void* px, void* py, int64_t bytes) {
  const char* x = static_cast<const char*>(px);
  char* y = static_cast<char*>(py);
#ifdef __SSE2__
  const int64_t head = static_cast<int64_t>(-reinterpret_cast<uintptr_t>(y) % 64);
  if (head < bytes) {
    std::memcpy(y, x, static_cast<size_t>(head));
    x += head, y += head, bytes -= head;
    for (; bytes >= 64; x += 64, y += 64, bytes -= 64) {  // a line of the cache
#ifdef __AVX__
      for (int i = 0; i < 64; i += 32)
        _mm256_stream_si256(reinterpret_cast<__m256i*>(y + i),
                            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i)));
#else
      for (int i = 0; i < 64; i += 16)
        _mm_stream_si128(reinterpret_cast<__m128i*>(y + i), _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i)));
#endif
    }
  }
#endif
  std::memcpy(y, x, static_cast<size_t>(bytes));
}
void end_stream() {
#ifdef __SSE2__
  _mm_sfence();
#endif
}

template <class T>
void axpy(int64_t n, double alpha, const void* px, void* py) {
  const T* x = static_cast<const T*>(px);
  T* y = static_cast<T*>(py);
  const T a = static_cast<T>(alpha);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] += a * x[i];
}

}  // namespace

namespace COTANGENT_ISA {
void fill_convert(Table& t) {
  row<float>(t.convert[0]);
  row<double>(t.convert[1]);
  row<BFloat16Bits>(t.convert[2]);
  row<Float16Bits>(t.convert[3]);
  row<int64_t>(t.convert[4]);
  row<int32_t>(t.convert[5]);
  row<uint8_t>(t.convert[6]);
  row<bool>(t.convert[7]);
  t.where[0] = where<uint8_t>;
  t.where[1] = where<uint16_t>;
  t.where[2] = where<uint32_t>;
  t.where[3] = where<uint64_t>;
  t.gather[0] = gather<uint8_t>, t.scatter[0] = scatter<uint8_t>;
  t.gather[1] = gather<uint16_t>, t.scatter[1] = scatter<uint16_t>;
  t.gather[2] = gather<uint32_t>, t.scatter[2] = scatter<uint32_t>;
  t.gather[3] = gather<uint64_t>, t.scatter[3] = scatter<uint64_t>;
  t.stream = stream;
  t.end_stream = end_stream;
  t.axpy[0] = axpy<float>;
  t.axpy[1] = axpy<double>;
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
