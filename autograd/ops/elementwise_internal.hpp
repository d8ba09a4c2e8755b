// Private: how element-wise functions are recorded.
#pragma once
#include <tuple>
#include <utility>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>

namespace cotangent::detail {

using raw::Unary;

inline Tensor floating(const Tensor& x) { return x.is_floating() ? x : to(x, default_dtype()); }

/// Integers or bools within bounds. A bound beyond all that the dtype holds bounds nothing; another one that it does
/// not hold is a ValueError that names `op`.
Tensor clamp_integers(const char* op, const Tensor& x, const Scalar& low, const Scalar& high);

/// Records y = forward(x), where x is the first of the inputs. A temporary x is handed on as one, for forward to write
/// over it, unless the rule is to read it, and dropped, so that y becomes the only handle of its memory.
template <class X, size_t count, class Forward, class Attributes, class Rule>
[[gnu::always_inline]] inline Tensor record_over(const char* op, X&& x, const TensorRef (&inputs)[count],
                                                 Forward forward, std::type_identity_t<KeepOf<count, 1>> keep,
                                                 Attributes attributes, Rule rule) {
  const bool is_read = (keep.keep.bits() & Keep::input(0).bits()) != 0;
  if constexpr (std::is_lvalue_reference_v<X>) {
    return record(op, inputs, forward(x), keep, attributes, rule);
  } else if (is_read && should_record(inputs, count)) {
    return record(op, inputs, forward(std::as_const(x)), keep, attributes, rule);
  } else {
    Tensor y = record(op, inputs, forward(std::forward<X>(x)), keep, attributes, rule);
    x = Tensor();
    return y;
  }
}

/// What the gradient of a function of one operand reads: the argument or the result.
enum class Reads : uint8_t { x, y };

/// y = f(x, parameters...), element by element. The gradient is that of f's kernel; where it is recorded itself, it is
/// gradient(dy, what it reads, parameters...), which is written in differentiable ops. Integers are converted to
/// default_dtype(), unless f keeps them.
///
///     Tensor log(const Tensor& x) {
///       return record_unary<Unary::log, Reads::x>("log", x, [](const Tensor& dy, const Tensor& v) { return dy / v; });
///     }
template <Unary f, Reads reads, class X, class Gradient, class... Parameters>
Tensor record_unary(const char* op, X&& x, Gradient gradient, Parameters... parameters) {
  if (!x.is_floating() && !raw::keeps_integers(f))
    return record_unary<f, reads>(op, to(x, default_dtype()), gradient, parameters...);
  using Attributes = std::tuple<Parameters...>;
  const auto forward = [&](auto&& v) { return raw::unary(op, f, std::forward<decltype(v)>(v), parameters...); };
  return record_over(op, std::forward<X>(x), {x}, forward, reads == Reads::x ? Keep::input(0) : Keep::output(),
                     Attributes(parameters...), [](const Backward& b, const Attributes& attributes) -> Gradients {
                       const auto from = [&](const Tensor& kept) {
                         return std::apply(
                             [&](auto... p) {
                               if (!b.creates_graph()) return raw::unary_gradient(f, b.take_grad(), kept, p...);
                               return Gradient()(b.grad(), kept, p...);
                             },
                             attributes);
                       };
                       return {reads == Reads::x ? from(b.input(0)) : from(b.output())};
                     });
}

/// The same for an f whose slope is 0 everywhere.
template <Unary f, class... Parameters>
Tensor record_flat(const char* op, const Tensor& x, Parameters... parameters) {
  return record(op, {x}, raw::unary(op, f, x, parameters...), Keep::nothing(), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients { return {zeros_like(b.grad())}; });
}

}  // namespace cotangent::detail
