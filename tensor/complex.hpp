#pragma once
// Arithmetic of complex numbers without history: float32 or float64, as pairs (re, im) in the last dimension, which the
// caller has checked.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// Which operands are conjugated first.
struct Conjugated {
  bool a, b;
};
/// a b and a / b, elementwise. Broadcasts.
Tensor complex_multiply(const char* op, const Tensor& a, const Tensor& b, Conjugated conj);
Tensor complex_divide(const char* op, const Tensor& a, const Tensor& b, Conjugated conj);
/// |z| and the angle of z in (-pi, pi]:   (.., 2) -> (..)
Tensor complex_abs(const char* op, const Tensor& z);
Tensor complex_angle(const char* op, const Tensor& z);

}  // namespace cotangent::raw
