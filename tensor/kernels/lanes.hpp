#pragma once
// Vectors in loops that spell them out: compilers' vector extensions, not intrinsics. A `Vec` is as wide as the
// instruction set allows, and the loops over vectors are unrolled so that every accumulator gets a register.
#include <cotangent/tensor/kernels/vector.hpp>

namespace cotangent::kernels {
namespace {

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

/// What loops hold that are written once for vectors and for single elements.
template <class T, bool wide>
struct LanesOf {
  using V = Vec<T>;
  static constexpr int count = kLanes<T>;
  static V take(const T* p) { return load(p); }
  static void put(V v, T* p) { store(p, v); }
};
template <class T>
struct LanesOf<T, false> {
  using V = T;
  static constexpr int count = 1;
  static V take(const T* p) { return *p; }
  static void put(V v, T* p) { *p = v; }
};

// y[i] = x[i] for n < L elements, in halves.
template <class T, int L = kLanes<T>>
void copy_few(const T* x, T* y, int64_t n) {
  COTANGENT_UNROLL for (int part = L / 2; part > 0; part /= 2) {
    if (!(n & part)) continue;
    __builtin_memcpy(y, x, static_cast<uint64_t>(part) * sizeof(T));
    x += part, y += part;
  }
}

// y[i] = x[i]. The last vector ends with the row, and so overlaps the one before it.
template <class T>
void copy_row(const T* x, T* y, int64_t n) {
  with_lanes<T>(n, [&](auto lanes) {
    constexpr int L = lanes;
    if (n < L) return copy_few<T, L>(x, y, n);
    for (int64_t i = 0; i + L <= n; i += L) __builtin_memcpy(y + i, x + i, L * sizeof(T));
    __builtin_memcpy(y + n - L, x + n - L, L * sizeof(T));
  });
}

}  // namespace
}  // namespace cotangent::kernels
