#pragma once
#include <cotangent/nn/activation.hpp>
#include <cotangent/nn/container.hpp>

namespace cotangent::nn {

struct BatchNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;            ///< how much of a new batch goes into the running statistics
  bool affine = true;               ///< with weight and bias
  bool track_running_stats = true;  ///< keep statistics for evaluation; without, evaluation uses the batch too
  Activation activation = Activation::identity;  ///< of the result: relu, relu6 and hardtanh cost nothing here
  Dtype dtype = default_dtype();
};

/// What the batch normalizations have in common.
struct BatchNormLayer : Module {
  Parameter weight, bias;                                 // (C), 1 and 0 at the start
  Buffer running_mean, running_var, num_batches_tracked;  // (C), 0 and 1 at the start; a count
  double eps, momentum;
  Activation activation;
  Tensor forward(const Tensor& x);
  std::string settings() const override;

 protected:
  BatchNormLayer(int dims, int64_t channels, const BatchNormOptions& options);

 private:
  int dims_;
};

/// Batch normalization: batch_norm of autograd/ops/norm.hpp, by the statistics of the batch in training, and by their
/// running averages in evaluation, and then an activation function.   BatchNorm1d: x (N, C) or (N, C, L);
/// BatchNorm2d: x (N, C, H, W)
/// A ShapeError for another rank or number of channels.
template <int dims>
struct BatchNormNd : BatchNormLayer {
  explicit BatchNormNd(int64_t channels, const BatchNormOptions& options = {})
      : BatchNormLayer(dims, channels, options) {}
  COTANGENT_MODULE(weight, bias, running_mean, running_var, num_batches_tracked)
};
using BatchNorm1d = BatchNormNd<1>;
using BatchNorm2d = BatchNormNd<2>;

/// A normalization of the features of each element by itself, for layers that let one choose: x -> the same shape.
struct FeatureNorm : Module {
  virtual Tensor forward(const Tensor& x) = 0;
  COTANGENT_CALL
};
using AnyNorm = Any<FeatureNorm>;

struct LayerNormOptions {
  double eps = 1e-5;
  bool affine = true;  ///< with a weight
  bool bias = true;    ///< and a bias
  Dtype dtype = default_dtype();
};

/// Layer normalization over the last dimensions, which `normalized_shape` gives: layer_norm of autograd/ops/norm.hpp.
///   x (..., *normalized_shape) -> the same shape;   weight and bias normalized_shape, 1 and 0 at the start
struct LayerNorm : FeatureNorm {
  explicit LayerNorm(const Shape& normalized_shape, const LayerNormOptions& options = {});
  explicit LayerNorm(int64_t size, const LayerNormOptions& options = {}) : LayerNorm(Shape{size}, options) {}
  Parameter weight, bias;
  Shape normalized_shape;
  double eps;
  COTANGENT_MODULE(weight, bias)
  Tensor forward(const Tensor& x) override;
  std::string settings() const override;
};

struct RMSNormOptions {
  double eps = 1e-6;   ///< see rms_norm
  bool affine = true;  ///< with a weight
  Dtype dtype = default_dtype();
};

/// Normalization by the root mean square of the last dimensions: rms_norm of autograd/ops/norm.hpp.
///   x (..., *normalized_shape) -> the same shape;   weight normalized_shape, 1 at the start
struct RMSNorm : FeatureNorm {
  explicit RMSNorm(const Shape& normalized_shape, const RMSNormOptions& options = {});
  explicit RMSNorm(int64_t size, const RMSNormOptions& options = {}) : RMSNorm(Shape{size}, options) {}
  Parameter weight;
  Shape normalized_shape;
  double eps;
  COTANGENT_MODULE(weight)
  Tensor forward(const Tensor& x) override;
  std::string settings() const override;
};

struct ScaleNormOptions {
  double eps = 1e-6;  ///< see rms_norm
  Dtype dtype = default_dtype();
};

/// Vectors of one learned length: g x / sqrt(mean(x^2) + eps), rms_norm with one factor for all features.
///   x (..., size) -> the same shape;   weight (), which is g, 1 at the start
/// Nguyen and Salazar, "Transformers without tears", arXiv:1910.05895, who write the length g sqrt(size) as one number.
struct ScaleNorm : FeatureNorm {
  explicit ScaleNorm(int64_t size, const ScaleNormOptions& options = {});
  Parameter weight;
  int64_t size;
  double eps;
  COTANGENT_MODULE(weight)
  Tensor forward(const Tensor& x) override;
  std::string settings() const override;
};

/// Which of them a layer takes.
enum class Normalization : uint8_t { layer, rms, scale };
struct NormalizationOptions {
  double eps = 1e-5;
  bool bias = true;  ///< of LayerNorm
  Dtype dtype = default_dtype();
};
AnyNorm normalization(Normalization kind, int64_t size, const NormalizationOptions& options = {});

struct GroupNormOptions {
  double eps = 1e-5;
  bool affine = true;  ///< with weight and bias
  Dtype dtype = default_dtype();
};

/// Normalization of groups of channels of one example: group_norm of autograd/ops/norm.hpp.
///   x (N, C, ...) -> the same shape;   weight and bias (C), 1 and 0 at the start
/// A ValueError unless the groups divide the channels.
struct GroupNorm : Module {
  GroupNorm(int64_t group_count, int64_t channel_count, const GroupNormOptions& options = {});
  Parameter weight, bias;
  int64_t groups, channels;
  double eps;
  COTANGENT_MODULE(weight, bias)
  Tensor forward(const Tensor& x);
  std::string settings() const override;
};

struct InstanceNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;             ///< how much of a new batch goes into the running statistics
  bool affine = false;               ///< with weight and bias
  bool track_running_stats = false;  ///< keep statistics, and use them in evaluation
  Dtype dtype = default_dtype();
};

/// What the instance normalizations have in common. num_batches_tracked stays 0, as in PyTorch.
struct InstanceNormLayer : Module {
  Parameter weight, bias;
  Buffer running_mean, running_var, num_batches_tracked;
  int64_t channels;
  double eps, momentum;
  Tensor forward(const Tensor& x);
  std::string settings() const override;

 protected:
  InstanceNormLayer(int dims, int64_t count, const InstanceNormOptions& options);

 private:
  int dims_;
};

/// Normalization of each channel of each example: instance_norm of autograd/ops/norm.hpp.
///   InstanceNorm1d: x (N, C, L) or (C, L);   InstanceNorm2d: (N, C, H, W) or (C, H, W);   InstanceNorm3d: with a depth
/// A ShapeError for another rank or number of channels.
template <int dims>
struct InstanceNormNd : InstanceNormLayer {
  explicit InstanceNormNd(int64_t count, const InstanceNormOptions& options = {})
      : InstanceNormLayer(dims, count, options) {}
  COTANGENT_MODULE(weight, bias, running_mean, running_var, num_batches_tracked)
};
using InstanceNorm1d = InstanceNormNd<1>;
using InstanceNorm2d = InstanceNormNd<2>;
using InstanceNorm3d = InstanceNormNd<3>;

}  // namespace cotangent::nn
