#pragma once
#include <cotangent/optim/optimizer.hpp>

namespace cotangent::optim {

struct LionOptions {
  double lr = 1e-4;
  double betas[2] = {0.9, 0.99};  ///< how much of the momentum there is in a step, and how much of it stays
  double weight_decay = 0;
  bool maximize = false;           ///< goes up instead of down
  void fields(detail::Fields& f);  // names them, for state_dict()
};
struct LionState {
  Tensor exp_avg;                  // m
  void fields(detail::Fields& f);  // names them, for state_dict()
};

/// Steps of the same length in every element, which keep one state instead of Adam's two:
///
///     p = p - lr * weight_decay * p
///     p = p - lr * sign(beta1 * m + (1 - beta1) * g)
///     m = beta2 * m + (1 - beta2) * g
///
/// The sign of 0 is 0. As each element moves by lr, take a third to a tenth of AdamW's rate, and that much more weight
/// decay. (Chen et al., "Symbolic discovery of optimization algorithms", 2023.) A ValueError for options out of range.
using Lion = GroupedOptimizer<LionOptions, LionState>;

}  // namespace cotangent::optim
