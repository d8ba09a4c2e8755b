#include <cotangent/autograd/ops/math.hpp>

#include <numbers>
#include <utility>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>

namespace cotangent {
namespace {

using raw::Unary;

/// y = f(x) for a floating x; over x, if that is a temporary.
template <class X, class Rule>
Tensor apply(const char* op, Unary f, X&& x, Keep keep, Rule rule) {
  if (!x.is_floating()) return apply(op, f, to(x, default_dtype()), keep, rule);
  Tensor y = record(op, {x}, raw::unary(op, f, std::forward<X>(x)), keep, NoAttributes{}, rule);
  if constexpr (!std::is_lvalue_reference_v<X>) x = Tensor();
  return y;
}

/// y = f(x) with a gradient of 0 everywhere; integers stay as they are.
Tensor apply_flat(const char* op, Unary f, const Tensor& x) {
  if (!x.is_floating()) return x;
  return record(op, {x}, raw::unary(op, f, x), Keep::nothing(), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients { return {zeros_like(b.grad())}; });
}

}  // namespace

constexpr auto exp_rule = [](const Backward& b, NoAttributes) -> Gradients { return {b.take_grad() * b.output()}; };
Tensor exp(const Tensor& x) { return apply("exp", Unary::exp, x, Keep::output(), exp_rule); }
Tensor exp(Tensor&& x) { return apply("exp", Unary::exp, std::move(x), Keep::output(), exp_rule); }

Tensor expm1(const Tensor& x) {
  return apply("expm1", Unary::expm1, x, Keep::output(),
               [](const Backward& b, NoAttributes) -> Gradients { return {b.take_grad() * (b.output() + 1)}; });
}

Tensor log(const Tensor& x) {
  return apply("log", Unary::log, x, Keep::input(0),
               [](const Backward& b, NoAttributes) -> Gradients { return {b.take_grad() / b.input(0)}; });
}

Tensor log1p(const Tensor& x) {
  return apply("log1p", Unary::log1p, x, Keep::input(0),
               [](const Backward& b, NoAttributes) -> Gradients { return {b.take_grad() / (b.input(0) + 1)}; });
}

constexpr auto sqrt_rule = [](const Backward& b, NoAttributes) -> Gradients {
  return {b.take_grad() / (b.output() * 2)};
};
Tensor sqrt(const Tensor& x) { return apply("sqrt", Unary::sqrt, x, Keep::output(), sqrt_rule); }
Tensor sqrt(Tensor&& x) { return apply("sqrt", Unary::sqrt, std::move(x), Keep::output(), sqrt_rule); }

Tensor rsqrt(const Tensor& x) {
  return apply("rsqrt", Unary::rsqrt, x, Keep::output(), [](const Backward& b, NoAttributes) -> Gradients {
    return {b.take_grad() * pow(b.output(), 3) * -0.5};
  });
}

Tensor reciprocal(const Tensor& x) {
  return apply("reciprocal", Unary::reciprocal, x, Keep::output(),
               [](const Backward& b, NoAttributes) -> Gradients { return {neg(b.take_grad() * square(b.output()))}; });
}

Tensor square(const Tensor& x) {
  return record("square", {x}, raw::unary("square", Unary::square, x), Keep::input(0), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients { return {b.take_grad() * b.input(0) * 2}; });
}

Tensor sin(const Tensor& x) {
  return apply("sin", Unary::sin, x, Keep::input(0),
               [](const Backward& b, NoAttributes) -> Gradients { return {b.take_grad() * cos(b.input(0))}; });
}

Tensor cos(const Tensor& x) {
  return apply("cos", Unary::cos, x, Keep::input(0),
               [](const Backward& b, NoAttributes) -> Gradients { return {neg(b.take_grad() * sin(b.input(0)))}; });
}

constexpr auto tanh_rule = [](const Backward& b, NoAttributes) -> Gradients {
  if (!b.creates_graph()) return {raw::binary("tanh", raw::Binary::tanh_backward, b.take_grad(), b.output())};
  return {b.grad() * (1 - square(b.output()))};
};
Tensor tanh(const Tensor& x) { return apply("tanh", Unary::tanh, x, Keep::output(), tanh_rule); }
Tensor tanh(Tensor&& x) { return apply("tanh", Unary::tanh, std::move(x), Keep::output(), tanh_rule); }

constexpr auto sigmoid_rule = [](const Backward& b, NoAttributes) -> Gradients {
  if (!b.creates_graph()) return {raw::binary("sigmoid", raw::Binary::sigmoid_backward, b.take_grad(), b.output())};
  const Tensor y = b.output();
  return {b.grad() * y * (1 - y)};
};
Tensor sigmoid(const Tensor& x) { return apply("sigmoid", Unary::sigmoid, x, Keep::output(), sigmoid_rule); }
Tensor sigmoid(Tensor&& x) { return apply("sigmoid", Unary::sigmoid, std::move(x), Keep::output(), sigmoid_rule); }

Tensor erf(const Tensor& x) {
  return apply("erf", Unary::erf, x, Keep::input(0), [](const Backward& b, NoAttributes) -> Gradients {
    return {b.take_grad() * exp(neg(square(b.input(0)))) * (2 * std::numbers::inv_sqrtpi)};
  });
}

Tensor abs(const Tensor& x) {
  return record("abs", {x}, raw::unary("abs", Unary::abs, x), Keep::input(0), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients { return {b.take_grad() * sign(b.input(0))}; });
}

Tensor sign(const Tensor& x) {
  return record("sign", {x}, raw::unary("sign", Unary::sign, x), Keep::nothing(), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients { return {zeros_like(b.grad())}; });
}

Tensor floor(const Tensor& x) { return apply_flat("floor", Unary::floor, x); }
Tensor ceil(const Tensor& x) { return apply_flat("ceil", Unary::ceil, x); }
Tensor round(const Tensor& x) { return apply_flat("round", Unary::round, x); }
Tensor trunc(const Tensor& x) { return apply_flat("trunc", Unary::trunc, x); }

}  // namespace cotangent
