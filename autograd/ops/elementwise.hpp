#pragma once
// Arithmetic, comparisons and selection, element by element. Operands broadcast by NumPy's rule and are promoted to a
// common dtype; a plain number keeps the tensor's dtype, which must take it (tensor/scalar.hpp). A gradient is summed
// over the dimensions along which its operand was repeated. dy is the gradient of the result.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// a + b.   da = dy, db = dy
Tensor add(const Tensor& a, const Tensor& b);
Tensor add(const Tensor& a, const Scalar& b);
/// a - b.   da = dy, db = -dy
Tensor sub(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Scalar& b);
Tensor sub(const Scalar& a, const Tensor& b);
/// a * b.   da = dy * b, db = dy * a
Tensor mul(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Scalar& b);
/// a / b; integers are divided as floating-point numbers.   da = dy / b, db = -dy * y / b
Tensor div(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Scalar& b);
Tensor div(const Scalar& a, const Tensor& b);
/// a^b.   da = dy * b * a^(b-1), db = dy * y * log(a), and 0 where a = 0 <= b.
/// A ValueError for integers with a negative exponent.
Tensor pow(const Tensor& a, const Tensor& b);
Tensor pow(const Tensor& a, const Scalar& b);
/// a - floor(a / b) * b, with the sign of b, as Python's %: exact, but for the rounding of a small negative a by a
/// large b.   da = dy, db = -dy * floor_divide(a, b)
Tensor remainder(const Tensor& a, const Tensor& b);
Tensor remainder(const Tensor& a, const Scalar& b);
/// a - trunc(a / b) * b, with the sign of a, as C's: always exact.   da = dy, db = -dy * trunc(a / b)
Tensor fmod(const Tensor& a, const Tensor& b);
Tensor fmod(const Tensor& a, const Scalar& b);
/// floor(a / b) of the exact quotient, as Python's //: floor_divide(1, .1) is 9, since .1 is slightly more than a
/// tenth. da = db = 0
///
/// Of integers all three are integers, and 0 as b is a ValueError. Of floats, remainder and fmod by 0 are NaN, and
/// floor_divide is a / b.
Tensor floor_divide(const Tensor& a, const Tensor& b);
Tensor floor_divide(const Tensor& a, const Scalar& b);
/// The smaller and the larger. Where both are equal each gets half of dy. NaN wins.
Tensor minimum(const Tensor& a, const Tensor& b);
Tensor maximum(const Tensor& a, const Tensor& b);

/// condition ? a : b with a bool condition.   da = dy where the condition holds, else 0; db the other way round. A NaN
/// in the branch that is not taken does not reach the gradient of the one that is.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
Tensor where(const Tensor& condition, const Tensor& a, const Scalar& b);
Tensor where(const Tensor& condition, const Scalar& a, const Tensor& b);
/// x with `value` where the bool mask holds; the mask broadcasts to x.   dx = dy, 0 under the mask
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Scalar& value);
/// x limited to [low, high].   dx = dy where low <= x <= high, else 0. A ValueError if low > high, or if x is of
/// integers and a bound is none that limits them: 300 is no low of uint8, and 0.5 no bound of it; -5 and 300 limit none
/// of them.
Tensor clamp(const Tensor& x, const Scalar& low, const Scalar& high = __builtin_inf());

/// Comparisons give bool tensors without history. Integers are compared with any number as mathematics does; with
/// a floating tensor in float64.
Tensor eq(const Tensor& a, const Tensor& b);
Tensor ne(const Tensor& a, const Tensor& b);
Tensor lt(const Tensor& a, const Tensor& b);
Tensor le(const Tensor& a, const Tensor& b);
Tensor gt(const Tensor& a, const Tensor& b);
Tensor ge(const Tensor& a, const Tensor& b);
Tensor eq(const Tensor& a, const Scalar& b);
Tensor ne(const Tensor& a, const Scalar& b);
Tensor lt(const Tensor& a, const Scalar& b);
Tensor le(const Tensor& a, const Scalar& b);
Tensor gt(const Tensor& a, const Scalar& b);
Tensor ge(const Tensor& a, const Scalar& b);
/// On the truth of each element (x != 0).
Tensor logical_not(const Tensor& x);
Tensor logical_and(const Tensor& a, const Tensor& b);
Tensor logical_or(const Tensor& a, const Tensor& b);
Tensor logical_xor(const Tensor& a, const Tensor& b);
Tensor isnan(const Tensor& x);
Tensor isfinite(const Tensor& x);
/// Whether all elements of both are equal, as eq has it; false for other shapes.
bool equal(const Tensor& a, const Tensor& b);
/// Whether |a - b| <= atol + rtol * |b| for all elements; false for other shapes.
bool allclose(const Tensor& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8);

Tensor neg(const Tensor& x);

/// A temporary on the left that nobody else holds, as in a * b + c, is written over; by mul, whose gradient reads it,
/// only where nothing is recorded.
Tensor add(Tensor&& a, const Tensor& b);
Tensor sub(Tensor&& a, const Tensor& b);
Tensor mul(Tensor&& a, const Tensor& b);
Tensor mul(Tensor&& a, const Scalar& b);
Tensor div(Tensor&& a, const Tensor& b);
Tensor neg(Tensor&& x);

inline Tensor operator+(Tensor&& a, const Tensor& b) { return add(std::move(a), b); }
inline Tensor operator-(Tensor&& a, const Tensor& b) { return sub(std::move(a), b); }
inline Tensor operator*(Tensor&& a, const Tensor& b) { return mul(std::move(a), b); }
inline Tensor operator*(Tensor&& a, const Scalar& b) { return mul(std::move(a), b); }
inline Tensor operator/(Tensor&& a, const Tensor& b) { return div(std::move(a), b); }
inline Tensor operator-(Tensor&& x) { return neg(std::move(x)); }

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator+(const Tensor& a, const Scalar& b) { return add(a, b); }
inline Tensor operator+(const Scalar& a, const Tensor& b) { return add(b, a); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator-(const Tensor& a, const Scalar& b) { return sub(a, b); }
inline Tensor operator-(const Scalar& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator*(const Tensor& a, const Scalar& b) { return mul(a, b); }
inline Tensor operator*(const Scalar& a, const Tensor& b) { return mul(b, a); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator/(const Tensor& a, const Scalar& b) { return div(a, b); }
inline Tensor operator/(const Scalar& a, const Tensor& b) { return div(a, b); }
inline Tensor operator-(const Tensor& x) { return neg(x); }
inline Tensor operator!(const Tensor& x) { return logical_not(x); }
inline Tensor operator&&(const Tensor& a, const Tensor& b) { return logical_and(a, b); }
inline Tensor operator||(const Tensor& a, const Tensor& b) { return logical_or(a, b); }
inline Tensor operator==(const Tensor& a, const Tensor& b) { return eq(a, b); }
inline Tensor operator!=(const Tensor& a, const Tensor& b) { return ne(a, b); }
inline Tensor operator<(const Tensor& a, const Tensor& b) { return lt(a, b); }
inline Tensor operator<=(const Tensor& a, const Tensor& b) { return le(a, b); }
inline Tensor operator>(const Tensor& a, const Tensor& b) { return gt(a, b); }
inline Tensor operator>=(const Tensor& a, const Tensor& b) { return ge(a, b); }
inline Tensor operator==(const Tensor& a, const Scalar& b) { return eq(a, b); }
inline Tensor operator!=(const Tensor& a, const Scalar& b) { return ne(a, b); }
inline Tensor operator<(const Tensor& a, const Scalar& b) { return lt(a, b); }
inline Tensor operator<=(const Tensor& a, const Scalar& b) { return le(a, b); }
inline Tensor operator>(const Tensor& a, const Scalar& b) { return gt(a, b); }
inline Tensor operator>=(const Tensor& a, const Scalar& b) { return ge(a, b); }

}  // namespace cotangent
