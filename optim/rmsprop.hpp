#pragma once
#include <cotangent/optim/optimizer.hpp>

namespace cotangent::optim {

struct RMSpropOptions {
  double lr = 1e-2;
  double alpha = 0.99;  ///< how much of the mean of the squares stays in a step
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;             ///< how much of the velocity stays, in [0, 1]
  bool centered = false;           ///< divides by the standard deviation instead of the root mean square
  bool maximize = false;           ///< goes up instead of down
  void fields(detail::Fields& f);  // names them, for state_dict()
};
struct RMSpropState {
  Tensor square_avg;               // v
  Tensor momentum_buffer;          // b, with momentum
  Tensor grad_avg;                 // m, when centered
  void fields(detail::Fields& f);  // names them, for state_dict()
};

/// The gradient over its root mean square:
///
///     d = g + weight_decay * p
///     v = alpha * v + (1 - alpha) * d^2
///     p = p - lr * d / (sqrt(v) + eps)
///
///     centered:   m = alpha * m + (1 - alpha) * d,   and v - m^2 stands for v in the root
///     momentum:   b = momentum * b + d / (sqrt(v) + eps),   p = p - lr * b
///
/// (Tieleman and Hinton, lecture 6.5 of "Neural networks for machine learning", 2012; centered: Graves 2013.) v - m^2
/// is not negative, but can be rounded to less than 0 when the gradient hardly changes: it is then 0 here, and NaN in
/// PyTorch. A ValueError for options out of range.
using RMSprop = GroupedOptimizer<RMSpropOptions, RMSpropState>;

}  // namespace cotangent::optim
