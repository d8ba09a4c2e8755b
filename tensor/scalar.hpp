#pragma once
#include <type_traits>

#include <cotangent/tensor/dtype.hpp>

namespace cotangent {

/// The integers that a dtype holds, all of them from `low` to `high`: 0 and 1 of bool, those up to 2^24 of float32.
struct Integers {
  int64_t low, high;
};
Integers integers_of(Dtype dtype);

/// A number without a dtype of its own, as an operand: `x * 2` keeps the dtype of x, and only a floating-point number
/// with an integral tensor (or an integer with a bool tensor) changes the category.
///
/// A floating dtype takes any number, rounded. An integral dtype takes those that it holds: 300 or 0.5 as an element of
/// uint8, or as what one is added to, is a ValueError. Comparisons take any number, as mathematics does: no uint8 is
/// -1, each is less than 300.
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
  /// As a T: rounded, or without its fraction; true unless 0. A ValueError names `op` where an integral T does not hold
  /// that.
  template <class T>
  T to(const char* op = "item") const {
    if constexpr (std::is_same_v<T, bool>)
      return double_ != 0;
    else if constexpr (std::is_integral_v<T>)
      return static_cast<T>(truncated(op, integers_of_type<T>));
    else if constexpr (std::is_floating_point_v<T>)
      return static_cast<T>(double_);
    else
      return T(static_cast<float>(double_));
  }
  /// As an element of a tensor. A ValueError names `op` where the dtype does not take the number.
  template <class T>
  T element(const char* op) const {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
      return static_cast<T>(checked(op, dtype_of<T>));
    else
      return to<T>();
  }

  /// Where the number stands among the elements of a dtype: `between` two of them, `nowhere` if it is NaN.
  enum class Place : uint8_t { held, below, above, between, nowhere };
  Place place(Dtype dtype) const;

 private:
  // <limits> would cost whoever includes this 3 % of the umbrella header. Integers beyond int64 count as its largest.
  template <class T>
  static constexpr int64_t kHighest = __INT64_MAX__ >> (63 - 8 * sizeof(T) + (std::is_signed_v<T> || sizeof(T) == 8));
  template <class T>
  static constexpr Integers integers_of_type = {std::is_signed_v<T> ? -kHighest<T> - 1 : 0, kHighest<T>};
  Place place(const Integers& among) const;
  std::string text() const;
  int64_t truncated(const char* op, const Integers& among) const;
  int64_t checked(const char* op, Dtype dtype) const;

  double double_;
  int64_t int_ = 0;  // of an integer beyond int64: negative, where double_ is not
  Dtype dtype_;
};

/// The dtype of `tensor op scalar`.
Dtype promote(Dtype tensor, const Scalar& scalar);

}  // namespace cotangent
