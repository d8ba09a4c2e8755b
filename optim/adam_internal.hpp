#pragma once
// What Adam and its kin have in common.
#include <cotangent/optim/rule.hpp>

namespace cotangent::optim::detail {

/// A step with the numbers that come from the options as they are: betas, eps and the weight decay, which shrinks the
/// parameter when it is decoupled and is part of d otherwise.
template <class Options>
kernels::AdamStep adam_step(const Options& o) {
  bool decoupled = true;  // as in AdamW, which has no such option
  if constexpr (requires { o.decoupled_weight_decay; }) decoupled = o.decoupled_weight_decay;
  return {.beta1 = o.betas[0],
          .beta2 = o.betas[1],
          .eps = o.eps,
          .weight_decay = decoupled ? 0 : o.weight_decay,
          .shrink = decoupled ? 1 - o.lr * o.weight_decay : 1};
}

}  // namespace cotangent::optim::detail
