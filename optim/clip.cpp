#include <cotangent/optim/clip.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/statistics.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/optim.hpp>

namespace cotangent::optim {
namespace {

/// The norm of all gradients as one vector.
double norm_of(const Tensors& gradients, double p) {
  if (p == 2) {
    double squares = 0;
    for (const Tensor& g : gradients) squares += raw::sum_of_squares(g);
    if (squares >= 0x1p-969 && std::isfinite(squares)) return std::sqrt(squares);
  }
  std::vector<double> norms;  // norm() stays in range where the squares of float64 don't
  for (const Tensor& g : gradients)
    if (g.numel() > 0) norms.push_back(norm(g.to(float64), p).item());
  return norms.empty() ? 0 : norm(from_vector(norms, {std::ssize(norms)}), p).item();
}

}  // namespace

double clip_grad_norm_(const Tensors& parameters, double max_norm, const ClipOptions& options) {
  const double p = options.norm_type;
  if (!(max_norm >= 0)) fail<ValueError>("[clip_grad_norm_] max_norm is {}; it must be 0 or more", max_norm);
  if (!(p > 0)) fail<ValueError>("[clip_grad_norm_] norm_type is {}; it must be above 0, or infinity", p);
  NoGrad guard;
  Tensors gradients;
  gradients.reserve(parameters.size());
  for (const Tensor& parameter : parameters)
    if (parameter.grad().defined()) gradients.push_back(parameter.grad());
  const double norm = norm_of(gradients, p);
  if (options.error_if_nonfinite && !std::isfinite(norm))
    fail<ValueError>(
        "[clip_grad_norm_] the norm of the gradients is {}; run the step under a DetectAnomaly guard to see which op "
        "made "
        "it so",
        norm);
  const double scale = max_norm / (norm + 1e-6);  // as PyTorch: never a division by 0
  if (scale >= 1) return norm;
  for (Tensor& g : gradients) {
    if (scale < 0x1p-126 && g.dtype() != float64)  // not among the full numbers of float32: a factor in two parts
      g.mul_(0x1p-100).mul_(scale * 0x1p100);
    else
      g.mul_(scale);
  }
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
