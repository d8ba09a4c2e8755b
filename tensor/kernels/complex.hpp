#pragma once
// Arithmetic of pairs (re, im).
#include <cotangent/tensor/kernels/by_float.hpp>

#include <cstdint>

namespace cotangent::kernels {

/// Which operands are conjugated first.
struct Conjugates {
  bool a, b;
};
/// n pairs y = a b or y = a / b; an operand's step is 1, or 0 for one pair that is repeated. The quotient does not
/// overflow on the way (Smith 1962).
template <class T>
struct ComplexLoops {
  void (*multiply)(const T* a, const T* b, T* y, int64_t n, int64_t step_a, int64_t step_b, Conjugates conj);
  void (*divide)(const T* a, const T* b, T* y, int64_t n, int64_t step_a, int64_t step_b, Conjugates conj);
  /// y = |x|, which does not overflow on the way, and the angle in (-pi, pi], of n pairs.
  void (*abs)(const T* x, T* y, int64_t n);
  void (*angle)(const T* x, T* y, int64_t n);
};

}  // namespace cotangent::kernels
