#pragma once
// Scalar maths that vectorises. glibc's libmvec holds SIMD versions of these functions (4 ulp at most); declaring them
// with the simd attribute lets the compiler call them from a plain loop, without -ffast-math.
#include <features.h>
#include <cmath>
#include <cstdint>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
#define COTANGENT_SIMD_FUNCTION(name)                                                   \
  extern "C" __attribute__((simd("notinbranch"), const)) float name##f(float) noexcept; \
  extern "C" __attribute__((simd("notinbranch"), const)) double name(double) noexcept;
COTANGENT_SIMD_FUNCTION(exp)
COTANGENT_SIMD_FUNCTION(expm1)
COTANGENT_SIMD_FUNCTION(log)
COTANGENT_SIMD_FUNCTION(log1p)
COTANGENT_SIMD_FUNCTION(sin)
COTANGENT_SIMD_FUNCTION(cos)
COTANGENT_SIMD_FUNCTION(tanh)
COTANGENT_SIMD_FUNCTION(erf)
extern "C" __attribute__((simd("notinbranch"), const)) float powf(float, float) noexcept;
extern "C" __attribute__((simd("notinbranch"), const)) double pow(double, double) noexcept;
extern "C" __attribute__((simd("notinbranch"), const)) float atan2f(float, float) noexcept;
extern "C" __attribute__((simd("notinbranch"), const)) double atan2(double, double) noexcept;
#undef COTANGENT_SIMD_FUNCTION
#endif

namespace cotangent::kernels {
namespace {

#define COTANGENT_OVERLOAD(name)                                           \
  [[maybe_unused]] inline float m_##name(float x) { return ::name##f(x); } \
  [[maybe_unused]] inline double m_##name(double x) { return ::name(x); }
COTANGENT_OVERLOAD(exp)
COTANGENT_OVERLOAD(expm1)
COTANGENT_OVERLOAD(log)
COTANGENT_OVERLOAD(log1p)
COTANGENT_OVERLOAD(sin)
COTANGENT_OVERLOAD(cos)
COTANGENT_OVERLOAD(erf)
COTANGENT_OVERLOAD(sqrt)
COTANGENT_OVERLOAD(fabs)
COTANGENT_OVERLOAD(floor)
COTANGENT_OVERLOAD(ceil)
COTANGENT_OVERLOAD(rint)
COTANGENT_OVERLOAD(trunc)
#undef COTANGENT_OVERLOAD
[[maybe_unused]] inline float m_pow(float x, float y) { return ::powf(x, y); }
[[maybe_unused]] inline double m_pow(double x, double y) { return ::pow(x, y); }
[[maybe_unused]] inline float m_atan2(float y, float x) { return ::atan2f(y, x); }
[[maybe_unused]] inline double m_atan2(double y, double x) { return ::atan2(y, x); }
[[maybe_unused]] inline float m_copysign(float x, float y) { return __builtin_copysignf(x, y); }
[[maybe_unused]] inline double m_copysign(double x, double y) { return __builtin_copysign(x, y); }
[[maybe_unused]] inline float m_fma(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
[[maybe_unused]] inline double m_fma(double x, double y, double z) { return __builtin_fma(x, y, z); }
[[maybe_unused]] inline float m_long_fmod(float x, float y) { return ::fmodf(x, y); }
[[maybe_unused]] inline double m_long_fmod(double x, double y) { return ::fmod(x, y); }
/// The C function. That goes bit by bit; where the quotient is a whole number of T, the rest of x is one step away.
template <class T>
[[maybe_unused]] inline T m_fmod(T x, T y) {
  const T quotient = m_trunc(x / y);
  if (!(m_fabs(quotient) < (sizeof(T) == 4 ? T(0x1p24) : T(0x1p53)))) return m_long_fmod(x, y);  // NaN, too
  if (quotient == T(0)) return x;
  const T rest = m_fma(-quotient, y, x);
  // x / y may have rounded up to the quotient
  return rest != T(0) && (rest < T(0)) != (x < T(0)) ? rest + m_copysign(y, x) : m_copysign(rest, x);
}

constexpr double kSqrtHalf = 0.70710678118654752440;     // 1/sqrt(2)
constexpr double kInvSqrt2Pi = 0.39894228040143267794;   // 1/sqrt(2 pi)
constexpr double kSqrt2OverPi = 0.79788456080286535588;  // sqrt(2/pi)
constexpr double k2OverSqrtPi = 1.12837916709551257390;  // 2/sqrt(pi)
constexpr double kGeluCubic = 0.044715;
constexpr double kSeluScale = 1.0507009873554804934;  // the fixed point of mean 0 and variance 1
constexpr double kSeluAlpha = 1.6732632423543772848;

// Cheaper float32 versions of what softmax and the activations are made of; float64 takes the functions above. All
// polynomials were fitted for the least relative error. They are inlined always: a call would keep a loop from vectors.

/// x = n log(2) + r, with 2^n as `power`: 0 for n below -126, infinite above 127.
struct ExpArgument {
  float r, power;
};
[[maybe_unused, gnu::always_inline]] inline ExpArgument m_exp_argument(float x) {
  // the sum with 1.5 * 2^23 rounds to an integer, which stands in the low bits
  const float shifted = x * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;
  return {x - n * 0.693359375f + n * 2.12194440e-4f,
          __builtin_bit_cast(float, (__builtin_bit_cast(uint32_t, shifted) + 127u) << 23)};
}

/// e^x = power (1 + rest), for x in [-88, 89]. The power is 0 below -87.7 and infinite above 88.4.
struct ExpParts {
  float power, rest;
};
[[maybe_unused, gnu::always_inline]] inline ExpParts m_exp_parts(float x) {
  const auto [r, power] = m_exp_argument(x);
  float p = 0.0013814540f;
  p = p * r + 0.0083687451f;
  p = p * r + 0.0416683908f;
  p = p * r + 0.1666652040f;
  p = p * r + 0.4999999343f;
  return {power, p * r * r + r};
}
/// Of two comparisons that keep NaN, each is one instruction.
template <class T>
[[maybe_unused, gnu::always_inline]] inline T m_at_least(T x, T low) {
  return x < low ? low : x;
}
template <class T>
[[maybe_unused, gnu::always_inline]] inline T m_at_most(T x, T high) {
  return x > high ? high : x;
}

// Bounds by the bits: of integers the compiler has one instruction each, and knows it, where it would branch on floats
// for the sake of NaN. NaN becomes the bound, or stays.
[[maybe_unused, gnu::always_inline]] inline float m_at_least_negative(float x, float low) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, x), bound = __builtin_bit_cast(uint32_t, low);
  return __builtin_bit_cast(float, bits < bound ? bits : bound);
}
[[maybe_unused, gnu::always_inline]] inline float m_at_most_positive(float x, float high) {
  const int32_t bits = __builtin_bit_cast(int32_t, x), bound = __builtin_bit_cast(int32_t, high);
  return __builtin_bit_cast(float, bits < bound ? bits : bound);
}
[[maybe_unused, gnu::always_inline]] inline double m_at_most_positive(double x, double high) {
  return x < high ? x : high;
}

/// e^x for x in [-88, 89], without denormal results: 0 below -87.7, infinity above 88.4, else within 2 ulp.
[[maybe_unused, gnu::always_inline]] inline float m_exp_within(float x) {
  const auto [r, power] = m_exp_argument(x);
  float p = 0.0082902690f;
  p = p * r + 0.0418981611f;
  p = p * r + 0.1666763818f;
  p = p * r + 0.4999914783f;
  p = p * r + 0.9999997063f;
  p = p * r + 1.0f;
  return p * power;
}
/// The same of any number. NaN gives some number.
[[maybe_unused, gnu::always_inline]] inline float m_quickest_exp(float x) {
  return m_exp_within(m_at_most_positive(m_at_least_negative(x, -88.0f), 89.0f));
}
[[maybe_unused, gnu::always_inline]] inline double m_quickest_exp(double x) { return m_exp(x); }
/// The same, and NaN stays NaN.
template <class T>
[[maybe_unused, gnu::always_inline]] inline T m_quick_exp(T x) {
  const T y = m_quickest_exp(x);
  return x != x ? x : y;
}
/// e^-|x|. NaN gives some number.
[[maybe_unused, gnu::always_inline]] inline float m_decay(float x) {
  return m_exp_within(m_at_least_negative(-m_fabs(x), -88.0f));
}
[[maybe_unused, gnu::always_inline]] inline double m_decay(double x) { return m_exp(-m_fabs(x)); }

/// e^x - 1 for x <= 0.
[[maybe_unused, gnu::always_inline]] inline float m_negative_expm1(float x) {
  const ExpParts e = m_exp_parts(m_at_least(x, -30.0f));
  return e.power * e.rest + (e.power - 1.0f);
}
[[maybe_unused, gnu::always_inline]] inline double m_negative_expm1(double x) { return m_expm1(x); }

/// (e^2x - 1) / (e^2x + 1), which is 1 beyond 10.
[[maybe_unused, gnu::always_inline]] inline float m_tanh(float x) {
  const ExpParts e = m_exp_parts(2.0f * m_at_most_positive(m_fabs(x), 10.0f));
  const float difference = e.power * e.rest + (e.power - 1.0f);
  const float y = __builtin_copysignf(difference / (difference + 2.0f), x);
  return x != x ? x : y;
}
[[maybe_unused, gnu::always_inline]] inline double m_tanh(double x) { return ::tanh(x); }

/// log(1 + e) for e in [0, 1], as 2 atanh(e / (2 + e)).
[[maybe_unused, gnu::always_inline]] inline float m_log1p_unit(float e) {
  const float s = e / (2.0f + e), z = s * s;
  float p = 0.2817833487f;
  p = p * z + 0.2796060276f;
  p = p * z + 0.4002491028f;
  p = p * z + 0.6666631468f;
  p = p * z + 2.0f;
  return p * s;
}
[[maybe_unused, gnu::always_inline]] inline double m_log1p_unit(double e) { return m_log1p(e); }

/// The normal distribution function at -|x|, as a product: e^(-x^2/2), and a ratio that varies little; and |x| itself,
/// bounded where the bell is 0. NaN gives some number.
struct NormalTail {
  float bell, ratio, distance;
};
[[maybe_unused, gnu::always_inline]] inline NormalTail m_normal_tail(float x) {
  const float u = m_at_most_positive(m_fabs(x), 13.28f), z = u * u;
  // the bell as in m_quick_exp, but of a power of two: one step less
  const float shifted = z * -0.72134752f + 12582912.0f, n = shifted - 12582912.0f;
  const float r = z * -0.72134752f - n;
  float e = 0.0013264722f;
  e = e * r + 0.0096715130f;
  e = e * r + 0.0555073376f;
  e = e * r + 0.2402224208f;
  e = e * r + 0.6931469776f;
  e = e * r + 1.0f;
  float p = 0.0142447677f;
  p = p * u + 0.1075395348f;
  p = p * u + 0.3408583143f;
  p = p * u + 0.5f;
  float q = 0.0357186956f;
  q = q * u + 0.2691564943f;
  q = q * u + 0.8956579789f;
  q = q * u + 1.4795987681f;
  q = q * u + 1.0f;
  return {e * __builtin_bit_cast(float, (__builtin_bit_cast(uint32_t, shifted) + 127u) << 23), p / q, u};
}

template <class T>
[[maybe_unused, gnu::always_inline]] inline T m_sigmoid(T x) {
  return T(1) / (T(1) + m_quick_exp(-x));
}
template <class T>
[[maybe_unused, gnu::always_inline]] inline T m_softplus(T x) {  // log(1 + exp(x)) without overflow
  return (x < T(0) ? T(0) : x) + m_log1p_unit(m_decay(x));
}

/// x times the normal distribution function, and the slope of that.
[[maybe_unused, gnu::always_inline]] inline float m_gelu(float x) {
  const NormalTail tail = m_normal_tail(x);
  return (x < 0.0f ? 0.0f : x) - tail.distance * (tail.bell * tail.ratio);
}
[[maybe_unused, gnu::always_inline]] inline float m_gelu_slope(float x) {
  const NormalTail tail = m_normal_tail(x);
  const float below = tail.bell * (tail.ratio - static_cast<float>(kInvSqrt2Pi) * tail.distance);
  const float slope = x < 0.0f ? below : 1.0f - below;
  return x != x ? x : slope;
}
// beyond 40, both are at their limits
[[maybe_unused, gnu::always_inline]] inline double m_gelu(double x) {
  x = m_at_least(x, -40.0);
  return x * (0.5 + 0.5 * m_erf(x * kSqrtHalf));
}
[[maybe_unused, gnu::always_inline]] inline double m_gelu_slope(double x) {
  x = m_at_least(m_at_most(x, 40.0), -40.0);
  return 0.5 + 0.5 * m_erf(x * kSqrtHalf) + x * kInvSqrt2Pi * m_exp(-0.5 * x * x);
}

/// tanh(softplus(x)) = above / (above + 2) for the e = e^x, and 1 beyond 20.
template <class T>
struct MishParts {
  T e, above;
};
template <class T>
[[maybe_unused, gnu::always_inline]] inline MishParts<T> m_mish(T x) {
  const T e = m_quickest_exp(m_at_most_positive(x, T(20)));
  return {e, e * (e + T(2))};
}

}  // namespace
}  // namespace cotangent::kernels
