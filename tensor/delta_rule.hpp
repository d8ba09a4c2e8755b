#pragma once
// The scan of the generalised delta rule, without history; autograd/ops/delta_rule.hpp says what it is.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// q, z, b and k are (B, H, T, m), v (B, H, T, n), log_decay (B, H, T, m) or (B, H, T, 1) or undefined for 0, the state
/// (B, H, m, n) or undefined for 0. All have one dtype, float32 or float64.
struct DeltaInputs {
  Tensor q, z, b, k, v, log_decay, state;
};
/// (B, H, T, n) and (B, H, m, n).
struct DeltaProduct {
  Tensor y, state;
};
DeltaProduct delta_product(const DeltaInputs& x);
/// The gradients of all inputs, those of the undefined ones too, but for log_decay. dstate may be undefined for 0.
DeltaInputs delta_product_backward(const DeltaInputs& x, const Tensor& dy, const Tensor& dstate);

}  // namespace cotangent::raw
