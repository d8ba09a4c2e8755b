#include <cotangent/autograd/ops/resolvent.hpp>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>
#include <cotangent/tensor/resolvent.hpp>

namespace cotangent {
namespace {

/// With the matrices (C, N, L/2 + 1) that the kernel does without.
Tensor composite(std::span<const Tensor> in, const void* attributes) {
  const int64_t length = *static_cast<const int64_t*>(attributes);
  const Tensor &a = in[0], &b = in[1], places = raw::resolvent_places(length, a.dtype()), x = select(places, 0, 0),
               y = select(places, 0, 1);
  const Tensor re = square(unsqueeze(in[2], -1) * y) - square(x), im = unsqueeze(in[3], -1) * (x * y) * -2,
               size = square(re) + square(im), inverse_re = re / size, inverse_im = -im / size;
  const Tensor real = x * matmul(a, inverse_im) + y * matmul(b, inverse_re),
               imaginary = x * matmul(a, inverse_re) - y * matmul(b, inverse_im);
  return stack({real * -2, imaginary * 2}, 2);
}

}  // namespace

Tensor resolvent_sums(const Tensor& v, const Tensor& mu, int64_t length) {
  constexpr const char* op = "resolvent_sums";
  if (mu.rank() != 3 || mu.size(2) != 2 || v.shape() != Shape{mu.size(0), 4, mu.size(1), 2})
    fail<ShapeError>("[{}] weights {} for poles {}; they must be (C, 4, N, 2) and (C, N, 2)", op, v.shape(),
                     mu.shape());
  if (!v.is_floating() || v.dtype() != mu.dtype())
    fail<DTypeError>("[{}] the weights are {} and the poles {}; they must have one floating dtype", op, v.dtype(),
                     mu.dtype());
  if (length < 1) fail<ValueError>("[{}] the length is {}; it must be at least 1", op, length);
  if (is_low_precision(v.dtype())) return in_float32<to>(resolvent_sums, v, mu, length);
  // a pole and its conjugate over one denominator, which is real but for one term
  const Tensor mu_re = select(mu, -1, 0), mu_im = select(mu, -1, 1), a = select(v, -1, 0),
               b = a * unsqueeze(mu_re, 1) + select(v, -1, 1) * unsqueeze(mu_im, 1),
               r = sqrt(square(mu_re) + square(mu_im));
  return record(op, {a, b, r, mu_re}, raw::resolvent_sums(a, b, r, mu_re, length), Keep::inputs(4), length,
                [](const Backward& back, const int64_t& n) -> Gradients {
                  if (back.creates_graph()) return back.through(composite, &n);
                  auto d = raw::resolvent_sums_backward(back.grad(), back.input(0), back.input(1), back.input(2),
                                                        back.input(3), n);
                  return {d.a, d.b, d.r, d.rho};
                });
}

}  // namespace cotangent
