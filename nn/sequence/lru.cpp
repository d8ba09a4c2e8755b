#include <cotangent/nn/sequence/lru.hpp>

#include <cmath>

#include <cotangent/autograd/ops/complex.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

/// Numbers in (0, 1]: of 0 there would be no logarithm.
Tensor positive_uniform(int64_t n) { return 1 - rand({n}, float64); }

}  // namespace

LRU::LRU(int64_t width, const LRUOptions& o) : SequenceLayer(width, true) {
  const int64_t n = o.states == 0 ? width : o.states;
  if (width < 1 || n < 1) fail<ValueError>("[LRU] {} states for a width of {}; both must be 1 at least", n, width);
  if (!(0 <= o.min_radius && o.min_radius <= o.max_radius && o.max_radius <= 1 && o.max_phase > 0))
    fail<ValueError>("[LRU] radii from {} to {} and phases to {}; they must be 0 <= min <= max <= 1, and above 0",
                     o.min_radius, o.max_radius, o.max_phase);
  // |lambda|^2 is uniform, below 1 whatever the radius
  const double low = o.min_radius * o.min_radius, high = std::min(o.max_radius * o.max_radius, 1 - 1e-6);
  const Tensor square = clamp(positive_uniform(n) * (high - low) + low, 1e-12, high);
  nu_log = log(log(square) * -0.5).to(o.dtype);
  theta_log = log(positive_uniform(n) * o.max_phase).to(o.dtype);
  gamma_log = (log1p(neg(square)) * 0.5).to(o.dtype);
  const auto spread = [&](const Shape& shape, int64_t count) {
    return init::normal_(empty(shape, o.dtype), 0, 1 / std::sqrt(static_cast<double>(count)));
  };
  B = spread({n, 2, width}, 2 * width);
  C = spread({width, n, 2}, n);
  D = spread({width}, 1);
}

std::string LRU::settings() const {
  const int64_t n = nu_log.size(0);
  return fmt::format("{}{}", width(), n == width() ? "" : fmt::format(", states = {}", n));
}

Tensor LRU::eigenvalues() const {
  const Dtype in = compute_dtype(nu_log.dtype());
  return complex::polar(exp(neg(exp(nu_log.to(in)))), exp(theta_log.to(in)));
}

Tensor LRU::run(const Tensor& x, const SequenceCall& call, StreamState* state) {
  check_no_mask(call);
  const Tensor u = call.key_mask.defined() ? masked_fill(x, unsqueeze(!call.key_mask, 2), 0) : x;
  const int64_t n = nu_log.size(0);
  const Tensor input = reshape(B * reshape(exp(gamma_log), {n, 1, 1}), {2 * n, width()}),
               output = reshape(complex::conj(C), {width(), 2 * n});  // Re(C h) = C_re h_re - C_im h_im
  const Tensor terms = unflatten(linear(u, input), 2, {n, 2}).to(compute_dtype(x.dtype()));
  LRUState* own = fields<LRUState>(state);
  const Tensor h = complex::linear_scan(eigenvalues(), terms, 1, own ? own->h : Tensor());
  if (own) own->h = select(h, 1, h.size(1) - 1);
  return linear(flatten(h, 2).to(x.dtype()), output) + D * u;
}

}  // namespace cotangent::nn
