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
COTANGENT_OVERLOAD(tanh)
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

template <class T>
[[maybe_unused]] inline T m_sigmoid(T x) {
  return T(1) / (T(1) + m_exp(-x));
}
template <class T>
[[maybe_unused]] inline T m_softplus(T x) {  // log(1 + exp(x)) without overflow
  return (x > T(0) ? x : T(0)) + m_log1p(m_exp(-m_fabs(x)));
}

constexpr double kSqrtHalf = 0.70710678118654752440;     // 1/sqrt(2)
constexpr double kInvSqrt2Pi = 0.39894228040143267794;   // 1/sqrt(2 pi)
constexpr double kSqrt2OverPi = 0.79788456080286535588;  // sqrt(2/pi)
constexpr double kGeluCubic = 0.044715;

}  // namespace
}  // namespace cotangent::kernels
