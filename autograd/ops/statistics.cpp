#include <cotangent/autograd/ops/statistics.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce_internal.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/precision_internal.hpp>
#include <cotangent/tensor/reduce.hpp>

namespace cotangent {
namespace {

using detail::finish_reduction;
using raw::Binary;
using raw::Unary;

uint32_t checked_floating(const char* op, const Tensor& x, const DimList& dims) {
  if (!x.is_floating())
    fail<DTypeError>("[{}] takes a floating tensor, got {}; convert it with to(float32)", op, x.dtype());
  return checked_dims(op, dims, x.rank());
}

}  // namespace

// ---- variance ----

namespace {

struct Spread {
  uint32_t dims;
  double divisor;
};

// (x - m) * factor, where the factor has the shape of the result; inputs x, m, and what rounding took from m.
Gradients away_from_mean(const Backward& b, const Spread& s, const Tensor& factor) {
  const Tensor &x = b.input(0), &rest = b.input(2);
  Tensor d = x - b.input(1);
  if (b.creates_graph())
    d = d - mean(d, detail::listed(s.dims, x.rank()), true);
  else if (rest.defined())
    d = d - rest;
  return {d * factor};
}

double divisor_of(const Tensor& x, uint32_t mask, double correction) {
  return std::max(0.0, static_cast<double>(raw::reduced_count(x.shape(), mask)) - correction);
}

}  // namespace

Tensor var(const Tensor& x, const DimList& dims, const VarOptions& options) {
  COTANGENT_AUTOCAST(var, x, dims, options);
  const uint32_t mask = checked_floating("var", x, dims);
  if (is_low_precision(x.dtype())) return in_float32<to>(var, x, dims, options);
  const double divisor = divisor_of(x, mask, options.correction);
  const raw::Deviation d = raw::deviation("var", x, mask);
  const Tensor y = raw::binary("var", Binary::div, d.squares, divisor);
  return finish_reduction(record("var", {x, d.mean, d.rest}, y, Keep::inputs(3), Spread{mask, divisor},
                                 [](const Backward& b, const Spread& s) -> Gradients {
                                   return away_from_mean(b, s, b.grad() * (2 / s.divisor));
                                 }),
                          mask, options.keepdim);
}

Tensor std(const Tensor& x, const DimList& dims, const VarOptions& options) {
  COTANGENT_AUTOCAST(std, x, dims, options);
  const uint32_t mask = checked_floating("std", x, dims);
  if (is_low_precision(x.dtype())) return in_float32<to>(std, x, dims, options);
  const double divisor = divisor_of(x, mask, options.correction);
  const raw::Deviation d = raw::deviation("std", x, mask);
  const Tensor y = raw::unary("std", Unary::sqrt, raw::binary("std", Binary::div, d.squares, divisor));
  return finish_reduction(record("std", {x, d.mean, d.rest}, y, Keep::inputs(3) | Keep::output(), Spread{mask, divisor},
                                 [](const Backward& b, const Spread& s) -> Gradients {
                                   const Tensor v = b.output();
                                   return away_from_mean(b, s, masked_fill(b.grad() / (v * s.divisor), v == 0, 0));
                                 }),
                          mask, options.keepdim);
}

// ---- logsumexp ----

Tensor logsumexp(const Tensor& x, const DimList& dims, bool keepdim) {
  COTANGENT_AUTOCAST(logsumexp, x, dims, keepdim);
  const uint32_t mask = checked_floating("logsumexp", x, dims);
  if (is_low_precision(x.dtype())) return in_float32<to>(logsumexp, x, dims, keepdim);
  const auto [result, shift, total] = raw::logsumexp("logsumexp", x, mask);
  // e^(x - result) would lose the logarithm of the sum where the maximum is large
  const Tensor y = record("logsumexp", {x, shift, total}, result, Keep::inputs(3), mask,
                          [](const Backward& b, uint32_t reduced) -> Gradients {
                            const Tensor e = exp(b.input(0) - b.input(1));
                            Tensor all = b.input(2);
                            const Tensor none = all == 0;
                            if (b.creates_graph()) all = sum(e, detail::listed(reduced, e.rank()), true);
                            return {e * (b.grad() / masked_fill(all, none, 1))};
                          });
  return finish_reduction(y, mask, keepdim);
}

// ---- norm ----

namespace {

/// Whether no element is so large or so near to 0 that bits are lost.
bool is_in_range(const Tensor& x) {
  const Tensor dense = raw::contiguous(x);
  return dispatch_compute("norm", x.dtype(), [&]<class T> {
    using Limits = std::numeric_limits<T>;
    const T* v = dense.data<T>();
    return std::all_of(v, v + dense.numel(), [](T e) {
      const T size = std::fabs(e);
      return size >= Limits::min() / Limits::epsilon() && size <= Limits::max();
    });
  });
}

/// sum |x|^p
Tensor sum_powers(const Tensor& x, double p, uint32_t mask) {
  if (p == 2) return raw::sum_squares("norm", x, mask);
  return raw::sum("norm", raw::unary("norm", Unary::power, raw::unary("norm", Unary::abs, x), p), mask);
}

Tensor raw_norm(const Tensor& x, double p, uint32_t mask) {
  const auto root = [p](const Tensor& sums) {
    return p == 2 ? raw::unary("norm", Unary::sqrt, sums) : raw::unary("norm", Unary::power, sums, 1 / p);
  };
  const Tensor sums = sum_powers(x, p, mask);
  if (x.numel() == 0 || is_in_range(sums)) return root(sums);
  // again, in units of the element that counts most, unless that is 0, infinite or NaN
  const Tensor sizes = raw::unary("norm", Unary::abs, x);
  const Tensor most = p > 0 ? raw::amax("norm", sizes, mask) : raw::amin("norm", sizes, mask);
  const Tensor usable = raw::unary("norm", Unary::is_finite, raw::unary("norm", Unary::log, most));
  const Tensor unit = raw::where("norm", usable, most, raw::filled("norm", {}, 1, x.dtype()));
  const Tensor scaled = raw::binary("norm", Binary::div, x, unit);
  return raw::binary("norm", Binary::mul, root(sum_powers(scaled, p, mask)), unit);
}

Tensor power_norm(const Tensor& x, double p, uint32_t mask) {
  return record("norm", {x}, raw_norm(x, p, mask), Keep::input(0) | Keep::output(), p,
                [](const Backward& b, double e) -> Gradients {
                  const Tensor& v = b.input(0);
                  const Tensor n = b.output(), flat = n == 0, divisor = masked_fill(n, flat, 1);
                  if (e == 2 && !b.creates_graph()) {  // in one pass, where that is exact
                    const Tensor factor = b.grad() / divisor;
                    if (is_in_range(factor)) return {v * factor};
                  }
                  const Tensor ratio = v / divisor, dy = masked_fill(b.grad(), flat, 0);
                  if (e == 2) return {ratio * dy};
                  return {sign(v) * pow(masked_fill(abs(ratio), v == 0, 1), e - 1) * dy};
                });
}

Tensor count_norm(const Tensor& x, uint32_t mask) {
  const Tensor y = raw::cast(raw::sum("norm", raw::cast(x, boolean), mask), x.dtype());
  return record("norm", {x}, y, Keep::nothing(), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients { return {zeros(b.shape(0), b.dtype(0))}; });
}

}  // namespace

Tensor norm(const Tensor& x, double p, const DimList& dims, bool keepdim) {
  COTANGENT_AUTOCAST(norm, x, p, dims, keepdim);
  const uint32_t mask = checked_floating("norm", x, dims);
  if (is_low_precision(x.dtype())) return in_float32<to>(norm, x, p, dims, keepdim);
  if (p != p) fail<ValueError>("[norm] p is NaN; it must be a number, or infinity");
  const Dims list = detail::listed(mask, x.rank());
  if (std::isinf(p)) return p > 0 ? amax(abs(x), list, keepdim) : amin(abs(x), list, keepdim);
  if (p == 1) return sum(abs(x), list, keepdim);
  return finish_reduction(p == 0 ? count_norm(x, mask) : power_norm(x, p, mask), mask, keepdim);
}

}  // namespace cotangent
