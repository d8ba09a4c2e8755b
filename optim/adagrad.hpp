#pragma once
#include <cotangent/optim/optimizer.hpp>

namespace cotangent::optim {

struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0;
  double weight_decay = 0;
  double initial_accumulator_value = 0;  ///< s before the first step
  double eps = 1e-10;
  bool maximize = false;           ///< goes up instead of down
  void fields(detail::Fields& f);  // names them, for state_dict()
};
struct AdagradState {
  int64_t step = 0;                // t
  Tensor sum;                      // s
  void fields(detail::Fields& f);  // names them, for state_dict()
};

/// Steps that shrink as gradients add up, for each element by itself: rare features keep large steps.
///
///     d = g + weight_decay * p
///     s = s + d^2
///     p = p - lr / (1 + (t - 1) * lr_decay) * d / (sqrt(s) + eps)
///
/// (Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization", 2011.) A
/// ValueError for options out of range.
using Adagrad = GroupedOptimizer<AdagradOptions, AdagradState>;

}  // namespace cotangent::optim
