#include <cotangent/nn/sequence/s4d.hpp>

#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/complex.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/fft.hpp>
#include <cotangent/autograd/ops/gated.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/nn/sequence/s4.hpp>
#include <cotangent/nn/sequence/steps_internal.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

const double kPi = std::acos(-1.0);

/// Of n = 0, 1, ..: the decay, and the frequency.
std::pair<Tensor, Tensor> starts(S4DInit init, int64_t states) {
  const int64_t half = states / 2;
  const Tensor n = arange(0, half, 1, float64), slow = full({half}, 0.5, float64);
  const auto count = static_cast<double>(states);
  switch (init) {
    case S4DInit::lin: return {slow, n * kPi};
    case S4DInit::inv: return {slow, (count / (n * 2 + 1) - 1) * (count / kPi)};
    case S4DInit::legs: return {slow, complex::imag(hippo_normal_form(states).L)};
    case S4DInit::quad: return {slow, square(n * 2 + 1) / kPi};
    case S4DInit::real: return {n + 1, zeros({half}, float64)};
    case S4DInit::random: break;
  }
  return {slow, rand({half}, float64) * (kPi * static_cast<double>(half))};
}

/// e^z - 1, right for small z, too.
Tensor complex_expm1(const Tensor& z) {
  const Tensor re = complex::real(z), im = complex::imag(z);
  return complex::from_parts(expm1(re) * cos(im) - square(sin(im / 2)) * 2, exp(re) * sin(im));
}

/// Re sum_n c_n e^(l s_n) for l < length: the powers of groups of about sqrt(length) steps, and those within a group,
/// meet in one product.   c, s (d, N, 2) -> (d, length)
Tensor exponential_sum(const Tensor& c, const Tensor& s, int64_t length) {
  const auto near = std::max<int64_t>(1, std::llround(std::sqrt(static_cast<double>(length)))),
             far = (length + near - 1) / near;
  const Tensor steps = s.to(float64);  // float32 would round the phase of late steps
  const Tensor within = complex::exp(unsqueeze(steps, 2) * reshape(arange(0, near, 1, float64), {near, 1})),
               to = complex::exp(unsqueeze(steps, 1) * reshape(arange(0, far, 1, float64) * near, {far, 1, 1}));
  const Tensor left = complex::conj(complex::mul(unsqueeze(c, 1), to.to(c.dtype())));  // (d, far, N, 2)
  const Tensor right = flatten(transpose(within, 2, 3), 1, 2).to(c.dtype());           // (d, N 2, near)
  return narrow(flatten(matmul(flatten(left, 2), right), 1), 1, 0, length);
}

}  // namespace

S4D::S4D(int64_t width, const S4DOptions& o)
    : SequenceLayer(width, true),
      out_proj(width, o.glu ? 2 * width : width, {.dtype = o.dtype}),
      discretization(o.discretization),
      glu(o.glu) {
  if (o.state < 2 || o.state % 2 != 0)
    fail<ValueError>("[S4D] a state of {} numbers; it must be an even number of them", o.state);
  const int64_t half = o.state / 2;
  const auto [decay, frequency] = starts(o.init, o.state);
  const auto for_each = [&](const Tensor& x) { return expand(x, {width, half}).to(o.dtype).contiguous(); };
  log_dt = log_steps("S4D", width, o.dt_min, o.dt_max, o.dtype);
  A_real = for_each(log(decay));
  A_imag = for_each(frequency);
  C = init::normal_(empty({width, half, 2}, o.dtype), 0, std::sqrt(0.5));
  D = randn({width}, o.dtype);
}

std::string S4D::settings() const {
  return fmt::format("{}, state = {}{}", width(), 2 * A_imag.size(1), glu ? "" : ", glu = false");
}

S4D::Steps S4D::steps(Dtype dtype) const {
  const Tensor a = complex::from_parts(neg(exp(A_real.to(dtype))), A_imag.to(dtype)),
               dt = reshape(exp(log_dt.to(dtype)), {width(), 1, 1}), step = a * dt;
  if (discretization == Discretization::zero_order_hold) return {step, complex::div(complex_expm1(step), a)};
  // (1 + f step) / (1 - (1 - f) step), where f of the step is taken with the state before it
  const double f = discretization == Discretization::forward_euler ? 1
                   : discretization == Discretization::bilinear    ? 0.5
                                                                   : 0;
  const Tensor one = tensor({1, 0}, dtype), below = one - step * (1 - f), ratio = complex::div(one + step * f, below);
  return {complex::from_parts(log(complex::abs(ratio)), complex::angle(ratio)), complex::div(one * dt, below)};
}

Tensor S4D::kernel(int64_t length) const {
  const Dtype in = compute_dtype(C.dtype());
  const auto [exponent, input] = steps(in);
  return exponential_sum(complex::mul(C.to(in), input) * 2, exponent, length);
}

Tensor S4D::run(const Tensor& x, const SequenceCall& call, StreamState* state) {
  check_no_mask(call);
  const Tensor u = call.key_mask.defined() ? masked_fill(x, unsqueeze(!call.key_mask, 2), 0) : x;
  const Dtype in = compute_dtype(x.dtype());
  const Tensor signal = u.to(in);
  Tensor y;
  if (S4DState* own = fields<S4DState>(state)) {
    const auto [exponent, input] = steps(in);
    const Tensor terms = unsqueeze(unsqueeze(signal, 3), 4) * input;
    const Tensor h = complex::linear_scan(complex::exp(exponent), terms, 1, own->h);
    own->h = select(h, 1, h.size(1) - 1);
    y = sum(h * complex::conj(C.to(in)), {3, 4}) * 2;
  } else {
    y = transpose(fft_conv1d(transpose(signal, 1, 2), kernel(x.size(1))), 1, 2);
  }
  y = (y + D.to(in) * signal).to(x.dtype());
  y = out_proj(gelu(y));
  return glu ? cotangent::glu(y, 2) : y;
}

}  // namespace cotangent::nn
