#pragma once
#include <cotangent/optim/optimizer.hpp>

namespace cotangent::optim {

struct RAdamOptions {
  double lr = 1e-3;
  double betas[2] = {0.9, 0.999};  ///< how much of the means of the gradient and of its square stays in a step
  double eps = 1e-8;
  double weight_decay = 0;
  bool decoupled_weight_decay = false;  ///< as in AdamW: p shrinks by lr * weight_decay, and d is g alone
  bool maximize = false;                ///< goes up instead of down
  void fields(detail::Fields& f);       // names them, for state_dict()
};
struct RAdamState {
  int64_t step = 0;                // t
  Tensor exp_avg, exp_avg_sq;      // m, v
  void fields(detail::Fields& f);  // names them, for state_dict()
};

/// Adam that warms up by itself: it waits with dividing by sqrt(v) until v has seen enough. With d = g + weight_decay *
/// p, m, v and m' as in Adam:
///
///     rho_inf = 2 / (1 - beta2) - 1                    the number of gradients that v averages over in the end
///     rho = rho_inf - 2 t beta2^t / (1 - beta2^t)      and now
///     rho <= 5:   p = p - lr * m'
///     else:       p = p - lr * m' * r * sqrt(1 - beta2^t) / (sqrt(v) + eps)
///                 r = sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho))
///
/// (Liu et al., "On the variance of the adaptive learning rate and beyond", 2020.) A ValueError for options out of
/// range.
using RAdam = GroupedOptimizer<RAdamOptions, RAdamState>;

}  // namespace cotangent::optim
