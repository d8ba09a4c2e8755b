#pragma once
#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

struct BatchNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;            ///< how much of a new batch goes into the running statistics
  bool affine = true;               ///< with weight and bias
  bool track_running_stats = true;  ///< keep statistics for evaluation; without, evaluation uses the batch too
  Dtype dtype = default_dtype();
};

/// What the batch normalizations have in common.
struct BatchNormLayer : Module {
  Parameter weight, bias;                                 // (C), 1 and 0 at the start
  Buffer running_mean, running_var, num_batches_tracked;  // (C), 0 and 1 at the start; a count
  double eps, momentum;
  Tensor forward(const Tensor& x);
  std::string settings() const override;

 protected:
  BatchNormLayer(int64_t channels, const BatchNormOptions& options);
  virtual void check(const Tensor& x) const = 0;
};

/// Batch normalization: batch_norm of autograd/ops/norm.hpp, by the statistics of the batch in training, and by their
/// running averages in evaluation.   BatchNorm1d: x (N, C) or (N, C, L);   BatchNorm2d: x (N, C, H, W)
/// A ShapeError for another rank or number of channels.
struct BatchNorm1d : BatchNormLayer {
  explicit BatchNorm1d(int64_t channels, const BatchNormOptions& options = {}) : BatchNormLayer(channels, options) {}
  COTANGENT_MODULE(weight, bias, running_mean, running_var, num_batches_tracked)
 protected:
  void check(const Tensor& x) const override;
};
struct BatchNorm2d : BatchNormLayer {
  explicit BatchNorm2d(int64_t channels, const BatchNormOptions& options = {}) : BatchNormLayer(channels, options) {}
  COTANGENT_MODULE(weight, bias, running_mean, running_var, num_batches_tracked)
 protected:
  void check(const Tensor& x) const override;
};

struct LayerNormOptions {
  double eps = 1e-5;
  bool affine = true;  ///< with a weight
  bool bias = true;    ///< and a bias
  Dtype dtype = default_dtype();
};

/// Layer normalization over the last dimensions, which `normalized_shape` gives: layer_norm of autograd/ops/norm.hpp.
///   x (..., *normalized_shape) -> the same shape;   weight and bias normalized_shape, 1 and 0 at the start
struct LayerNorm : Module {
  explicit LayerNorm(const Shape& normalized_shape, const LayerNormOptions& options = {});
  explicit LayerNorm(int64_t size, const LayerNormOptions& options = {}) : LayerNorm(Shape{size}, options) {}
  Parameter weight, bias;
  Shape normalized_shape;
  double eps;
  COTANGENT_MODULE(weight, bias)
  Tensor forward(const Tensor& x);
  std::string settings() const override;
};

}  // namespace cotangent::nn
