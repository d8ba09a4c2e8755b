#pragma once
#include <cotangent/optim/optimizer.hpp>

namespace cotangent::optim {

struct AdadeltaOptions {
  double lr = 1;
  double rho = 0.9;  ///< how much of the means of the squares stays in a step
  double eps = 1e-6;
  double weight_decay = 0;
  bool maximize = false;           ///< goes up instead of down
  void fields(detail::Fields& f);  // names them, for state_dict()
};
struct AdadeltaState {
  Tensor square_avg, acc_delta;    // v, u
  void fields(detail::Fields& f);  // names them, for state_dict()
};

/// Steps in the units of the parameter, which need no learning rate:
///
///     d = g + weight_decay * p
///     v = rho * v + (1 - rho) * d^2
///     delta = sqrt(u + eps) / sqrt(v + eps) * d
///     u = rho * u + (1 - rho) * delta^2
///     p = p - lr * delta
///
/// (Zeiler, "ADADELTA: an adaptive learning rate method", 2012.) A ValueError for options out of range.
using Adadelta = GroupedOptimizer<AdadeltaOptions, AdadeltaState>;

}  // namespace cotangent::optim
