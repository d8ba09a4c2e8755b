#include <cotangent/optim/clip.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/optim.hpp>

namespace cotangent::optim {
namespace {

/// The sum of |x|^p, or the largest |x| for p = infinity.
double power_sum(const Tensor& x, double p) {
  const Tensor dense = raw::contiguous(raw::cast(x, float64));
  const double* v = dense.data<double>();
  double sum = 0;
  for (int64_t i = 0; i < dense.numel(); ++i)
    if (std::isinf(p))
      sum = std::isnan(v[i]) || std::fabs(v[i]) > sum ? std::fabs(v[i]) : sum;
    else
      sum += std::pow(std::fabs(v[i]), p);
  return sum;
}

}  // namespace

double clip_grad_norm_(const Tensors& parameters, double max_norm, const ClipOptions& options) {
  const double p = options.norm_type;
  if (!(max_norm >= 0)) fail<ValueError>("[clip_grad_norm_] max_norm is {}; it must be 0 or more", max_norm);
  if (!(p > 0)) fail<ValueError>("[clip_grad_norm_] norm_type is {}; it must be above 0, or infinity", p);
  double norm = 0;
  for (const Tensor& parameter : parameters) {
    const Tensor& g = parameter.grad();
    if (!g.defined()) continue;
    if (p == 2) {
      norm += raw::sum_of_squares(g);
    } else {
      const double part = power_sum(g, p);
      norm = !std::isinf(p) ? norm + part : std::isnan(part) || part > norm ? part : norm;
    }
  }
  norm = p == 2 ? std::sqrt(norm) : std::isinf(p) ? norm : std::pow(norm, 1 / p);
  if (options.error_if_nonfinite && !std::isfinite(norm))
    fail<ValueError>(
        "[clip_grad_norm_] the norm of the gradients is {}; run the step under a DetectAnomaly guard to see which op "
        "made "
        "it so",
        norm);
  const double scale = max_norm / (norm + 1e-6);  // as PyTorch: never a division by 0
  if (scale >= 1) return norm;
  NoGrad guard;
  for (const Tensor& parameter : parameters)
    if (Tensor g = parameter.grad(); g.defined()) g.mul_(scale);
  return norm;
}

void clip_grad_value_(const Tensors& parameters, double limit) {
  if (!(limit >= 0)) fail<ValueError>("[clip_grad_value_] the limit is {}; it must be 0 or more", limit);
  NoGrad guard;
  for (const Tensor& parameter : parameters)
    if (const Tensor& g = parameter.grad(); g.defined()) {
      raw::unary_into("clip_grad_value_", raw::Unary::clamp, g, g, -limit, limit);
      cotangent::detail::bump_version(g);
    }
}

}  // namespace cotangent::optim
