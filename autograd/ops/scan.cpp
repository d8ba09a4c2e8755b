#include <cotangent/autograd/ops/scan.hpp>

#include <limits>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/complex.hpp>
#include <cotangent/autograd/ops/complex_internal.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index_internal.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/linear_scan.hpp>
#include <cotangent/tensor/precision_internal.hpp>
#include <cotangent/tensor/scan.hpp>

namespace cotangent {
namespace {

using raw::LinearScan;

struct Direction {
  int dim;
  bool reverse;
};
Tensor running_sum(const Tensor& x, Direction way) {
  return record("cumsum", {x}, raw::cumsum(x, way.dim, way.reverse), Keep::nothing(), way,
                [](const Backward& b, Direction w) -> Gradients {
                  return {running_sum(b.grad(), {w.dim, !w.reverse})};
                });
}

/// y_t = x_(t-1), and `first` before the first; in reverse y_t = x_(t+1).
Tensor moved(const Tensor& x, const Tensor& first, Direction way) {
  const int64_t n = x.shape()[way.dim];
  if (n == 0) return x;
  const Tensor kept = narrow(x, way.dim, way.reverse ? 1 : 0, n - 1);
  return way.reverse ? cat({kept, first}, way.dim) : cat({first, kept}, way.dim);
}
/// The element that comes first: its shape, of one value.
Tensor edge(const Tensor& x, int dim, double value) {
  Shape shape = x.shape();
  shape[dim] = 1;
  return full(shape, value, x.dtype());
}

}  // namespace

Tensor cumsum(const Tensor& x, int64_t dim) {
  COTANGENT_AUTOCAST(cumsum, x, dim);
  return running_sum(x, {checked_dim("cumsum", dim, x.rank()), false});
}

// ---- linear recurrences ----

namespace {

Gradients scan_rule(const char* op, const Backward& b, const LinearScan& way);

// a has b's shape, or size 1 along the dimension; the initial state always has that. The adjoint runs the other way,
// with the factors of the place before where they were of its own, and their conjugates: so rules of any order are
// scans.
template <bool kComplex>
Tensor scan(const Tensor& a, const Tensor& b, const Tensor& initial, const LinearScan& way) {
  static constexpr const char* op = kComplex ? "complex::linear_scan" : "linear_scan";
  return record(op, {a, b, initial}, raw::linear_scan(op, a, b, initial, way),
                Keep::input(0) | Keep::input(2) | Keep::output(), way,
                [](const Backward& back, const LinearScan& w) -> Gradients { return scan_rule(op, back, w); });
}

Gradients scan_rule(const char* op, const Backward& b, const LinearScan& way) {
  const Tensor &a = b.input(0), &initial = b.input(2);
  const Direction forth{way.dim, way.reverse}, back{way.dim, !way.reverse};
  const auto times = [&](const Tensor& x, const Tensor& y, raw::Conjugated conj) {
    return way.complex ? complex::product(x, y, conj) : x * y;
  };
  Tensor da, r;
  if (b.needs(0) && !b.creates_graph() && !way.shifted && !way.conjugate) {
    const Tensor h = b.output();
    auto [of_a, of_b] = raw::linear_scan_backward(op, b.take_grad(), a, h, initial, way);
    da = of_a, r = of_b;
  } else {
    const LinearScan adjoint{way.dim, back.reverse, !way.shifted, way.complex, way.complex && !way.conjugate};
    r = (way.complex ? scan<true> : scan<false>)(a, b.grad(), {}, adjoint);
    if (b.needs(0)) {
      const Tensor h = b.output(), none = edge(h, way.dim, 0);
      const Tensor later = way.shifted ? moved(r, none, back) : r,
                   before = way.shifted ? h : moved(h, initial.defined() ? initial : none, forth);
      da = times(later, before, {way.conjugate, !way.conjugate});
      if (a.shape()[way.dim] != da.shape()[way.dim]) da = sum(da, way.dim, true);
    }
  }
  Tensor d_initial;
  if (initial.defined() && b.needs(2)) {
    const auto first = [&](const Tensor& x) { return narrow(x, way.dim, way.reverse ? x.shape()[way.dim] - 1 : 0, 1); };
    d_initial = r.shape()[way.dim] == 0 ? zeros_like(initial) : times(first(r), first(a), {false, true});
  }
  return {da, r, d_initial};
}

Tensor run_scan(const char* op, const Tensor& a, const Tensor& b, int64_t dim, const Tensor& initial, bool reverse,
                bool is_complex) {
  const int d = checked_dim(op, dim, b.rank());
  if (b.rank() == 0) fail<ShapeError>("[{}] b has no dimension to run along", op);
  if (is_complex && d == b.rank() - 1)
    fail<ShapeError>("[{}] dimension {} of b {} holds the pairs (re, im); take another", op, dim, b.shape());
  for (const Tensor* x : {&a, &b, &initial})
    if (x->defined() && (x->dtype() != b.dtype() || !x->is_floating()))
      fail<DTypeError>("[{}] an input is {} and b is {}; all must have one floating dtype", op, x->dtype(), b.dtype());
  const auto check = [&](const char* name, const Tensor& x, const Shape& shape) {
    bool fits = x.rank() <= shape.rank() && (!is_complex || (x.rank() > 0 && x.size(-1) == 2));
    for (int i = 0, j = shape.rank() - x.rank(); fits && i < x.rank(); ++i)
      fits = x.shape()[i] == 1 || x.shape()[i] == shape[j + i];
    if (!fits)
      fail<ShapeError>("[{}] {} is {}; for b {} it must broadcast to {}", op, name, x.shape(), b.shape(), shape);
  };
  Shape state = b.shape();
  state.erase(d);
  check("b", b, b.shape()), check("a", a, b.shape());
  if (initial.defined()) check("the initial state", initial, state);
  Tensor factors = a;
  while (factors.rank() < b.rank()) factors = unsqueeze(factors, 0);
  Shape shape = b.shape();
  shape[d] = factors.shape()[d];
  factors = expand(factors, shape);
  const Tensor before = initial.defined() ? unsqueeze(expand(initial, state), d) : initial;
  return (is_complex ? scan<true> : scan<false>)(factors, b, before,
                                                 {.dim = d, .reverse = reverse, .complex = is_complex});
}

}  // namespace

Tensor linear_scan(const Tensor& a, const Tensor& b, int64_t dim, const Tensor& initial, bool reverse) {
  COTANGENT_AUTOCAST(linear_scan, a, b, dim, initial, reverse);
  if (is_low_precision(b.dtype())) return in_float32<to>(linear_scan, a, b, dim, initial, reverse);
  return run_scan("linear_scan", a, b, dim, initial, reverse, false);
}
Tensor complex::linear_scan(const Tensor& a, const Tensor& b, int64_t dim, const Tensor& initial, bool reverse) {
  if (is_low_precision(b.dtype())) return in_float32<to>(complex::linear_scan, a, b, dim, initial, reverse);
  return run_scan("complex::linear_scan", a, b, dim, initial, reverse, true);
}

// ---- products, and what is made of recurrences ----

Tensor cumprod(const Tensor& x, int64_t dim) {
  COTANGENT_AUTOCAST(cumprod, x, dim);
  const int d = checked_dim("cumprod", dim, x.rank());
  if (is_low_precision(x.dtype())) return in_float32<to>(cumprod, x, dim);
  return record("cumprod", {x}, raw::cumprod(x, d), Keep::input(0) | Keep::output(), d,
                [](const Backward& b, int along) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (v.rank() == 0) return {b.grad()};
                  const Tensor before = moved(b.output(), edge(v, along, 1), {along, false});
                  return {before * scan<false>(v, b.grad(), {}, {.dim = along, .reverse = true, .shifted = true})};
                });
}

namespace {

Tensor finite_or_zero(const Tensor& x) { return where(isfinite(x), x, 0); }

// Sums relative to the maximum so far: they shrink where that rises, by factors of 1 at most.
Tensor running_logsumexp(const Tensor& x, int dim) {
  NoGrad guard;
  const Tensor in = x.detach(), top = raw::cummax(in, dim).values, shift = finite_or_zero(top);
  const Tensor before = moved(top, edge(top, dim, -std::numeric_limits<double>::infinity()), {dim, false});
  return shift + log(raw::linear_scan("logcumsumexp", exp(before - shift), exp(in - shift), {}, {.dim = dim}));
}

}  // namespace

Tensor logcumsumexp(const Tensor& x, int64_t dim) {
  COTANGENT_AUTOCAST(logcumsumexp, x, dim);
  const int d = checked_dim("logcumsumexp", dim, x.rank());
  if (!x.is_floating())
    fail<DTypeError>("[logcumsumexp] takes a floating tensor, got {}; convert it with to(float32)", x.dtype());
  if (is_low_precision(x.dtype())) return in_float32<to>(logcumsumexp, x, dim);
  if (x.rank() == 0) return x * 1;
  return record(
      "logcumsumexp", {x}, running_logsumexp(x, d), Keep::input(0) | Keep::output(), d,
      [](const Backward& b, int along) -> Gradients {
        const Tensor &v = b.input(0), y = b.output(), shift = finite_or_zero(y);
        const Tensor before = moved(y, edge(y, along, -std::numeric_limits<double>::infinity()), {along, false});
        const Tensor later =
            scan<false>(exp(before - shift), b.grad(), {}, {.dim = along, .reverse = true, .shifted = true});
        return {exp(v - shift) * later};
      });
}

static Extreme running_extreme(const char* op, raw::ValuesAndIndices (*find)(const Tensor&, int), const Tensor& x,
                               int64_t dim) {
  const int d = checked_dim(op, dim, x.rank());
  raw::ValuesAndIndices found = find(x, d);
  Tensor y[] = {std::move(found.values), std::move(found.indices)};
  record_all(op, {x}, y, Keep::output(1), d, [](const Backward& b, int along) -> Gradients {
    if (b.shape(0).rank() == 0) return {b.grad()};
    return {detail::scatter_sum(b.grad(), b.shape(0), along, b.output(1))};
  });
  return {y[0], y[1]};
}
Extreme cummax(const Tensor& x, int64_t dim) { return running_extreme("cummax", raw::cummax, x, dim); }
Extreme cummin(const Tensor& x, int64_t dim) { return running_extreme("cummin", raw::cummin, x, dim); }

}  // namespace cotangent
