// Conversions between dtypes.
#include <cotangent/tensor/kernels/copy.hpp>

#include <cstring>

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

}  // namespace

namespace COTANGENT_ISA {
void fill(ConvertTable& t) {
  row<float>(t[0]);
  row<double>(t[1]);
  row<BFloat16Bits>(t[2]);
  row<Float16Bits>(t[3]);
  row<int64_t>(t[4]);
  row<int32_t>(t[5]);
  row<uint8_t>(t[6]);
  row<bool>(t[7]);
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
