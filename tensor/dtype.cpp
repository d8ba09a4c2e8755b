#include <cotangent/tensor/dtype.hpp>

#include <atomic>

#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace {
std::atomic<Dtype> g_default{float32};
}

Half::Half(float value) {
  uint32_t u;
  std::memcpy(&u, &value, 4);
  const uint32_t sign = (u >> 16) & 0x8000u;
  const uint32_t magnitude = u & 0x7fffffffu;
  uint32_t half;
  if (magnitude >= 0x7f800000u) {  // infinity, NaN
    half = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
  } else if (magnitude >= 0x477ff000u) {  // 65520 and more round to infinity
    half = 0x7c00u;
  } else if (magnitude >= 0x38800000u) {  // normal: drop 13 fraction bits
    half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  } else if (magnitude >= 0x33000000u) {  // subnormal: multiples of 2^-24
    const uint32_t exponent = magnitude >> 23;
    const uint32_t fraction = (magnitude & 0x7fffffu) | 0x800000u;
    const uint32_t shift = 126 - exponent;
    const uint32_t rest = fraction & ((1u << shift) - 1), tie = 1u << (shift - 1);
    half = fraction >> shift;
    if (rest > tie || (rest == tie && (half & 1u))) ++half;
  } else {
    half = 0;
  }
  bits = static_cast<uint16_t>(sign | half);
}

Half::operator float() const {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu, fraction = bits & 0x3ffu;
  if (exponent == 0) {
    const float value = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -value : value;
  }
  const uint32_t u = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13;
  float value;
  std::memcpy(&value, &u, 4);
  return value;
}

const char* name(Dtype dtype) {
  constexpr const char* names[] = {"float32", "float64", "bfloat16", "float16", "int64", "int32", "uint8", "bool"};
  return names[static_cast<int>(dtype)];
}

Dtype promote(Dtype a, Dtype b) {
  if (a == b) return a;
  // bool, uint8, int32, int64, float16, bfloat16, float32, float64
  constexpr int8_t order[] = {6, 7, 5, 4, 3, 2, 1, 0};
  if (order[int(a)] < order[int(b)]) std::swap(a, b);
  return a == bfloat16 && b == float16 ? float32 : a;
}

Dtype default_dtype() { return g_default.load(std::memory_order_relaxed); }

void set_default_dtype(Dtype dtype) {
  if (!is_floating(dtype))
    fail<DTypeError>("[set_default_dtype] {} is not a floating dtype; use float32 or float64", dtype);
  g_default = dtype;
}

}  // namespace cotangent
