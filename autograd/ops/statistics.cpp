#include <cotangent/autograd/ops/statistics.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce_internal.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
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

// (x - m) * factor, where the factor has the shape of the result; inputs x, m.
Gradients away_from_mean(const Backward& b, const Spread& s, const Tensor& factor) {
  const Tensor& x = b.input(0);
  return {(x - (b.creates_graph() ? mean(x, detail::listed(s.dims, x.rank()), true) : b.input(1))) * factor};
}

double divisor_of(const Tensor& x, uint32_t mask, double correction) {
  return std::max(0.0, static_cast<double>(raw::reduced_count(x.shape(), mask)) - correction);
}

}  // namespace

Tensor var(const Tensor& x, const DimList& dims, const VarOptions& options) {
  const uint32_t mask = checked_floating("var", x, dims);
  if (is_low_precision(x.dtype())) return in_float32<to>(var, x, dims, options);
  const double divisor = divisor_of(x, mask, options.correction);
  const raw::Deviation d = raw::deviation("var", x, mask);
  const Tensor y = raw::binary("var", Binary::div, d.squares, divisor);
  return finish_reduction(record("var", {x, d.mean}, y, Keep::inputs(2), Spread{mask, divisor},
                                 [](const Backward& b, const Spread& s) -> Gradients {
                                   return away_from_mean(b, s, b.grad() * (2 / s.divisor));
                                 }),
                          mask, options.keepdim);
}

Tensor std(const Tensor& x, const DimList& dims, const VarOptions& options) {
  const uint32_t mask = checked_floating("std", x, dims);
  if (is_low_precision(x.dtype())) return in_float32<to>(std, x, dims, options);
  const double divisor = divisor_of(x, mask, options.correction);
  const raw::Deviation d = raw::deviation("std", x, mask);
  const Tensor y = raw::unary("std", Unary::sqrt, raw::binary("std", Binary::div, d.squares, divisor));
  return finish_reduction(record("std", {x, d.mean}, y, Keep::inputs(2) | Keep::output(), Spread{mask, divisor},
                                 [](const Backward& b, const Spread& s) -> Gradients {
                                   const Tensor v = b.output();
                                   return away_from_mean(b, s, masked_fill(b.grad() / (v * s.divisor), v == 0, 0));
                                 }),
                          mask, options.keepdim);
}

// ---- logsumexp ----

Tensor logsumexp(const Tensor& x, const DimList& dims, bool keepdim) {
  const uint32_t mask = checked_floating("logsumexp", x, dims);
  if (is_low_precision(x.dtype())) return in_float32<to>(logsumexp, x, dims, keepdim);
  const Tensor y = record("logsumexp", {x}, raw::logsumexp("logsumexp", x, mask), Keep::input(0) | Keep::output(),
                          NoAttributes{}, [](const Backward& b, NoAttributes) -> Gradients {
                            const Tensor v = b.output();
                            const Tensor shift = masked_fill(v, v == -std::numeric_limits<double>::infinity(), 0);
                            return {b.grad() * exp(b.input(0) - shift)};
                          });
  return finish_reduction(y, mask, keepdim);
}

// ---- norm ----

namespace {

Tensor euclidean_norm(const Tensor& x, uint32_t mask) {
  const Tensor y = raw::unary("norm", Unary::sqrt, raw::sum_squares("norm", x, mask));
  return record("norm", {x}, y, Keep::input(0) | Keep::output(), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  const Tensor v = b.output();
                  return {b.input(0) * (b.grad() / masked_fill(v, v == 0, 1))};
                });
}

Tensor general_norm(const Tensor& x, double p, uint32_t mask) {
  const Tensor powers = raw::unary("norm", Unary::power, raw::unary("norm", Unary::abs, x), p);
  const Tensor y = raw::unary("norm", Unary::power, raw::sum("norm", powers, mask), 1 / p);
  return record("norm", {x}, y, Keep::input(0) | Keep::output(), p, [](const Backward& b, double e) -> Gradients {
    const Tensor& v = b.input(0);
    const Tensor n = b.output(), flat = n == 0;
    const Tensor scale = masked_fill(b.grad() / pow(masked_fill(n, flat, 1), e - 1), flat, 0);
    return {scale * sign(v) * pow(masked_fill(abs(v), v == 0, 1), e - 1)};
  });
}

Tensor count_norm(const Tensor& x, uint32_t mask) {
  const Tensor y = raw::cast(raw::sum("norm", raw::cast(x, boolean), mask), x.dtype());
  return record("norm", {x}, y, Keep::nothing(), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients { return {zeros(b.shape(0), b.dtype(0))}; });
}

}  // namespace

Tensor norm(const Tensor& x, double p, const DimList& dims, bool keepdim) {
  const uint32_t mask = checked_floating("norm", x, dims);
  if (is_low_precision(x.dtype())) return in_float32<to>(norm, x, p, dims, keepdim);
  if (p != p) fail<ValueError>("[norm] p is NaN; it must be a number, or infinity");
  const Dims list = detail::listed(mask, x.rank());
  if (std::isinf(p)) return p > 0 ? amax(abs(x), list, keepdim) : amin(abs(x), list, keepdim);
  if (p == 1) return sum(abs(x), list, keepdim);
  const Tensor y = p == 2 ? euclidean_norm(x, mask) : p == 0 ? count_norm(x, mask) : general_norm(x, p, mask);
  return finish_reduction(y, mask, keepdim);
}

}  // namespace cotangent
