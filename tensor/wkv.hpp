#pragma once
// The weighted mean of RWKV-4 without history; autograd/ops/wkv.hpp has the contract.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// All (B, T, C): the result, and after each step the mean of the values and the logarithm of their weight.
struct WkvSteps {
  Tensor y, mean, log;
};
/// All have one dtype, float32 or float64, and their shapes fit. The state (B, C) is given.
WkvSteps wkv(const Tensor& k, const Tensor& v, const Tensor& w, const Tensor& u, const Tensor& mean, const Tensor& log);

struct WkvGradients {
  Tensor k, v, w, u, mean, log;
};
/// From dy, and the gradients of the last mean and log (undefined for 0).
WkvGradients wkv_backward(const Tensor& k, const Tensor& v, const Tensor& w, const Tensor& u, const Tensor& mean,
                          const Tensor& log, const WkvSteps& steps, const Tensor& dy, const Tensor& dmean,
                          const Tensor& dlog);

}  // namespace cotangent::raw
