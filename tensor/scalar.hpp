#pragma once
#include <type_traits>

#include <cotangent/tensor/dtype.hpp>

namespace cotangent {

/// A number without a dtype of its own, as an operand: `x * 2` keeps the dtype of x, and only a floating-point number
/// with an integral tensor (or an integer with a bool tensor) changes the category.
class Scalar {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> Scalar(T value) {
    if constexpr (std::is_floating_point_v<T>) {
      double_ = static_cast<double>(value), dtype_ = float64;
    } else {
      int_ = static_cast<int64_t>(value), double_ = static_cast<double>(value);
      dtype_ = std::is_same_v<T, bool> ? boolean : int64;
    }
  }
  /// float64, int64 or boolean: the category of the number.
  Dtype dtype() const { return dtype_; }
  template <class T>
  T to() const {
    if constexpr (std::is_integral_v<T>)
      return dtype_ == float64 ? static_cast<T>(double_) : static_cast<T>(int_);
    else if constexpr (std::is_floating_point_v<T>)
      return static_cast<T>(double_);
    else
      return T(static_cast<float>(double_));
  }

 private:
  double double_;
  int64_t int_ = 0;
  Dtype dtype_;
};

/// The dtype of `tensor op scalar`.
Dtype promote(Dtype tensor, const Scalar& scalar);

}  // namespace cotangent
