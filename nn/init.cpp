#include <cotangent/nn/init.hpp>

#include <cmath>
#include <numbers>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/nn/activation.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn::init {

const Tensor& constant_(const Tensor& x, double value) {
  raw::fill_into(x, value, "constant_");
  cotangent::detail::bump_version(x);
  return x;
}
const Tensor& zeros_(const Tensor& x) { return constant_(x, 0); }
const Tensor& ones_(const Tensor& x) { return constant_(x, 1); }

const Tensor& trunc_normal_(const Tensor& x, double mean, double std, double low, double high, Generator& generator) {
  if (!(low < high)) fail<ValueError>("[trunc_normal_] the range {} to {} is empty", low, high);
  if (!(std > 0 && std::isfinite(std) && std::isfinite(mean)))  // or no number would ever lie in the range
    fail<ValueError>("[trunc_normal_] mean {} and std {}; both must be finite, and std above 0", mean, std);
  // the normal distribution function and its inverse would be exact; drawing again is too, and plain
  const double z_low = (low - mean) / std, z_high = (high - mean) / std;
  if (z_low > 4 || z_high < -4)
    fail<ValueError>("[trunc_normal_] the range {} to {} is more than 4 deviations {} away from the mean {}", low, high,
                     std, mean);
  Tensor values = randn({x.numel()}, float64, generator);
  double* v = values.data<double>();
  for (int64_t i = 0; i < x.numel(); ++i)
    while (!(v[i] >= z_low && v[i] <= z_high)) v[i] = randn({}, float64, generator).item();
  for (int64_t i = 0; i < x.numel(); ++i) v[i] = mean + std * v[i];
  raw::copy_into("trunc_normal_", cotangent::detail::make_view(values, x.shape(), contiguous_strides(x.shape()), 0), x);
  cotangent::detail::bump_version(x);
  return x;
}

const Tensor& of_std_(const Tensor& x, double mean, double std, Distribution distribution, Generator& generator) {
  if (!(std >= 0 && std::isfinite(std))) fail<ValueError>("[of_std_] std {} must be 0 or more, and finite", std);
  if (std == 0) return constant_(x, mean);
  constexpr double kWidened = 1.1368472343385565;  // 1/sqrt(1 - 4 phi(2) / (2 Phi(2) - 1))
  switch (distribution) {
    case Distribution::uniform:
      return uniform_(x, mean - std::numbers::sqrt3 * std, mean + std::numbers::sqrt3 * std, generator);
    case Distribution::truncated_normal:
      return trunc_normal_(x, mean, kWidened * std, mean - 2 * kWidened * std, mean + 2 * kWidened * std, generator);
    default: return normal_(x, mean, std, generator);
  }
}

Fans fans(const Tensor& weight) {
  const Shape& s = weight.shape();
  if (s.rank() < 2)
    fail<ShapeError>(
        "[init] a weight of shape {} has no fan-in and fan-out; it must have rank 2 or more: (out, in, kernel...)", s);
  const int64_t receptive = s.slice(2, s.rank()).product();
  return {s[1] * receptive, s[0] * receptive};
}

double gain(Nonlinearity f, double slope) {
  switch (f) {
    case Nonlinearity::tanh: return 5.0 / 3;
    case Nonlinearity::relu: return std::sqrt(2.0);
    case Nonlinearity::leaky_relu: return std::sqrt(2 / (1 + slope * slope));
    case Nonlinearity::selu: return 0.75;
    default: return 1;
  }
}

double second_moment(Activation f) {
  NoGrad guard;
  constexpr int64_t kPerUnit = 1024, kReach = 12;  // kinks and steps lie between the nodes
  const int64_t count = 2 * kReach * kPerUnit;
  const Tensor z = empty({count, is_gated(f) ? 2 : 1}, float64);
  double* v = z.data<double>();
  const auto node = [](int64_t i) { return (static_cast<double>(i) + 0.5) / kPerUnit - kReach; };
  for (int64_t i = 0; i < count; ++i) {
    if (is_gated(f)) *v++ = 1;  // E (a f(b))^2 = E a^2 E f(b)^2
    *v++ = node(i);
  }
  const Tensor y = activate(f, z);
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double fz = y.data<double>()[i], x = node(i);
    sum += fz * fz * std::exp(-x * x / 2);
  }
  return sum / (kPerUnit * std::sqrt(2 * std::numbers::pi));
}

double gain(Activation f) { return 1 / std::sqrt(second_moment(f)); }

const Tensor& lecun_uniform_(const Tensor& weight, double gain, Generator& generator) {
  const double bound = gain * std::sqrt(3.0 / static_cast<double>(fans(weight).in));
  return uniform_(weight, -bound, bound, generator);
}
const Tensor& lecun_normal_(const Tensor& weight, double gain, Generator& generator) {
  return normal_(weight, 0, gain / std::sqrt(static_cast<double>(fans(weight).in)), generator);
}

const Tensor& xavier_uniform_(const Tensor& weight, double gain, Generator& generator) {
  const Fans f = fans(weight);
  const double bound = gain * std::sqrt(6.0 / static_cast<double>(f.in + f.out));
  return uniform_(weight, -bound, bound, generator);
}
const Tensor& xavier_normal_(const Tensor& weight, double gain, Generator& generator) {
  const Fans f = fans(weight);
  return normal_(weight, 0, gain * std::sqrt(2.0 / static_cast<double>(f.in + f.out)), generator);
}

namespace {
double kaiming_std(const Tensor& weight, const KaimingOptions& o) {
  const Fans f = fans(weight);
  return gain(o.nonlinearity, o.slope) / std::sqrt(static_cast<double>(o.fan == Fan::in ? f.in : f.out));
}
}  // namespace

const Tensor& kaiming_uniform_(const Tensor& weight, const KaimingOptions& options, Generator& generator) {
  const double bound = std::sqrt(3.0) * kaiming_std(weight, options);
  return uniform_(weight, -bound, bound, generator);
}
const Tensor& kaiming_normal_(const Tensor& weight, const KaimingOptions& options, Generator& generator) {
  return normal_(weight, 0, kaiming_std(weight, options), generator);
}

const Tensor& orthogonal_(const Tensor& weight, double gain, Generator& generator) {
  const Fans f = fans(weight);  // checks the rank
  if (weight.numel() == 0 || f.in == 0) return weight;
  const int64_t rows = weight.shape()[0], columns = weight.numel() / rows;
  const int64_t count = std::min(rows, columns), length = std::max(rows, columns);
  const Tensor vectors = randn({count, length}, float64, generator);
  double* v = vectors.data<double>();
  for (int64_t i = 0; i < count; ++i) {
    double* a = v + i * length;
    for (int pass = 0; pass < 2; ++pass)  // Gram and Schmidt's method, twice for accuracy
      for (int64_t j = 0; j < i; ++j) {
        const double* b = v + j * length;
        double dot = 0;
        for (int64_t k = 0; k < length; ++k) dot += a[k] * b[k];
        for (int64_t k = 0; k < length; ++k) a[k] -= dot * b[k];
      }
    double norm = 0;
    for (int64_t k = 0; k < length; ++k) norm += a[k] * a[k];
    norm = std::sqrt(norm);
    for (int64_t k = 0; k < length; ++k) a[k] /= norm;
  }
  for (int64_t i = 0; i < vectors.numel(); ++i) v[i] *= gain;
  const Strides strides = rows <= columns ? Strides{columns, 1} : Strides{1, rows};
  const Tensor matrix = raw::contiguous(cotangent::detail::make_view(vectors, {rows, columns}, strides, 0));
  raw::copy_into("orthogonal_",
                 cotangent::detail::make_view(matrix, weight.shape(), contiguous_strides(weight.shape()), 0), weight);
  cotangent::detail::bump_version(weight);
  return weight;
}

const Tensor& icnr_(const Tensor& weight, int64_t r) {
  if (r < 1) fail<ValueError>("[icnr_] upscale_factor {} must be at least 1", r);
  const int64_t area = Dims{r, r}.product("icnr_");
  if (weight.rank() < 1 || weight.shape()[0] % area != 0)
    fail<ShapeError>("[icnr_] the first dimension of a weight of shape {} must be a multiple of {}", weight.shape(),
                     area);
  Shape shape = weight.shape();
  Strides to = weight.strides();
  shape[0] /= area;
  shape.insert(1, area);
  to.insert(0, to[0] * area);
  Strides from = to;
  from[1] = 0;
  using cotangent::detail::make_view;
  raw::copy_into("icnr_", cotangent::raw::clone(make_view(weight, shape, from, 0)), make_view(weight, shape, to, 0));
  cotangent::detail::bump_version(weight);
  return weight;
}

const Tensor& bilinear_kernel_(const Tensor& weight) {
  const Shape& shape = weight.shape();
  if (shape.rank() < 3 || shape[1] < 1 || shape[0] % shape[1] != 0)
    fail<ShapeError>(
        "[bilinear_kernel_] a weight of shape {} is not (in, out/groups, kernel...) with out/groups a divisor of in",
        shape);
  const Tensor values = empty(shape, float64);
  double* v = values.data<double>();
  const int64_t cells = shape.slice(2, shape.rank()).product();
  for (int64_t i = 0; i < values.numel(); ++i) {
    const int64_t in = i / cells / shape[1], out = i / cells % shape[1];
    v[i] = in % shape[1] == out ? 1 : 0;
    int64_t rest = i;
    for (int d = shape.rank() - 1; d >= 2; rest /= shape[d--]) {
      const int64_t factor = (shape[d] + 1) / 2;
      const double center = static_cast<double>(shape[d] - 1) / 2;
      v[i] *= 1 - std::fabs(static_cast<double>(rest % shape[d]) - center) / static_cast<double>(factor);
    }
  }
  raw::copy_into("bilinear_kernel_", values, weight);
  cotangent::detail::bump_version(weight);
  return weight;
}

}  // namespace cotangent::nn::init
