#pragma once
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <cotangent/tensor/error.hpp>

namespace cotangent {

/// The element type of a tensor. Low-precision floats are storage formats: kernels compute on them in float32.
enum class Dtype : uint8_t { float32, float64, bfloat16, float16, int64, int32, uint8, boolean };

inline constexpr Dtype float32 = Dtype::float32;
inline constexpr Dtype float64 = Dtype::float64;
inline constexpr Dtype bfloat16 = Dtype::bfloat16;
inline constexpr Dtype float16 = Dtype::float16;
inline constexpr Dtype int64 = Dtype::int64;
inline constexpr Dtype int32 = Dtype::int32;
inline constexpr Dtype uint8 = Dtype::uint8;
inline constexpr Dtype boolean = Dtype::boolean;
inline constexpr int kDtypeCount = 8;

/// IEEE 754 binary16: 1 sign, 5 exponent and 10 fraction bits.
struct Half {
  uint16_t bits;
  Half() = default;
  Half(float value);  // rounds to nearest even
  operator float() const;
};

/// The upper half of a binary32: 1 sign, 8 exponent and 7 fraction bits.
struct BFloat16 {
  uint16_t bits;
  BFloat16() = default;
  BFloat16(float value);  // rounds to nearest even
  operator float() const;
};

/// Bytes an element takes.
constexpr int64_t item_size(Dtype dtype) {
  return 0x11482284 >> (4 * static_cast<int>(dtype)) & 0xf;  // a digit for each, the first one last
}
constexpr bool is_floating(Dtype dtype) { return dtype <= Dtype::float16; }
constexpr bool is_integral(Dtype dtype) { return dtype > Dtype::float16 && dtype != Dtype::boolean; }
/// float16 and bfloat16.
constexpr bool is_low_precision(Dtype dtype) { return dtype == bfloat16 || dtype == float16; }
/// What tensors of this dtype are computed in: float32 for low-precision floats, the dtype itself for others.
constexpr Dtype compute_dtype(Dtype dtype) { return is_low_precision(dtype) ? float32 : dtype; }

/// "float32", "bool", ...
const char* name(Dtype dtype);

/// The dtype of `a op b`: bool < uint8 < int32 < int64 < float16, bfloat16 < float32 < float64, where float16 with
/// bfloat16 gives float32. As in NumPy and PyTorch, for the dtypes that exist here.
Dtype promote(Dtype a, Dtype b);

/// The dtype of new floating-point tensors: float32 unless changed. Only floating dtypes are taken.
Dtype default_dtype();
void set_default_dtype(Dtype dtype);

template <class T>
struct dtype_of_t;
template <>
struct dtype_of_t<float> {
  static constexpr Dtype value = float32;
};
template <>
struct dtype_of_t<double> {
  static constexpr Dtype value = float64;
};
template <>
struct dtype_of_t<BFloat16> {
  static constexpr Dtype value = bfloat16;
};
template <>
struct dtype_of_t<Half> {
  static constexpr Dtype value = float16;
};
template <>
struct dtype_of_t<int64_t> {
  static constexpr Dtype value = int64;
};
template <>
struct dtype_of_t<long long> {
  static constexpr Dtype value = int64;
};
template <>
struct dtype_of_t<int32_t> {
  static constexpr Dtype value = int32;
};
template <>
struct dtype_of_t<uint8_t> {
  static constexpr Dtype value = uint8;
};
template <>
struct dtype_of_t<bool> {
  static constexpr Dtype value = boolean;
};
/// The dtype whose elements are T.
template <class T>
inline constexpr Dtype dtype_of = dtype_of_t<std::remove_cv_t<T>>::value;

inline BFloat16::BFloat16(float value) {
  uint32_t u;
  std::memcpy(&u, &value, 4);
  const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
  bits = static_cast<uint16_t>(nan ? (u >> 16) | 0x40u : (u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}
inline BFloat16::operator float() const {
  const uint32_t u = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &u, 4);
  return value;
}

}  // namespace cotangent
