#include <cotangent/autograd/ops/complex.hpp>

#include <cotangent/autograd/ops/complex_internal.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>

namespace cotangent::complex {
namespace {

void check_pairs(const char* op, const Tensor& z) {
  if (z.rank() == 0 || z.size(-1) != 2)
    fail<ShapeError>("[{}] {} holds no complex numbers; the last dimension must be the pair (re, im)", op, z.shape());
  if (!z.is_floating()) fail<DTypeError>("[{}] takes floating tensors, got {}", op, z.dtype());
}
void check_operands(const char* op, const Tensor& a, const Tensor& b) {
  check_pairs(op, a), check_pairs(op, b);
  if (a.dtype() != b.dtype())
    fail<DTypeError>("[{}] a is {} and b is {}; they must have one dtype", op, a.dtype(), b.dtype());
}
void check_parts(const char* op, const Tensor& a, const Tensor& b) {
  if (!a.is_floating() || a.dtype() != b.dtype())
    fail<DTypeError>("[{}] the parts are {} and {}; they must have one floating dtype", op, a.dtype(), b.dtype());
}

Tensor quotient(const Tensor& a, const Tensor& b, bool conj_b) {
  const Shape shape = broadcast_shapes("complex::div", a.shape(), b.shape());
  const Tensor top = expand(a, shape), below = expand(b, shape);
  return record("complex::div", {top, below}, raw::complex_divide("complex::div", top, below, {false, conj_b}),
                Keep::input(1) | Keep::output(), conj_b, [](const Backward& back, bool conj) -> Gradients {
                  const Tensor da = quotient(back.grad(), back.input(1), !conj);
                  Tensor db;
                  if (back.needs(1)) db = neg(product(da, back.output(), {conj, !conj}));
                  return {da, db};
                });
}

}  // namespace

// A primitive because the composition makes a dozen passes over memory for one. Gradients are products of the same
// kind: da = dy conj(b), or, of a conjugate, conj(dy) b.
Tensor product(const Tensor& a, const Tensor& b, raw::Conjugated conj) {
  const Shape shape = broadcast_shapes("complex::mul", a.shape(), b.shape());
  const Tensor x = expand(a, shape), y = expand(b, shape);
  return record("complex::mul", {x, y}, raw::complex_multiply("complex::mul", x, y, conj), Keep::inputs(2), conj,
                [](const Backward& back, raw::Conjugated c) -> Gradients {
                  Tensor da, db;
                  if (back.needs(0)) da = product(back.grad(), back.input(1), {c.a, c.a == c.b});
                  if (back.needs(1)) db = product(back.grad(), back.input(0), {c.b, c.a == c.b});
                  return {da, db};
                });
}

Tensor from_parts(const Tensor& re, const Tensor& im) {
  check_parts("complex::from_parts", re, im);
  const Shape shape = broadcast_shapes("complex::from_parts", re.shape(), im.shape());
  return stack({expand(re, shape), expand(im, shape)}, -1);
}
Tensor polar(const Tensor& r, const Tensor& angle) {
  check_parts("complex::polar", r, angle);
  if (is_low_precision(r.dtype())) return in_float32<to>(polar, r, angle);
  return from_parts(r * cos(angle), r * sin(angle));
}
Tensor real(const Tensor& z) {
  check_pairs("complex::real", z);
  return select(z, -1, 0);
}
Tensor imag(const Tensor& z) {
  check_pairs("complex::imag", z);
  return select(z, -1, 1);
}
Tensor conj(const Tensor& z) {
  check_pairs("complex::conj", z);
  return z * tensor({1, -1}, z.dtype());
}

Tensor mul(const Tensor& a, const Tensor& b) {
  check_operands("complex::mul", a, b);
  if (is_low_precision(a.dtype())) return in_float32<to>(mul, a, b);
  return product(a, b, {false, false});
}
Tensor div(const Tensor& a, const Tensor& b) {
  check_operands("complex::div", a, b);
  if (is_low_precision(a.dtype())) return in_float32<to>(div, a, b);
  return quotient(a, b, false);
}
Tensor exp(const Tensor& z) {
  check_pairs("complex::exp", z);
  if (is_low_precision(z.dtype())) return in_float32<to>(exp, z);
  return polar(cotangent::exp(real(z)), imag(z));
}

Tensor abs(const Tensor& z) {
  check_pairs("complex::abs", z);
  if (is_low_precision(z.dtype())) return in_float32<to>(abs, z);
  return record("complex::abs", {z}, raw::complex_abs("complex::abs", z), Keep::input(0) | Keep::output(),
                NoAttributes{}, [](const Backward& b, NoAttributes) -> Gradients {
                  const Tensor r = unsqueeze(b.output(), -1), none = r.detach() == 0;
                  return {unsqueeze(b.grad(), -1) * masked_fill(b.input(0) / masked_fill(r, none, 1), none, 0)};
                });
}

Tensor angle(const Tensor& z) {
  check_pairs("complex::angle", z);
  if (is_low_precision(z.dtype())) return in_float32<to>(angle, z);
  return record("complex::angle", {z}, raw::complex_angle("complex::angle", z), Keep::input(0), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  const Tensor &x = b.input(0), r = complex::abs(x), none = r.detach() == 0,
                               by = masked_fill(r, none, 1);
                  const Tensor turned = from_parts(neg(imag(x)), real(x));              // i z
                  const Tensor slope = turned / unsqueeze(by, -1) / unsqueeze(by, -1);  // |z|^2 might overflow
                  return {unsqueeze(b.grad(), -1) * masked_fill(slope, unsqueeze(none, -1), 0)};
                });
}

}  // namespace cotangent::complex
