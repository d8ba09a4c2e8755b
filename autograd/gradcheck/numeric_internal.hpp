#pragma once
// Derivatives by differences: what the gradient checker compares with.
#include <cotangent/autograd/gradcheck/extrapolation_internal.hpp>
#include <cotangent/autograd/gradcheck/function_internal.hpp>

namespace cotangent::detail {

/// Elements of an input, and how far each is moved by a step of 1.
struct Moves {
  size_t input;
  std::vector<int64_t> places;  ///< in row-major order
  std::vector<double> weights;  ///< one for each
  double scale;                 ///< the longest step that is known to be short enough, times ten
};

/// Differentiates L = sum(cotangent * output) over all outputs, by moving the inputs in place. They have their own bits
/// again afterwards, also after an exception.
class NumericDerivative {
 public:
  /// `step` is that of the quick differences for |x| = 1; 0 takes the fourth root of the machine epsilon, 1.2e-4 in
  /// float64, where rounding and the neglected fifth derivative weigh the same.
  NumericDerivative(CheckedFunction& f, const Tensors& inputs, const Tensors& cotangents, double step);

  /// One element, counted in row-major order.
  Moves element(size_t input, int64_t index) const;
  /// dL along these moves, by two steps: four evaluations.
  Difference quick(const Moves& moves);
  /// The same by more evaluations, for a function that bends too much, or whose values are too large, for these.
  Difference refined(const Moves& moves, int evaluations = 40);
  /// The derivative of each element of the outputs, one output after the other, along these moves: a column of the
  /// Jacobian. Four evaluations.
  std::vector<double> column(const Moves& moves);
  /// Whether the outputs are other ones anywhere far from here, along an input.
  bool has_influence(size_t input);
  /// The outputs at the present inputs.
  const Tensors& outputs() const { return center_; }

  /// How many times as large as one rounding of each output the noise of L is, by differences of nearby values (More
  /// and Wild 2011, "Estimating computational noise"). 10^8 where float64 is computed in float32 somewhere.
  double noise_factor() const { return noise_factor_; }
  /// The machine epsilon of the least precise input or output.
  double epsilon() const { return epsilon_; }

 private:
  Tensors values();
  /// What is summed over all outputs, of values at two sides and at the center.
  struct Sums {
    double all = 0, left = 0, right = 0;
    double squares = 0;   ///< of one rounding of each output that changes
    double rounding = 0;  ///< of these sums, from those
    double hidden = 0;    ///< how much another output may change without showing it
    /// An output whose cotangent is v, and its values on both sides.
    void add(double v, double below, double center, double above, double epsilon, double least) {
      if (above == center && below == center) {  // inf - inf is no change
        if (const double bit = epsilon * std::fabs(v * center); bit < INFINITY) hidden = std::max(hidden, bit);
        return;
      }
      if (v == 0) return;
      if (above != below) all += v * (above - below);
      if (center != below) left += v * (center - below);
      if (above != center) right += v * (above - center);
      const double last = epsilon * v * std::max({std::fabs(above), std::fabs(below), least});
      squares += last * last;
    }
  };
  Sums contract(const Tensors& below, const Tensors& above) const;
  Central central(const Moves& moves, double h, double& largest_rounding);
  void measure_noise();

  CheckedFunction& f_;
  const Tensors& inputs_;
  std::vector<std::vector<double>> cotangents_;
  double epsilon_, step_;
  double noise_factor_ = 1;
  Tensors center_;
  std::vector<double> largest_;  // magnitude in each of them
};

/// Reads and writes the element of a floating tensor at a place counted in row-major order.
double element_at(const Tensor& x, int64_t index);
void set_element(const Tensor& x, int64_t index, double value);
/// The place as an index a dimension.
Shape element_index(const Shape& shape, int64_t index);
/// The machine epsilon of a floating dtype.
double epsilon_of(Dtype dtype);
/// All elements, in row-major order.
std::vector<double> elements_of(const Tensor& x);

/// Random bits from a counter: SplitMix64.
class CheckRandom {
 public:
  explicit CheckRandom(uint64_t seed) : state_(seed) {}
  uint64_t bits();
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }  ///< in [0, 1)
  /// Between 0.5 and 1.5 with either sign: no element goes unseen, and no two weigh the same.
  double weight() { return (bits() & 1 ? 1 : -1) * (0.5 + uniform()); }
  /// Of either sign and of any magnitude from 1e-3 to 1e3.
  double any_magnitude() { return (bits() & 1 ? 1 : -1) * std::pow(10, 6 * uniform() - 3); }
  int64_t below(int64_t n) { return static_cast<int64_t>(uniform() * static_cast<double>(n)); }

 private:
  uint64_t state_;
};

}  // namespace cotangent::detail
