#include <cotangent/autograd/gradcheck/numeric.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <cotangent/tensor/elementwise.hpp>

namespace cotangent::detail {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

/// Moved elements of a tensor, put back when it goes.
class Moved {
 public:
  explicit Moved(const Tensor& x) : x_(x) {}
  ~Moved() {
    for (auto [p, before] : before_) *p = before;
    bump_version(x_);
  }
  void add(int64_t index) {
    double* p = element_address(x_, index);
    before_.emplace_back(p, *p);
  }
  /// x_e = x_e + h u_e; returns the step of the first one that was really made.
  double move(const std::vector<std::pair<int64_t, double>>& moves, double h) {
    for (size_t i = 0; i < before_.size(); ++i) *before_[i].first = before_[i].second + h * moves[i].second;
    bump_version(x_);
    return before_.size() == 1 ? (*before_[0].first - before_[0].second) / moves[0].second : h;
  }

 private:
  const Tensor& x_;
  std::vector<std::pair<double*, double>> before_;
};

}  // namespace

double* element_address(const Tensor& x, int64_t index) {
  double* p = x.data<double>();
  for (int d = x.rank() - 1; d >= 0; --d) {
    p += index % x.shape()[d] * x.strides()[d];
    index /= x.shape()[d];
  }
  return p;
}

Shape element_index(const Shape& shape, int64_t index) {
  Shape result = shape;
  for (int d = shape.rank() - 1; d >= 0; --d) result[d] = index % shape[d], index /= shape[d];
  return result;
}

uint64_t CheckRandom::bits() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

Tensor CheckRandom::weights(const Shape& shape) {
  const Tensor x = make_tensor(shape, float64);
  for (int64_t i = 0; i < x.numel(); ++i) x.data<double>()[i] = weight();
  return x;
}

NumericDerivative::NumericDerivative(CheckedFunction& f, const Tensors& inputs, const Tensors& cotangents, double step)
    : f_(f), inputs_(inputs), step_(step > 0 ? step : std::cbrt(kEpsilon)) {
  for (const Tensor& v : cotangents) cotangents_.push_back(raw::contiguous(v.detach()));
  center_ = values();
  for (size_t k = 0; k < center_.size(); ++k)
    for (int64_t i = 0; i < center_[k].numel(); ++i) {
      const double term = cotangents_[k].data<double>()[i] * center_[k].data<double>()[i];
      if (std::isfinite(term)) rounding_ += term * term;
    }
  rounding_ = kEpsilon * std::sqrt(rounding_);
}

double NumericDerivative::unit(size_t input, int64_t index) const {
  return std::max(1.0, std::fabs(*element_address(inputs_[input], index)));
}

Tensors NumericDerivative::values() {
  Tensors ys = f_.call(inputs_, false);
  for (Tensor& y : ys) {
    const bool owned = is_sole_owner(y) && y.is_contiguous();
    y = owned ? y : raw::clone(raw::contiguous(y.detach()));  // the output may be an input itself, which moves on
  }
  return ys;
}

// sum(v * (a - b)): differences first, so that what does not change adds no rounding.
double NumericDerivative::contract(const Tensors& a, const Tensors& b) const {
  double sum = 0;
  for (size_t k = 0; k < cotangents_.size(); ++k) {
    const double *v = cotangents_[k].data<double>(), *p = a[k].data<double>(), *q = b[k].data<double>();
    for (int64_t i = 0; i < cotangents_[k].numel(); ++i)
      if (p[i] != q[i]) sum += v[i] * (p[i] - q[i]);  // inf - inf is no change
  }
  return sum;
}

Difference NumericDerivative::central(size_t input, const std::vector<std::pair<int64_t, double>>& moves, double h) {
  Moved moved(inputs_[input]);
  for (const auto& [index, u] : moves) moved.add(index);
  const double up = moved.move(moves, h);
  const Tensors above = values();
  const double down = -moved.move(moves, -h);
  const Tensors below = values();
  return {contract(above, below) / (up + down), contract(center_, below) / down, contract(above, center_) / up,
          8 * rounding_ / h};
}

Difference NumericDerivative::element(size_t input, int64_t index) {
  return central(input, {{index, 1.0}}, step_ * unit(input, index));
}

Difference NumericDerivative::along(size_t input, const std::vector<double>& u, int64_t first, int64_t last) {
  std::vector<std::pair<int64_t, double>> moves;
  for (int64_t e = first; e < last; ++e) moves.emplace_back(e, u[static_cast<size_t>(e)]);
  return central(input, moves, step_ / std::cbrt(static_cast<double>(last - first)));
}

Difference NumericDerivative::refined(size_t input, int64_t index) {
  constexpr int kSteps = 12;
  double table[kSteps][kSteps];
  Difference best = element(input, index);
  best.noise = std::numeric_limits<double>::infinity();
  double h = 512 * step_ * unit(input, index);
  int rows = 0;
  for (int step = 0; step < kSteps; ++step, h /= 2) {
    const Difference d = central(input, {{index, 1.0}}, h);
    if (!std::isfinite(d.value)) {  // outside the domain of f: start again with smaller steps
      rows = 0;
      continue;
    }
    double* row = table[rows];
    row[0] = d.value;
    double factor = 4;
    for (int k = 1; k <= rows; ++k, factor *= 4) {
      const double* above = table[rows - 1];
      row[k] = (factor * row[k - 1] - above[k - 1]) / (factor - 1);
      const double error = std::max(std::fabs(row[k] - row[k - 1]), std::fabs(row[k] - above[k - 1]));
      if (error <= best.noise) best.noise = error, best.value = row[k];
    }
    ++rows;
  }
  return best;
}

}  // namespace cotangent::detail
