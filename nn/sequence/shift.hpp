#pragma once
// What a token sees of its nearest neighbours, for layers that carry a state: the token before it, or a few of them.
#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

/// The token before each: x (B, T, d) -> (B, T, d), 0 before the first. With `last` (B, 1, d), the token before x in a
/// stream (undefined for 0), which then becomes the last of x.
Tensor token_shift(const Tensor& x, Tensor* last = nullptr);

struct CausalConvOptions {
  bool bias = true;
  Dtype dtype = default_dtype();
};

/// A filter for each channel, over a token and the k - 1 before it, with zeros before the first.
///
///     y_t = bias + sum over i < k of weight_i * x_{t - k + 1 + i}
///
///   x (B, T, C) -> the same shape;   weight (C, 1, k) and bias (C) are those of a PyTorch Conv1d with one channel a
///   group, and start as there, uniform in [-1/sqrt(k), 1/sqrt(k)]
/// With `last` (B, k - 1, C), the tokens before x in a stream (undefined for 0), which then become the last ones. A
/// ValueError for a size below 1.
struct CausalConv : Module {
  CausalConv(int64_t channels, int64_t size, const CausalConvOptions& options = {});
  Parameter weight, bias;
  COTANGENT_MODULE(weight, bias)
  Tensor forward(const Tensor& x, Tensor* last = nullptr);
  std::string settings() const override;
};

}  // namespace cotangent::nn
