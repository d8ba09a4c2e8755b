#pragma once
#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

struct LinearOptions {
  bool bias = true;
  Dtype dtype = default_dtype();
};

/// y = x * weight^T + bias.
///   x (..., in) -> (..., out);   weight (out, in), bias (out)
/// Both start uniform in [-1/sqrt(in), 1/sqrt(in)], as in PyTorch.
struct Linear : Module {
  Linear(int64_t in, int64_t out, const LinearOptions& options = {});
  Parameter weight, bias;
  COTANGENT_MODULE(weight, bias)
  Tensor forward(const Tensor& x);
  std::string settings() const override;
};

}  // namespace cotangent::nn
