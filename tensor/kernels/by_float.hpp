#pragma once
// Most families of kernels compute in float32 or float64.

namespace cotangent::kernels {

/// The loops of a family for both types.
template <template <class T> class Loops>
struct ByFloat : Loops<float>, Loops<double> {
  template <class T>
  const Loops<T>& of() const {
    return *this;
  }
};

}  // namespace cotangent::kernels
