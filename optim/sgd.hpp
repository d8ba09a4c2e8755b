#pragma once
#include <cotangent/optim/optimizer.hpp>

namespace cotangent::optim {

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;             ///< how much of the velocity stays, in [0, 1]
  double dampening = 0;            ///< how much of a new gradient is left out of the velocity, in [0, 1]
  double weight_decay = 0;         ///< adds weight_decay * p to the gradient
  bool nesterov = false;           ///< looks ahead along the velocity
  bool maximize = false;           ///< goes up instead of down
  void fields(detail::Fields& f);  // names them, for state_dict()
  void check() const;              // what the ranges do not say
};
struct SGDState {
  Tensor momentum_buffer;          // v
  void fields(detail::Fields& f);  // names them, for state_dict()
};

/// Gradient descent with momentum. With g the gradient of p (its negative under `maximize`):
///
///     d = g + weight_decay * p
///     v = momentum * v + (1 - dampening) * d          v = d in the first step
///     p = p - lr * v                                  Nesterov: p - lr * (d + momentum * v)
///
/// (Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013; here, as in PyTorch,
/// the learning rate multiplies the velocity and is no part of it.) A ValueError for options out of range, and for
/// Nesterov without momentum or with dampening.
using SGD = GroupedOptimizer<SGDOptions, SGDState>;

}  // namespace cotangent::optim
