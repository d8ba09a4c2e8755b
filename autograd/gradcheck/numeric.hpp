#pragma once
// Derivatives by differences: what the gradient checker compares with.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::detail {

/// A function from tensors to tensors, of any order of differentiation.
class CheckedFunction {
 public:
  virtual ~CheckedFunction() = default;
  /// The outputs at the present values of the inputs; with a history if `record`.
  virtual Tensors call(const Tensors& inputs, bool record) = 0;
};

/// A derivative of L = sum(cotangent * output) over all outputs.
struct Difference {
  double value;        ///< (L(x + h) - L(x - h)) / 2h
  double left, right;  ///< (L(x) - L(x - h)) / h and (L(x + h) - L(x)) / h: they differ at a kink
  double noise;        ///< how much of `value` may be rounding
};

/// Differentiates by moving the inputs in place, in float64. They have their own bits again afterwards, also after an
/// exception.
class NumericDerivative {
 public:
  /// `step` is h for |x| <= 1; it grows with |x|. 0 takes the cube root of the machine epsilon, 6e-6, where rounding
  /// and the neglected third derivative weigh the same.
  NumericDerivative(CheckedFunction& f, const Tensors& inputs, const Tensors& cotangents, double step);

  /// dL/dx for one element, counted in row-major order.
  Difference element(size_t input, int64_t index);
  /// The same with steps from 512 h downwards and extrapolation to h = 0 (Ridders 1982), for a function that bends too
  /// much, or whose values are too large, for one step. `noise` is the estimate of its error.
  Difference refined(size_t input, int64_t index);
  /// The derivative along u: sum(u_e * dL/dx_e) over the elements first <= e < last.
  Difference along(size_t input, const std::vector<double>& u, int64_t first, int64_t last);

  /// The unit of the step at an element: max(1, |x|).
  double unit(size_t input, int64_t index) const;
  double step() const { return step_; }

 private:
  Tensors values();
  double contract(const Tensors& a, const Tensors& b) const;
  Difference central(size_t input, const std::vector<std::pair<int64_t, double>>& moves, double h);

  CheckedFunction& f_;
  const Tensors& inputs_;
  Tensors cotangents_;
  double step_;
  Tensors center_;
  double rounding_ = 0;  // of L, from one rounding of each output
};

/// The address of an element of a float64 tensor, counted in row-major order.
double* element_address(const Tensor& x, int64_t index);
/// The same as an index a dimension.
Shape element_index(const Shape& shape, int64_t index);

/// Random bits from a counter: SplitMix64.
class CheckRandom {
 public:
  explicit CheckRandom(uint64_t seed) : state_(seed) {}
  uint64_t bits();
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }  ///< in [0, 1)
  /// Between 0.5 and 1.5 with either sign: no element goes unseen, and no two weigh the same.
  double weight() { return (bits() & 1 ? 1 : -1) * (0.5 + uniform()); }
  Tensor weights(const Shape& shape);

 private:
  uint64_t state_;
};

}  // namespace cotangent::detail
