#pragma once
#include <cotangent/optim/optimizer.hpp>

namespace cotangent::optim {

struct AdamaxOptions {
  double lr = 2e-3;
  double betas[2] = {0.9, 0.999};  ///< how much of the mean of the gradient and of the largest one stays in a step
  double eps = 1e-8;
  double weight_decay = 0;
  bool maximize = false;           ///< goes up instead of down
  void fields(detail::Fields& f);  // names them, for state_dict()
};
struct AdamaxState {
  int64_t step = 0;                // t
  Tensor exp_avg, exp_inf;         // m, u
  void fields(detail::Fields& f);  // names them, for state_dict()
};

/// Adam with the largest gradient so far, which fades, in place of the root mean square:
///
///     d = g + weight_decay * p
///     m = beta1 * m + (1 - beta1) * d
///     u = max(beta2 * u, |d| + eps)
///     p = p - lr / (1 - beta1^t) * m / u
///
/// (Kingma and Ba, "Adam: a method for stochastic optimization", 2015, section 7.1; eps is PyTorch's.) A ValueError for
/// options out of range.
using Adamax = GroupedOptimizer<AdamaxOptions, AdamaxState>;

}  // namespace cotangent::optim
