#include <cotangent/autograd/ops/elementwise.hpp>

#include <cmath>
#include <utility>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/elementwise_internal.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>

namespace cotangent {
namespace {

using detail::Reads;
using detail::record_over;
using raw::Binary;
using raw::Unary;

/// The operands in one dtype and one shape. Broadcasting is an op of its own, so that no rule below sees shapes.
struct Operands {
  Operands(const char* op, const Tensor& a, const Tensor& b, bool floating = false) {
    Dtype dtype = promote(a.dtype(), b.dtype());
    if (floating && !is_floating(dtype)) dtype = default_dtype();
    const Shape shape = broadcast_shapes(op, a.shape(), b.shape());
    x = expand(to(a, dtype), shape), y = expand(to(b, dtype), shape);
  }
  Tensor x, y;
};

inline bool alike(const Tensor& a, const Tensor& b) { return a.dtype() == b.dtype() && a.shape() == b.shape(); }

const Tensor none;

template <class A, class Rule>
Tensor combine(const char* op, Binary f, A&& a, const Tensor& b, detail::KeepOf<2, 1> keep, Rule rule);
// Out of line, so that what most operands take is short.
template <class Rule>
[[gnu::noinline]] Tensor combine_unlike(const char* op, Binary f, const Tensor& a, const Tensor& b,
                                        detail::KeepOf<2, 1> keep, Rule rule) {
  const Operands o(op, a, b, f == Binary::div);
  return combine(op, f, o.x, o.y, keep, rule);
}
/// f(a, b), over a, if that is a temporary. Quotients are floating. A call less is felt in ops on a few numbers.
template <class A, class Rule>
[[gnu::always_inline]] inline Tensor combine(const char* op, Binary f, A&& a, const Tensor& b,
                                             detail::KeepOf<2, 1> keep, Rule rule) {
  if (!alike(a, b) || (f == Binary::div && !a.is_floating())) return combine_unlike(op, f, a, b, keep, rule);
  const auto forward = [&](auto&& x) { return raw::binary(op, f, std::forward<decltype(x)>(x), b); };
  return record_over(op, std::forward<A>(a), {a, b}, forward, keep, NoAttributes{}, rule);
}

/// A number as a tensor of rank 0, for ops without a scalar kernel.
Tensor constant_of(const char* op, const Scalar& s, Dtype dtype) { return raw::filled(op, {}, s, dtype); }

Dtype number_dtype(Binary f, const Tensor& x, const Scalar& s) {
  const Dtype dtype = promote(x.dtype(), s);
  return f == Binary::div && !is_floating(dtype) ? default_dtype() : dtype;
}
Tensor number_operand(const Tensor& x, const Scalar& s) { return to(x, promote(x.dtype(), s)); }

/// f(x, number), over x, if that is a temporary.
template <class X, class Attributes, class Rule>
Tensor combine(const char* op, Binary f, X&& x, const Scalar& number, Attributes attributes, Rule rule) {
  if (const Dtype dtype = number_dtype(f, x, number); dtype != x.dtype())
    return combine(op, f, to(x, dtype), number, attributes, rule);
  const auto forward = [&](auto&& v) { return raw::binary(op, f, std::forward<decltype(v)>(v), number); };
  return record_over(op, std::forward<X>(x), {x}, forward, Keep::nothing(), attributes, rule);
}

}  // namespace

constexpr auto add_rule = [](const Backward& back, NoAttributes) -> Gradients { return {back.grad(), back.grad()}; };
Tensor add(const Tensor& a, const Tensor& b) { return combine("add", Binary::add, a, b, Keep::nothing(), add_rule); }
Tensor add(Tensor&& a, const Tensor& b) {
  return combine("add", Binary::add, std::move(a), b, Keep::nothing(), add_rule);
}

constexpr auto shift_rule = [](const Backward& back, NoAttributes) -> Gradients { return {back.grad()}; };
Tensor add(const Tensor& a, const Scalar& b) { return combine("add", Binary::add, a, b, NoAttributes{}, shift_rule); }

constexpr auto sub_rule = [](const Backward& back, NoAttributes) -> Gradients {
  return {back.grad(), back.needs(1) ? neg(back.grad()) : none};
};
Tensor sub(const Tensor& a, const Tensor& b) { return combine("sub", Binary::sub, a, b, Keep::nothing(), sub_rule); }
Tensor sub(Tensor&& a, const Tensor& b) {
  return combine("sub", Binary::sub, std::move(a), b, Keep::nothing(), sub_rule);
}

Tensor sub(const Tensor& a, const Scalar& b) { return combine("sub", Binary::sub, a, b, NoAttributes{}, shift_rule); }

Tensor sub(const Scalar& a, const Tensor& b) {
  const Tensor x = number_operand(b, a);
  return record("sub", {x}, raw::binary("sub", Binary::sub, a, x), Keep::nothing(), NoAttributes{},
                [](const Backward& back, NoAttributes) -> Gradients { return {neg(back.take_grad())}; });
}

constexpr auto mul_rule = [](const Backward& back, NoAttributes) -> Gradients {
  return {back.needs(0) ? back.grad() * back.input(1) : none, back.needs(1) ? back.take_grad() * back.input(0) : none};
};
Tensor mul(const Tensor& a, const Tensor& b) { return combine("mul", Binary::mul, a, b, Keep::inputs(2), mul_rule); }
Tensor mul(Tensor&& a, const Tensor& b) {
  return combine("mul", Binary::mul, std::move(a), b, Keep::inputs(2), mul_rule);
}

constexpr auto scale_rule = [](const Backward& back, const Scalar& s) -> Gradients { return {back.take_grad() * s}; };
Tensor mul(const Tensor& a, const Scalar& b) { return combine("mul", Binary::mul, a, b, b, scale_rule); }
Tensor mul(Tensor&& a, const Scalar& b) { return combine("mul", Binary::mul, std::move(a), b, b, scale_rule); }

constexpr auto div_rule = [](const Backward& back, NoAttributes) -> Gradients {
  const Tensor da = back.take_grad() / back.input(1);
  return {da, back.needs(1) ? neg(da * back.output()) : none};
};
Tensor div(const Tensor& a, const Tensor& b) {
  return combine("div", Binary::div, a, b, Keep::input(1) | Keep::output(), div_rule);
}
Tensor div(Tensor&& a, const Tensor& b) {
  return combine("div", Binary::div, std::move(a), b, Keep::input(1) | Keep::output(), div_rule);
}

Tensor div(const Tensor& a, const Scalar& b) {
  return combine("div", Binary::div, a, b, b,
                 [](const Backward& back, const Scalar& s) -> Gradients { return {back.grad() / s}; });
}

Tensor div(const Scalar& a, const Tensor& b) {
  const Tensor x = to(b, number_dtype(Binary::div, b, a));
  return record("div", {x}, raw::binary("div", Binary::div, a, x), Keep::input(0) | Keep::output(), NoAttributes{},
                [](const Backward& back, NoAttributes) -> Gradients {
                  return {neg(back.take_grad() * back.output() / back.input(0))};
                });
}

Tensor pow(const Tensor& a, const Tensor& b) {
  COTANGENT_AUTOCAST(pow, a, b);
  return combine("pow", Binary::pow, a, b, Keep::inputs(2) | Keep::output(),
                 [](const Backward& back, NoAttributes) -> Gradients {
                   const Tensor &x = back.input(0), &e = back.input(1);
                   Tensor dx, de;
                   if (back.needs(0)) {
                     const Tensor flat = e == 0 && !isfinite(1 / x);  // x^0 does not move; keep 1/0 and NaN out of it
                     dx = where(flat, 0, back.grad() * e * pow(where(flat, 1, x), e - 1));
                   }
                   if (back.needs(1)) {
                     const Tensor flat = x == 0 && e >= 0;  // 0^e does not move; keep log(0) out of it
                     const Tensor base = where(flat, 1, x), y = back.creates_graph() ? pow(base, e) : back.output();
                     de = where(flat, 0, back.grad() * y * log(base));
                   }
                   return {dx, de};
                 });
}

Tensor pow(const Tensor& a, const Scalar& b) {
  COTANGENT_AUTOCAST(pow, a, b);
  const Tensor x = number_operand(a, b);
  const double e = b.to<double>();
  if (!x.is_floating()) return pow(x, constant_of("pow", b, x.dtype()));
  const Tensor y = e == 2     ? raw::unary("pow", Unary::square, x)
                   : e == 0.5 ? raw::unary("pow", Unary::sqrt, x)
                   : e == -1  ? raw::unary("pow", Unary::reciprocal, x)
                              : raw::unary("pow", Unary::power, x, e);
  return record("pow", {x}, y, Keep::input(0), e, [](const Backward& back, double n) -> Gradients {
    return {n == 0   ? zeros_like(back.grad())
            : n == 1 ? back.grad()
            : n == 2 ? back.take_grad() * back.input(0) * 2
                     : back.take_grad() * pow(back.input(0), n - 1) * n};
  });
}

namespace {
/// f(a, b), where low-precision operands are computed with in float32, also by the rule.
template <class Rule>
Tensor divide(const char* op, Binary f, Tensor (*self)(const Tensor&, const Tensor&), const Tensor& a, const Tensor& b,
              detail::KeepOf<2, 1> keep, Rule rule) {
  const Dtype dtype = promote(a.dtype(), b.dtype());
  return is_low_precision(dtype) ? in_float32<to>(self, to(a, dtype), to(b, dtype)) : combine(op, f, a, b, keep, rule);
}
}  // namespace

Tensor remainder(const Tensor& a, const Tensor& b) {
  return divide("remainder", Binary::remainder, remainder, a, b, Keep::inputs(2),
                [](const Backward& back, NoAttributes) -> Gradients {
                  const Tensor& dy = back.grad();
                  return {dy, back.needs(1) ? neg(dy * floor_divide(back.input(0), back.input(1))) : none};
                });
}
Tensor remainder(const Tensor& a, const Scalar& b) {
  return combine("remainder", Binary::remainder, a, b, NoAttributes{}, shift_rule);
}

Tensor fmod(const Tensor& a, const Tensor& b) {
  return divide("fmod", Binary::fmod, fmod, a, b, Keep::inputs(2) | Keep::output(),
                [](const Backward& back, NoAttributes) -> Gradients {
                  const Tensor& dy = back.grad();
                  // a - y is a multiple of b, so that the quotient rounds to the right number where a / b may not
                  return {dy, back.needs(1) ? neg(dy * round((back.input(0) - back.output()) / back.input(1))) : none};
                });
}
Tensor fmod(const Tensor& a, const Scalar& b) {
  return combine("fmod", Binary::fmod, a, b, NoAttributes{}, shift_rule);
}

constexpr auto flat_rule = [](const Backward& back, NoAttributes) -> Gradients {
  return {back.needs(0) ? zeros_like(back.grad()) : none, back.needs(1) ? zeros_like(back.grad()) : none};
};
Tensor floor_divide(const Tensor& a, const Tensor& b) {
  return combine("floor_divide", Binary::floor_divide, a, b, Keep::nothing(), flat_rule);
}
Tensor floor_divide(const Tensor& a, const Scalar& b) {
  return combine("floor_divide", Binary::floor_divide, a, b, NoAttributes{},
                 [](const Backward& back, NoAttributes) -> Gradients { return {zeros_like(back.grad())}; });
}

namespace {
// dy goes to the operand that wins, as NaN does; both get half where neither or both of them win.
Gradients split_by(const Backward& back, const Tensor& first_is_ahead, const Tensor& second_is_ahead) {
  const Dtype dtype = back.grad().dtype();
  const auto wins = [&](int i, const Tensor& ahead) { return to(ahead || isnan(back.input(i)), dtype); };
  const Tensor share = (wins(0, first_is_ahead) - wins(1, second_is_ahead)) * 0.5 + 0.5;
  return {back.needs(0) ? back.grad() * share : none, back.needs(1) ? back.grad() * (1 - share) : none};
}
}  // namespace

Tensor minimum(const Tensor& a, const Tensor& b) {
  return combine("minimum", Binary::minimum, a, b, Keep::inputs(2), [](const Backward& back, NoAttributes) {
    const Tensor &x = back.input(0), &y = back.input(1);
    return split_by(back, x < y, y < x);
  });
}

Tensor maximum(const Tensor& a, const Tensor& b) {
  return combine("maximum", Binary::maximum, a, b, Keep::inputs(2), [](const Backward& back, NoAttributes) {
    const Tensor &x = back.input(0), &y = back.input(1);
    return split_by(back, x > y, y > x);
  });
}

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  const Operands o("where", a, b);
  const Shape shape = broadcast_shapes("where", condition.shape(), o.x.shape());
  const Tensor x = expand(o.x, shape), y = expand(o.y, shape), c = expand(condition, shape);
  return record("where", {c, x, y}, raw::where("where", c, x, y), Keep::input(0), NoAttributes{},
                [](const Backward& back, NoAttributes) -> Gradients {
                  return {none, back.needs(1) ? where(back.input(0), back.grad(), 0) : none,
                          back.needs(2) ? where(back.input(0), 0, back.grad()) : none};
                });
}
Tensor where(const Tensor& condition, const Tensor& a, const Scalar& b) {
  const Tensor x = number_operand(a, b);
  return where(condition, x, constant_of("where", b, x.dtype()));
}
Tensor where(const Tensor& condition, const Scalar& a, const Tensor& b) {
  const Tensor x = number_operand(b, a);
  return where(condition, constant_of("where", a, x.dtype()), x);
}

Tensor masked_fill(const Tensor& x, const Tensor& mask, const Scalar& value) {
  if (mask.dtype() != boolean)
    fail<DTypeError>("[masked_fill] the mask must be bool, got {}; compare it first, as in mask != 0", mask.dtype());
  const Tensor m = expand(mask, x.shape());
  // an input, which may be infinite under DetectAnomaly
  const Tensor filling = constant_of("masked_fill", value, x.dtype());
  return record("masked_fill", {x, m, filling}, raw::where("masked_fill", m, filling, x), Keep::input(1),
                NoAttributes{}, [](const Backward& back, NoAttributes) -> Gradients {
                  return {masked_fill(back.grad(), back.input(1), 0), none};
                });
}

Tensor detail::clamp_integers(const char* op, const Tensor& x, const Scalar& low, const Scalar& high) {
  const Dtype dtype = x.dtype();
  const bool is_low = low.place(dtype) != Scalar::Place::below, is_high = high.place(dtype) != Scalar::Place::above;
  const Tensor y = is_low ? maximum(x, constant_of(op, low, dtype)) : x;
  return is_high ? minimum(y, constant_of(op, high, dtype)) : y;
}

Tensor clamp(const Tensor& x, const Scalar& low, const Scalar& high) {
  const double l = low.to<double>(), h = high.to<double>();
  if (!(l <= h)) fail<ValueError>("[clamp] low {} is above high {}", l, h);
  if (!x.is_floating()) return detail::clamp_integers("clamp", x, low, high);
  constexpr auto gradient = [](const Tensor& dy, const Tensor& v, double least, double most) {
    return masked_fill(dy, v < least || v > most, 0);
  };
  return detail::record_unary<Unary::clamp, Reads::x>("clamp", x, gradient, l, h);
}

namespace {
Tensor compare(const char* op, Binary f, const Tensor& a, const Tensor& b) {
  NoGrad guard;
  if (a.is_floating() != b.is_floating()) {  // float64 holds all but the largest integers, where float32 rounds
    const Operands o(op, to(a, float64), to(b, float64));
    return raw::binary(op, f, o.x, o.y);
  }
  const Operands o(op, a, b);
  return raw::binary(op, f, o.x, o.y);
}
Tensor compare(const char* op, Binary f, const Tensor& a, const Scalar& b) { return raw::binary(op, f, a, b); }
}  // namespace

Tensor eq(const Tensor& a, const Tensor& b) { return compare("eq", Binary::eq, a, b); }
Tensor ne(const Tensor& a, const Tensor& b) { return compare("ne", Binary::ne, a, b); }
Tensor lt(const Tensor& a, const Tensor& b) { return compare("lt", Binary::lt, a, b); }
Tensor le(const Tensor& a, const Tensor& b) { return compare("le", Binary::le, a, b); }
Tensor gt(const Tensor& a, const Tensor& b) { return compare("gt", Binary::gt, a, b); }
Tensor ge(const Tensor& a, const Tensor& b) { return compare("ge", Binary::ge, a, b); }
Tensor eq(const Tensor& a, const Scalar& b) { return compare("eq", Binary::eq, a, b); }
Tensor ne(const Tensor& a, const Scalar& b) { return compare("ne", Binary::ne, a, b); }
Tensor lt(const Tensor& a, const Scalar& b) { return compare("lt", Binary::lt, a, b); }
Tensor le(const Tensor& a, const Scalar& b) { return compare("le", Binary::le, a, b); }
Tensor gt(const Tensor& a, const Scalar& b) { return compare("gt", Binary::gt, a, b); }
Tensor ge(const Tensor& a, const Scalar& b) { return compare("ge", Binary::ge, a, b); }
Tensor logical_and(const Tensor& a, const Tensor& b) { return compare("logical_and", Binary::logical_and, a, b); }
Tensor logical_or(const Tensor& a, const Tensor& b) { return compare("logical_or", Binary::logical_or, a, b); }
Tensor logical_xor(const Tensor& a, const Tensor& b) { return compare("logical_xor", Binary::logical_xor, a, b); }
Tensor logical_not(const Tensor& x) { return raw::unary("logical_not", Unary::logical_not, x); }
Tensor isnan(const Tensor& x) { return raw::unary("isnan", Unary::is_nan, x); }
Tensor isfinite(const Tensor& x) { return raw::unary("isfinite", Unary::is_finite, x); }

namespace {
bool all_true(const Tensor& condition) {
  const bool* p = condition.data<bool>();
  for (int64_t i = 0; i < condition.numel(); ++i)
    if (!p[i]) return false;
  return true;
}
}  // namespace

bool equal(const Tensor& a, const Tensor& b) { return a.shape() == b.shape() && all_true(raw::contiguous(eq(a, b))); }

bool allclose(const Tensor& a, const Tensor& b, double rtol, double atol) {
  if (a.shape() != b.shape()) return false;
  NoGrad guard;
  const Tensor x = to(a, float64), y = to(b, float64);
  return all_true(raw::contiguous((le(abs(x - y), abs(y) * rtol + atol) && isfinite(y)) || eq(x, y)));
}

constexpr auto neg_rule = [](const Backward& back, NoAttributes) -> Gradients { return {neg(back.take_grad())}; };
constexpr auto negative = [](auto&& x) { return raw::unary("neg", Unary::neg, std::forward<decltype(x)>(x)); };
Tensor neg(const Tensor& x) { return record_over("neg", x, {x}, negative, Keep::nothing(), NoAttributes{}, neg_rule); }
Tensor neg(Tensor&& x) {
  return record_over("neg", std::move(x), {x}, negative, Keep::nothing(), NoAttributes{}, neg_rule);
}

}  // namespace cotangent
