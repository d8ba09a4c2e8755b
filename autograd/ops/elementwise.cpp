#include <cotangent/autograd/ops/elementwise.hpp>

#include <cmath>
#include <utility>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace {

using raw::Binary;

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

bool alike(const Tensor& a, const Tensor& b) { return a.dtype() == b.dtype() && a.shape() == b.shape(); }

const Tensor none;

/// f(a, b) of operands that are alike, with a rule that reads neither; over a, if that is a temporary.
template <class A, class Rule>
Tensor combine(const char* op, Binary f, A&& a, const Tensor& b, Rule rule) {
  Tensor y = record(op, {a, b}, raw::binary(op, f, std::forward<A>(a), b), Keep::nothing(), NoAttributes{}, rule);
  if constexpr (!std::is_lvalue_reference_v<A>) a = Tensor();
  return y;
}

/// A number as a tensor of rank 0, for ops without a scalar kernel.
Tensor constant_of(const Scalar& s, Dtype dtype) { return full({}, s, dtype); }

Tensor number_operand(const Tensor& x, const Scalar& s, bool floating = false) {
  const Dtype dtype = promote(x.dtype(), s);
  return to(x, floating && !is_floating(dtype) ? default_dtype() : dtype);
}

}  // namespace

constexpr auto add_rule = [](const Backward& back, NoAttributes) -> Gradients { return {back.grad(), back.grad()}; };
Tensor add(const Tensor& a, const Tensor& b) {
  if (!alike(a, b)) {
    const Operands o("add", a, b);
    return add(o.x, o.y);
  }
  return combine("add", Binary::add, a, b, add_rule);
}
Tensor add(Tensor&& a, const Tensor& b) {
  return alike(a, b) ? combine("add", Binary::add, std::move(a), b, add_rule) : add(std::as_const(a), b);
}

Tensor add(const Tensor& a, const Scalar& b) {
  const Tensor x = number_operand(a, b);
  return record("add", {x}, raw::binary("add", Binary::add, x, b), Keep::nothing(), NoAttributes{},
                [](const Backward& back, NoAttributes) -> Gradients { return {back.grad()}; });
}

constexpr auto sub_rule = [](const Backward& back, NoAttributes) -> Gradients {
  return {back.grad(), back.needs(1) ? neg(back.grad()) : none};
};
Tensor sub(const Tensor& a, const Tensor& b) {
  if (!alike(a, b)) {
    const Operands o("sub", a, b);
    return sub(o.x, o.y);
  }
  return combine("sub", Binary::sub, a, b, sub_rule);
}
Tensor sub(Tensor&& a, const Tensor& b) {
  return alike(a, b) ? combine("sub", Binary::sub, std::move(a), b, sub_rule) : sub(std::as_const(a), b);
}

Tensor sub(const Tensor& a, const Scalar& b) {
  const Tensor x = number_operand(a, b);
  return record("sub", {x}, raw::binary("sub", Binary::sub, x, b), Keep::nothing(), NoAttributes{},
                [](const Backward& back, NoAttributes) -> Gradients { return {back.grad()}; });
}

Tensor sub(const Scalar& a, const Tensor& b) {
  const Tensor x = number_operand(b, a);
  return record("sub", {x}, raw::binary("sub", Binary::sub, a, x), Keep::nothing(), NoAttributes{},
                [](const Backward& back, NoAttributes) -> Gradients { return {neg(back.take_grad())}; });
}

Tensor mul(const Tensor& a, const Tensor& b) {
  if (!alike(a, b)) {
    const Operands o("mul", a, b);
    return mul(o.x, o.y);
  }
  return record("mul", {a, b}, raw::binary("mul", Binary::mul, a, b), Keep::inputs(2), NoAttributes{},
                [](const Backward& back, NoAttributes) -> Gradients {
                  return {back.needs(0) ? back.grad() * back.input(1) : none,
                          back.needs(1) ? back.take_grad() * back.input(0) : none};
                });
}

namespace {
template <class A>
Tensor scaled(A&& a, const Scalar& b) {
  Tensor y = record("mul", {a}, raw::binary("mul", Binary::mul, std::forward<A>(a), b), Keep::nothing(), b,
                    [](const Backward& back, const Scalar& s) -> Gradients { return {back.take_grad() * s}; });
  if constexpr (!std::is_lvalue_reference_v<A>) a = Tensor();
  return y;
}
}  // namespace

Tensor mul(const Tensor& a, const Scalar& b) {
  const Tensor x = number_operand(a, b);
  return scaled(x, b);
}
Tensor mul(Tensor&& a, const Scalar& b) { return a.is_floating() ? scaled(std::move(a), b) : mul(std::as_const(a), b); }

Tensor div(const Tensor& a, const Tensor& b) {
  if (!alike(a, b) || !a.is_floating()) {
    const Operands o("div", a, b, true);
    return div(o.x, o.y);
  }
  return record("div", {a, b}, raw::binary("div", Binary::div, a, b), Keep::input(1) | Keep::output(), NoAttributes{},
                [](const Backward& back, NoAttributes) -> Gradients {
                  const Tensor da = back.take_grad() / back.input(1);
                  return {da, back.needs(1) ? neg(da * back.output()) : none};
                });
}

Tensor div(const Tensor& a, const Scalar& b) {
  const Tensor x = number_operand(a, b, true);
  return record("div", {x}, raw::binary("div", Binary::div, x, b), Keep::nothing(), b,
                [](const Backward& back, const Scalar& s) -> Gradients { return {back.grad() / s}; });
}

Tensor div(const Scalar& a, const Tensor& b) {
  const Tensor x = number_operand(b, a, true);
  return record("div", {x}, raw::binary("div", Binary::div, a, x), Keep::input(0) | Keep::output(), NoAttributes{},
                [](const Backward& back, NoAttributes) -> Gradients {
                  return {neg(back.take_grad() * back.output() / back.input(0))};
                });
}

Tensor pow(const Tensor& a, const Tensor& b) {
  if (!alike(a, b)) {
    const Operands o("pow", a, b);
    return pow(o.x, o.y);
  }
  return record("pow", {a, b}, raw::binary("pow", Binary::pow, a, b), Keep::inputs(2) | Keep::output(), NoAttributes{},
                [](const Backward& back, NoAttributes) -> Gradients {
                  const Tensor &x = back.input(0), &e = back.input(1);
                  Tensor dx, de;
                  if (back.needs(0)) dx = where(e == 0, 0, back.grad() * e * pow(x, e - 1));
                  if (back.needs(1)) {
                    const Tensor flat = x == 0 && e >= 0;  // 0^e does not move; keep log(0) out of it
                    de = where(flat, 0, back.grad() * back.output() * log(where(flat, 1, x)));
                  }
                  return {dx, de};
                });
}

Tensor pow(const Tensor& a, const Scalar& b) {
  const Tensor x = number_operand(a, b);
  const double e = b.to<double>();
  if (!x.is_floating()) return pow(x, constant_of(b, x.dtype()));
  const Tensor y = e == 2     ? raw::unary("pow", raw::Unary::square, x)
                   : e == 0.5 ? raw::unary("pow", raw::Unary::sqrt, x)
                   : e == -1  ? raw::unary("pow", raw::Unary::reciprocal, x)
                              : raw::unary("pow", raw::Unary::power, x, e);
  return record("pow", {x}, y, Keep::input(0), e, [](const Backward& back, double n) -> Gradients {
    return {n == 0   ? zeros_like(back.grad())
            : n == 1 ? back.grad()
            : n == 2 ? back.take_grad() * back.input(0) * 2
                     : back.take_grad() * pow(back.input(0), n - 1) * n};
  });
}

Tensor remainder(const Tensor& a, const Tensor& b) {
  if (!alike(a, b)) {
    const Operands o("remainder", a, b);
    return remainder(o.x, o.y);
  }
  return record("remainder", {a, b}, raw::binary("remainder", Binary::remainder, a, b), Keep::inputs(2), NoAttributes{},
                [](const Backward& back, NoAttributes) -> Gradients {
                  return {back.grad(), back.needs(1) ? neg(back.grad() * floor(back.input(0) / back.input(1))) : none};
                });
}

namespace {
// The share of dy that goes to the operand that wins; both get half where they are equal.
Gradients split_by(const Backward& back, const Tensor& first_wins) {
  const Tensor share =
      to(first_wins, back.grad().dtype()) + to(back.input(0) == back.input(1), back.grad().dtype()) * 0.5;
  return {back.needs(0) ? back.grad() * share : none, back.needs(1) ? back.grad() * (1 - share) : none};
}
}  // namespace

Tensor minimum(const Tensor& a, const Tensor& b) {
  if (!alike(a, b)) {
    const Operands o("minimum", a, b);
    return minimum(o.x, o.y);
  }
  return record("minimum", {a, b}, raw::binary("minimum", Binary::minimum, a, b), Keep::inputs(2), NoAttributes{},
                [](const Backward& back, NoAttributes) { return split_by(back, back.input(0) < back.input(1)); });
}

Tensor maximum(const Tensor& a, const Tensor& b) {
  if (!alike(a, b)) {
    const Operands o("maximum", a, b);
    return maximum(o.x, o.y);
  }
  return record("maximum", {a, b}, raw::binary("maximum", Binary::maximum, a, b), Keep::inputs(2), NoAttributes{},
                [](const Backward& back, NoAttributes) { return split_by(back, back.input(0) > back.input(1)); });
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
  return where(condition, x, constant_of(b, x.dtype()));
}
Tensor where(const Tensor& condition, const Scalar& a, const Tensor& b) {
  const Tensor x = number_operand(b, a);
  return where(condition, constant_of(a, x.dtype()), x);
}

Tensor masked_fill(const Tensor& x, const Tensor& mask, const Scalar& value) {
  if (mask.dtype() != boolean)
    fail<DTypeError>("[masked_fill] the mask must be bool, got {}; compare it first, as in mask != 0", mask.dtype());
  const Tensor m = expand(mask, x.shape());
  return record("masked_fill", {x, m}, raw::where("masked_fill", m, constant_of(value, x.dtype()), x), Keep::input(1),
                NoAttributes{}, [](const Backward& back, NoAttributes) -> Gradients {
                  return {masked_fill(back.grad(), back.input(1), 0), none};
                });
}

Tensor clamp(const Tensor& x, double low, double high) {
  if (!(low <= high)) fail<ValueError>("[clamp] low {} is above high {}", low, high);
  struct Bounds {
    double low, high;
  };
  if (!x.is_floating()) {  // infinity has no integer: leave out the bound that is not there
    const Tensor y = std::isinf(low) ? x : maximum(x, constant_of(low, x.dtype()));
    return std::isinf(high) ? y : minimum(y, constant_of(high, x.dtype()));
  }
  return record("clamp", {x}, raw::unary("clamp", raw::Unary::clamp, x, low, high), Keep::input(0), Bounds{low, high},
                [](const Backward& back, Bounds bounds) -> Gradients {
                  if (!back.creates_graph())
                    return {raw::binary("clamp", Binary::clamp_backward, back.take_grad(), back.input(0), bounds.low,
                                        bounds.high)};
                  return {masked_fill(back.grad(), back.input(0) < bounds.low || back.input(0) > bounds.high, 0)};
                });
}

namespace {
Tensor compare(const char* op, Binary f, const Tensor& a, const Tensor& b) {
  NoGrad guard;
  const Operands o(op, a, b);
  return raw::binary(op, f, o.x, o.y);
}
Tensor compare(const char* op, Binary f, const Tensor& a, const Scalar& b) {
  NoGrad guard;
  const Tensor x = number_operand(a, b);
  return raw::binary(op, f, x, b);
}
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
Tensor logical_not(const Tensor& x) { return raw::unary("logical_not", raw::Unary::logical_not, x); }
Tensor isnan(const Tensor& x) { return raw::unary("isnan", raw::Unary::is_nan, x); }
Tensor isfinite(const Tensor& x) { return raw::unary("isfinite", raw::Unary::is_finite, x); }

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

namespace {
// f(a, b) over a, or where that would be seen, the function that records it
Tensor over(const char* op, Binary f, Tensor&& a, const Tensor& b, Tensor (*recorded)(const Tensor&, const Tensor&)) {
  const TensorRef inputs[] = {a, b};
  if (!alike(a, b) || !a.is_floating() || detail::should_record(inputs, 2)) return recorded(a, b);
  return raw::binary(op, f, std::move(a), b);
}
}  // namespace

Tensor mul(Tensor&& a, const Tensor& b) { return over("mul", Binary::mul, std::move(a), b, mul); }
Tensor div(Tensor&& a, const Tensor& b) { return over("div", Binary::div, std::move(a), b, div); }

namespace {
template <class X>
Tensor negative(X&& x) {
  Tensor y = record("neg", {x}, raw::unary("neg", raw::Unary::neg, std::forward<X>(x)), Keep::nothing(), NoAttributes{},
                    [](const Backward& back, NoAttributes) -> Gradients { return {neg(back.take_grad())}; });
  if constexpr (!std::is_lvalue_reference_v<X>) x = Tensor();
  return y;
}
}  // namespace

Tensor neg(const Tensor& x) { return negative(x); }
Tensor neg(Tensor&& x) { return negative(std::move(x)); }

}  // namespace cotangent
