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

constexpr double kSqrtHalf = 0.70710678118654752440;     // 1/sqrt(2)
constexpr double kInvSqrt2Pi = 0.39894228040143267794;   // 1/sqrt(2 pi)
constexpr double kSqrt2OverPi = 0.79788456080286535588;  // sqrt(2/pi)
constexpr double kGeluCubic = 0.044715;
constexpr double kSeluScale = 1.0507009873554804934;  // the fixed point of mean 0 and variance 1
constexpr double kSeluAlpha = 1.6732632423543772848;

// Cheaper float32 versions of what softmax and the activations are made of; float64 takes the functions above. All
// polynomials were fitted for the least relative error.

/// e^x = power (1 + rest), for x in [-88, 89]. The power is 0 below -87.7 and infinite above 88.4.
struct ExpParts {
  float power, rest;
};
[[maybe_unused]] inline ExpParts m_exp_parts(float x) {
  // x = n log(2) + r; the sum with 1.5 * 2^23 rounds to an integer, which stands in the low bits
  const float shifted = x * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;
  const float r = x - n * 0.693359375f + n * 2.12194440e-4f;
  float p = 0.0013814540f;
  p = p * r + 0.0083687451f;
  p = p * r + 0.0416683908f;
  p = p * r + 0.1666652040f;
  p = p * r + 0.4999999343f;
  return {__builtin_bit_cast(float, (__builtin_bit_cast(uint32_t, shifted) + 127u) << 23), p * r * r + r};
}
/// Of two comparisons that keep NaN, each is one instruction.
template <class T>
[[maybe_unused]] inline T m_at_least(T x, T low) {
  return x < low ? low : x;
}
template <class T>
[[maybe_unused]] inline T m_at_most(T x, T high) {
  return x > high ? high : x;
}

/// e^x without denormal results: 0 below -87.7, infinity above 88.4, else within 1.5 ulp.
[[maybe_unused]] inline float m_quick_exp(float x) {
  const ExpParts e = m_exp_parts(m_at_most(m_at_least(x, -88.0f), 89.0f));
  return (e.rest + 1.0f) * e.power;
}
[[maybe_unused]] inline double m_quick_exp(double x) { return m_exp(x); }

/// e^x - 1 for x <= 0.
[[maybe_unused]] inline float m_negative_expm1(float x) {
  const ExpParts e = m_exp_parts(m_at_least(x, -30.0f));
  return e.power * e.rest + (e.power - 1.0f);
}
[[maybe_unused]] inline double m_negative_expm1(double x) { return m_expm1(x); }

/// (e^2x - 1) / (e^2x + 1), which is 1 beyond 10.
[[maybe_unused]] inline float m_tanh(float x) {
  const ExpParts e = m_exp_parts(2.0f * m_at_most(m_fabs(x), 10.0f));
  const float difference = e.power * e.rest + (e.power - 1.0f);
  return __builtin_copysignf(difference / (difference + 2.0f), x);
}
[[maybe_unused]] inline double m_tanh(double x) { return ::tanh(x); }

/// log(1 + e) for e in [0, 1], as 2 atanh(e / (2 + e)).
[[maybe_unused]] inline float m_log1p_unit(float e) {
  const float s = e / (2.0f + e), z = s * s;
  float p = 0.2817833487f;
  p = p * z + 0.2796060276f;
  p = p * z + 0.4002491028f;
  p = p * z + 0.6666631468f;
  p = p * z + 2.0f;
  return p * s;
}
[[maybe_unused]] inline double m_log1p_unit(double e) { return m_log1p(e); }

/// The normal distribution function. `bell` is e^(-x^2/2), which the caller needs, too.
[[maybe_unused]] inline float m_normal_cdf(float x, float bell) {
  const float u = 1.0f / (1.0f + 0.295f * m_fabs(x));  // the tail over the bell is a polynomial of u
  float p = 0.0397181175f;
  p = p * u - 0.1847475116f;
  p = p * u + 0.2735831502f;
  p = p * u - 0.1197819346f;
  p = p * u + 0.1680137581f;
  p = p * u + 0.0840692401f;
  p = p * u + 0.1218582054f;
  p = p * u + 0.1172688768f;
  p = p * u + 1.811351412e-5f;
  const float tail = bell * p;
  return x < 0.0f ? tail : 1.0f - tail;
}
[[maybe_unused]] inline double m_normal_cdf(double x, double) { return 0.5 * (1 + m_erf(x * kSqrtHalf)); }

template <class T>
[[maybe_unused]] inline T m_sigmoid(T x) {
  return T(1) / (T(1) + m_quick_exp(-x));
}
template <class T>
[[maybe_unused]] inline T m_softplus(T x) {  // log(1 + exp(x)) without overflow
  return (x > T(0) ? x : T(0)) + m_log1p_unit(m_quick_exp(-m_fabs(x)));
}

/// tanh(softplus(x)) as a ratio of polynomials of e = exp(-|x|), which can't overflow.
template <class T>
struct MishParts {
  T e, numerator, denominator;
};
template <class T>
[[maybe_unused]] inline MishParts<T> m_mish(T x) {
  const T e = m_quick_exp(-m_fabs(x)), numerator = x > T(0) ? T(1) + T(2) * e : e * (e + T(2));
  return {e, numerator, numerator + (x > T(0) ? T(2) * e * e : T(2))};
}

}  // namespace
}  // namespace cotangent::kernels
