#include <cotangent/autograd/gradcheck/numeric_internal.hpp>

#include <memory>
#include <numeric>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent::detail {
namespace {

int64_t offset_of(const Tensor& x, int64_t index) {
  if (x.is_contiguous()) return index;
  int64_t offset = 0;
  for (int d = x.rank() - 1; d >= 0; --d) {
    offset += index % x.shape()[d] * x.strides()[d];
    index /= x.shape()[d];
  }
  return offset;
}

/// Elements of a tensor that move, put back when it goes.
class MovedElements {
 public:
  MovedElements(const Tensor& x, const Moves& moves) : x_(x), moves_(moves), before_(moves.places.size()) {
    const double* p = in_order();
    for (size_t i = 0; i < before_.size(); ++i) before_[i] = p ? p[moves_.places[i]] : element_at(x_, moves_.places[i]);
  }
  ~MovedElements() { set(0); }
  MovedElements(const MovedElements&) = delete;
  MovedElements& operator=(const MovedElements&) = delete;
  /// Moves all by h. Returns the step that was really made, if there is one element, whose sum with h is rounded.
  double by(double h) {
    set(h);
    if (before_.size() != 1) return h;
    return (element_at(x_, moves_.places[0]) - before_[0]) / moves_.weights[0];
  }

 private:
  /// The memory of x where places are found at once, as they must be in millions of elements.
  double* in_order() const { return x_.dtype() == float64 && x_.is_contiguous() ? x_.data<double>() : nullptr; }
  void set(double h) {
    if (double* p = in_order()) {
      for (size_t i = 0; i < before_.size(); ++i) p[moves_.places[i]] = before_[i] + h * moves_.weights[i];
    } else {
      for (size_t i = 0; i < before_.size(); ++i) set_element(x_, moves_.places[i], before_[i] + h * moves_.weights[i]);
    }
    bump_version(x_);
  }

  const Tensor& x_;
  const Moves& moves_;
  std::vector<double> before_;
};

constexpr double kResidue = 0.1;  // what is small may be left of a difference: its rounding is that of larger values

}  // namespace

double element_at(const Tensor& x, int64_t index) {
  if (x.dtype() == float64) return x.data<double>()[offset_of(x, index)];
  return dispatch(x.dtype(), [&]<class T> { return static_cast<double>(x.data<T>()[offset_of(x, index)]); });
}

void set_element(const Tensor& x, int64_t index, double value) {
  if (x.dtype() == float64) {
    x.data<double>()[offset_of(x, index)] = value;
    return;
  }
  dispatch(x.dtype(), [&]<class T> {
    if constexpr (is_low_precision(dtype_of<T>))
      x.data<T>()[offset_of(x, index)] = T(static_cast<float>(value));
    else
      x.data<T>()[offset_of(x, index)] = static_cast<T>(value);
  });
}

Shape element_index(const Shape& shape, int64_t index) {
  Shape result = shape;
  for (int d = shape.rank() - 1; d >= 0; --d) result[d] = index % shape[d], index /= shape[d];
  return result;
}

double epsilon_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::float32: return 0x1p-23;
    case Dtype::float16: return 0x1p-10;
    case Dtype::bfloat16: return 0x1p-7;
    default: return 0x1p-52;
  }
}

std::vector<double> elements_of(const Tensor& x) {
  std::vector<double> all(static_cast<size_t>(x.numel()));
  const Tensor dense = raw::contiguous(x.detach());
  dispatch(x.dtype(), [&]<class T> {
    std::transform(dense.data<T>(), dense.data<T>() + all.size(), all.begin(),
                   [](T v) { return static_cast<double>(v); });
  });
  return all;
}

uint64_t CheckRandom::bits() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

NumericDerivative::NumericDerivative(CheckedFunction& f, const Tensors& inputs, const Tensors& cotangents, double step)
    : f_(f), inputs_(inputs), epsilon_(epsilon_of(float64)) {
  for (const Tensor& v : cotangents) cotangents_.push_back(elements_of(v));
  center_ = values();
  for (const Tensor& y : center_) {
    largest_.push_back(0);
    for (double v : elements_of(y))
      if (std::isfinite(v)) largest_.back() = std::max(largest_.back(), std::fabs(v));
  }
  for (const Tensor& x : inputs) epsilon_ = std::max(epsilon_, epsilon_of(x.dtype()));
  for (const Tensor& y : center_) epsilon_ = std::max(epsilon_, epsilon_of(y.dtype()));
  step_ = step > 0 ? step : std::sqrt(std::sqrt(epsilon_));
  measure_noise();
}

Moves NumericDerivative::element(size_t input, int64_t index) const {
  return {input, {index}, {1}, std::max(std::fabs(element_at(inputs_[input], index)), 0.01)};
}

Tensors NumericDerivative::values() {
  Tensors ys = f_.call(inputs_, false);
  for (Tensor& y : ys) {
    const bool owned = is_sole_owner(y) && y.is_contiguous();
    y = owned ? y : raw::clone(raw::contiguous(y.detach()));  // the output may be an input itself, which moves on
  }
  return ys;
}

// sum(v * (a - b)): differences first, so that what does not change adds neither value nor rounding. Parts of a fixed
// size, so that any number of threads gives the same.
NumericDerivative::Sums NumericDerivative::contract(const Tensors& below, const Tensors& above) const {
  constexpr size_t kPart = size_t{1} << 15;
  Sums sums;
  for (size_t k = 0; k < cotangents_.size(); ++k) {
    const std::vector<double>& v = cotangents_[k];
    const double epsilon = epsilon_of(above[k].dtype()), least = kResidue * largest_[k];
    std::vector<Sums> parts((v.size() + kPart - 1) / kPart);
    dispatch(above[k].dtype(), [&]<class T> {
      const T *a = above[k].data<T>(), *b = below[k].data<T>(), *c = center_[k].data<T>();
      parallel_for(0, static_cast<int64_t>(parts.size()), 1, [&](int64_t first, int64_t last) {
        for (auto p = static_cast<size_t>(first); p < static_cast<size_t>(last); ++p)
          for (size_t i = p * kPart; i < std::min(v.size(), (p + 1) * kPart); ++i)
            parts[p].add(v[i], static_cast<double>(b[i]), static_cast<double>(c[i]), static_cast<double>(a[i]), epsilon,
                         least);
      });
    });
    for (const Sums& part : parts) {
      sums.all += part.all, sums.left += part.left, sums.right += part.right, sums.squares += part.squares;
      sums.hidden = std::max(sums.hidden, part.hidden);
    }
  }
  sums.rounding = noise_factor_ * std::sqrt(sums.squares);
  return sums;
}

Central NumericDerivative::central(const Moves& moves, double h, double& largest) {
  MovedElements moved(inputs_[moves.input], moves);
  const double up = moved.by(h);
  const Tensors above = values();
  const double down = -moved.by(-h);
  const Sums sums = contract(values(), above);
  // an output that rounding alone moves may be the same at the next step
  largest = std::max(largest, sums.rounding);
  const double shorter = std::min(up, down);
  return {sums.all / (up + down), sums.left / down, sums.right / up, largest / shorter, sums.hidden / shorter};
}

Difference NumericDerivative::quick(const Moves& moves) {
  Extrapolation table;
  double rounding = 0;
  for (const double part : {1.0, 0.5}) {
    const Central c = central(moves, part * step_ * moves.scale, rounding);
    if (!std::isfinite(c.value)) break;
    table.add(c);
  }
  return table.best();
}

Difference NumericDerivative::refined(const Moves& moves, int evaluations) {
  double rounding = 0;
  return extrapolate([&](double h) { return central(moves, h, rounding); }, moves.scale, evaluations);
}

std::vector<double> NumericDerivative::column(const Moves& moves) {
  std::vector<double> coarse, fine;
  MovedElements moved(inputs_[moves.input], moves);
  for (std::vector<double>* derivative : {&coarse, &fine}) {
    const double h = (derivative == &coarse ? 1 : 0.5) * step_ * moves.scale;
    const double up = moved.by(h);
    const Tensors above = values();
    const double down = -moved.by(-h);
    const Tensors below = values();
    for (size_t k = 0; k < above.size(); ++k) {
      const std::vector<double> p = elements_of(above[k]), q = elements_of(below[k]);
      for (size_t i = 0; i < p.size(); ++i) derivative->push_back(p[i] == q[i] ? 0 : (p[i] - q[i]) / (up + down));
    }
  }
  for (size_t i = 0; i < fine.size(); ++i) fine[i] += (fine[i] - coarse[i]) / 3;
  return fine;
}

bool NumericDerivative::has_influence(size_t input) {
  Moves moves{input, std::vector<int64_t>(static_cast<size_t>(inputs_[input].numel())), elements_of(inputs_[input]), 1};
  std::iota(moves.places.begin(), moves.places.end(), 0);
  for (double& w : moves.weights) w = std::max(std::fabs(w), 0.01);
  for (const double h : {1.0, -3.0, 100.0, -1000.0}) {
    MovedElements moved(inputs_[input], moves);
    moved.by(h);
    try {
      const Tensors there = values();
      for (size_t k = 0; k < there.size(); ++k)
        if (elements_of(there[k]) != elements_of(center_[k])) return true;  // also where they are NaN there
    } catch (const std::exception&) {
      return true;  // it looks at the input
    }
  }
  return false;
}

void NumericDerivative::measure_noise() {
  const double spacing = 0x1p12 * epsilon_;
  CheckRandom random(7);
  for (int trial = 0; trial < 2; ++trial) {  // what rounds in step with one distance does not with another
    std::vector<Moves> all;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      Moves m{i, std::vector<int64_t>(static_cast<size_t>(inputs_[i].numel())), {}, 1};
      std::iota(m.places.begin(), m.places.end(), 0);
      // odd numbers of units in the last place: the inputs themselves are not rounded, and all their bits change
      for (const double x : elements_of(inputs_[i])) {
        const double odd = 1 + 0x1p-12 * static_cast<double>(2 * random.below(2048) + 1);
        const int exponent = std::isfinite(x) ? std::ilogb(std::max(std::fabs(x), 0.01)) : 0;
        m.weights.push_back(std::copysign(std::ldexp(odd, exponent), random.weight()));
      }
      all.push_back(std::move(m));
    }
    std::array<double, 8> sums{};
    double predicted = 0;
    for (size_t place = 0; place < sums.size(); ++place) {
      std::vector<std::unique_ptr<MovedElements>> displaced;
      for (const Moves& m : all) {
        displaced.push_back(std::make_unique<MovedElements>(inputs_[m.input], m));
        displaced.back()->by(spacing * static_cast<double>(place + 1));
      }
      const Sums change = contract(center_, values());
      sums[place] = change.right;
      predicted = std::max(predicted, change.rounding / noise_factor_);
    }
    const double noise = noise_of(sums);
    if (predicted > 0 && std::isfinite(noise)) noise_factor_ = std::max(noise_factor_, noise / predicted);
  }
}

}  // namespace cotangent::detail
