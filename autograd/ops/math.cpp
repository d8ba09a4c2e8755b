#include <cotangent/autograd/ops/math.hpp>

#include <numbers>
#include <utility>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/elementwise_internal.hpp>

namespace cotangent {

using detail::Reads;
using detail::record_flat;
using detail::record_unary;
using raw::Unary;

constexpr auto exp_gradient = [](const Tensor& dy, const Tensor& y) { return dy * y; };
Tensor exp(const Tensor& x) {
  COTANGENT_AUTOCAST(exp, x);
  return record_unary<Unary::exp, Reads::y>("exp", x, exp_gradient);
}
Tensor exp(Tensor&& x) {
  COTANGENT_AUTOCAST(exp, x);
  return record_unary<Unary::exp, Reads::y>("exp", std::move(x), exp_gradient);
}

Tensor expm1(const Tensor& x) {
  COTANGENT_AUTOCAST(expm1, x);
  return record_unary<Unary::expm1, Reads::y>("expm1", x,
                                              [](const Tensor& dy, const Tensor& y) { return dy * (y + 1); });
}

Tensor log(const Tensor& x) {
  COTANGENT_AUTOCAST(log, x);
  return record_unary<Unary::log, Reads::x>("log", x, [](const Tensor& dy, const Tensor& v) { return dy / v; });
}

Tensor log1p(const Tensor& x) {
  COTANGENT_AUTOCAST(log1p, x);
  return record_unary<Unary::log1p, Reads::x>("log1p", x,
                                              [](const Tensor& dy, const Tensor& v) { return dy / (v + 1); });
}

constexpr auto sqrt_gradient = [](const Tensor& dy, const Tensor& y) { return dy / (y * 2); };
Tensor sqrt(const Tensor& x) { return record_unary<Unary::sqrt, Reads::y>("sqrt", x, sqrt_gradient); }
Tensor sqrt(Tensor&& x) { return record_unary<Unary::sqrt, Reads::y>("sqrt", std::move(x), sqrt_gradient); }

Tensor rsqrt(const Tensor& x) {
  COTANGENT_AUTOCAST(rsqrt, x);
  return record_unary<Unary::rsqrt, Reads::y>("rsqrt", x,
                                              [](const Tensor& dy, const Tensor& y) { return dy * pow(y, 3) * -0.5; });
}

Tensor reciprocal(const Tensor& x) {
  COTANGENT_AUTOCAST(reciprocal, x);
  return record_unary<Unary::reciprocal, Reads::y>(
      "reciprocal", x, [](const Tensor& dy, const Tensor& y) { return neg(dy * square(y)); });
}

Tensor square(const Tensor& x) {
  return record_unary<Unary::square, Reads::x>("square", x,
                                               [](const Tensor& dy, const Tensor& v) { return dy * v * 2; });
}

Tensor sin(const Tensor& x) {
  return record_unary<Unary::sin, Reads::x>("sin", x, [](const Tensor& dy, const Tensor& v) { return dy * cos(v); });
}

Tensor cos(const Tensor& x) {
  return record_unary<Unary::cos, Reads::x>("cos", x,
                                            [](const Tensor& dy, const Tensor& v) { return neg(dy * sin(v)); });
}

constexpr auto tanh_gradient = [](const Tensor& dy, const Tensor& y) { return dy * (1 - square(y)); };
Tensor tanh(const Tensor& x) { return record_unary<Unary::tanh, Reads::y>("tanh", x, tanh_gradient); }
Tensor tanh(Tensor&& x) { return record_unary<Unary::tanh, Reads::y>("tanh", std::move(x), tanh_gradient); }

constexpr auto sigmoid_gradient = [](const Tensor& dy, const Tensor& y) { return dy * y * (1 - y); };
Tensor sigmoid(const Tensor& x) { return record_unary<Unary::sigmoid, Reads::y>("sigmoid", x, sigmoid_gradient); }
Tensor sigmoid(Tensor&& x) { return record_unary<Unary::sigmoid, Reads::y>("sigmoid", std::move(x), sigmoid_gradient); }

Tensor erf(const Tensor& x) {
  return record_unary<Unary::erf, Reads::x>("erf", x, [](const Tensor& dy, const Tensor& v) {
    return dy * exp(neg(square(v))) * (2 * std::numbers::inv_sqrtpi);
  });
}

Tensor abs(const Tensor& x) {
  return record_unary<Unary::abs, Reads::x>("abs", x, [](const Tensor& dy, const Tensor& v) { return dy * sign(v); });
}

Tensor sign(const Tensor& x) { return record_flat<Unary::sign>("sign", x); }

Tensor floor(const Tensor& x) { return x.is_floating() ? record_flat<Unary::floor>("floor", x) : x; }
Tensor ceil(const Tensor& x) { return x.is_floating() ? record_flat<Unary::ceil>("ceil", x) : x; }
Tensor round(const Tensor& x) { return x.is_floating() ? record_flat<Unary::round>("round", x) : x; }
Tensor trunc(const Tensor& x) { return x.is_floating() ? record_flat<Unary::trunc>("trunc", x) : x; }

}  // namespace cotangent
