#pragma once
// Adam and AdamW differ in one line: where the weight decay goes.
//
//     Adam                                              AdamW
//     d = g + weight_decay * p                          d = g
//     m = beta1 * m + (1 - beta1) * d                   the same
//     v = beta2 * v + (1 - beta2) * d^2                 the same
//                                                       p = p - lr * weight_decay * p
//     p = p - lr * m' / (sqrt(v') + eps)                the same
//
// with m' = m / (1 - beta1^t) and v' = v / (1 - beta2^t) after t steps, which undoes the start of m and v at 0. In Adam
// the decay is part of what is divided by sqrt(v'): weights with large gradients hardly decay. In AdamW all decay
// alike. amsgrad puts the largest v so far in the place of v, before the correction (as PyTorch computes it; its
// documentation shows the largest v').
#include <cotangent/optim/optimizer.hpp>

namespace cotangent::optim {

struct AdamOptions {
  double lr = 1e-3;
  double betas[2] = {0.9, 0.999};  ///< how much of the means of the gradient and of its square stays in a step
  double eps = 1e-8;               ///< added to the root of the mean square
  double weight_decay = 0;
  bool amsgrad = false;                 ///< divide by the largest mean square so far
  bool decoupled_weight_decay = false;  ///< makes it AdamW
  bool maximize = false;                ///< goes up instead of down
  void fields(detail::Fields& f);       // names them, for state_dict()
};
struct AdamWOptions {
  double lr = 1e-3;
  double betas[2] = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 1e-2;
  bool amsgrad = false;
  bool maximize = false;
  void fields(detail::Fields& f);  // names them, for state_dict()
};
struct AdamState {
  int64_t step = 0;                // t
  Tensor exp_avg;                  // m
  Tensor exp_avg_sq;               // v
  Tensor max_exp_avg_sq;           // of amsgrad
  void fields(detail::Fields& f);  // names them, for state_dict()
};

/// Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2015; amsgrad: Reddi et al. 2018).
/// The means of low-precision parameters are kept in float32. A ValueError for options out of range.
using Adam = GroupedOptimizer<AdamOptions, AdamState>;

/// AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019).
using AdamW = GroupedOptimizer<AdamWOptions, AdamState>;

}  // namespace cotangent::optim
