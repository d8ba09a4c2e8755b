#pragma once
#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

/// In training, sets each element to 0 with probability p and divides the others by 1 - p; in evaluation, gives x
/// itself. The numbers come from default_generator(). A ValueError unless p is in [0, 1].
struct Dropout : Module {
  explicit Dropout(double p = 0.5);
  double p;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x);
  std::string settings() const override;
};

/// Dropout for networks of SELU, which keeps the mean 0 and the variance 1: see alpha_dropout.
struct AlphaDropout : Module {
  explicit AlphaDropout(double p = 0.5);
  double p;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x);
  std::string settings() const override;
};

}  // namespace cotangent::nn
