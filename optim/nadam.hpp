#pragma once
#include <cotangent/optim/optimizer.hpp>

namespace cotangent::optim {

struct NAdamOptions {
  double lr = 2e-3;
  double betas[2] = {0.9, 0.999};  ///< how much of the means of the gradient and of its square stays in a step
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum_decay = 4e-3;         ///< psi: how fast the momentum grows from beta1 / 2 to beta1
  bool decoupled_weight_decay = false;  ///< as in AdamW: p shrinks by lr * weight_decay, and d is g alone
  bool maximize = false;                ///< goes up instead of down
  void fields(detail::Fields& f);       // names them, for state_dict()
};
struct NAdamState {
  int64_t step = 0;                // t
  double mu_product = 1;           // mu_1 mu_2 ... mu_t
  Tensor exp_avg, exp_avg_sq;      // m, v
  void fields(detail::Fields& f);  // names them, for state_dict()
};

/// Adam that looks ahead along its momentum, as Nesterov does. With d = g + weight_decay * p, m and v as in Adam:
///
///     mu_t = beta1 * (1 - 0.96^(t * momentum_decay) / 2)
///     p = p - lr * ((1 - mu_t) * d / (1 - mu_1 ... mu_t) + mu_{t+1} * m / (1 - mu_1 ... mu_{t+1})) / (sqrt(v') + eps)
///
/// (Dozat, "Incorporating Nesterov momentum into Adam", 2016.) PyTorch keeps the product of the mu in float32 unless
/// its default dtype is float64, whatever the parameters are; here it is a double. A ValueError for options out of
/// range.
using NAdam = GroupedOptimizer<NAdamOptions, NAdamState>;

}  // namespace cotangent::optim
