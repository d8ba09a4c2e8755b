#pragma once
// Normalisation by mean and variance. Each is fused: one kernel forward and one backward. Low-precision floats are
// normalised in float32. An eps below 0 and a momentum outside [0, 1] are a ValueError.
#include <cotangent/tensor/limits.hpp>
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// Layer normalization (Ba et al. 2016): over the last dimensions, for each of the others by itself.
///
///     y = h * weight + bias,   h = (x - mean) / sqrt(var + eps),   var = mean((x - mean)^2)
///
///   x (..., *normalized_shape), weight and bias normalized_shape, or undefined for none -> x's shape
///   dx = (g - mean(g) - h * mean(g * h)) / sqrt(var + eps) with g = dy * weight;   dweight = dy * h, dbias = dy,
///   summed
/// A ShapeError if x does not end in normalized_shape, or that is empty.
Tensor layer_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight = {}, const Tensor& bias = {},
                  double eps = 1e-5);

/// Root mean square normalization (Zhang and Sennrich, arXiv:1910.07467): layer_norm that takes no mean away.
///
///     y = h * weight,   h = x / sqrt(mean(x^2) + eps)
///
///   x (..., *normalized_shape), weight normalized_shape, or undefined for none -> x's shape
///   dx = (g - h * mean(g * h)) / sqrt(mean(x^2) + eps) with g = dy * weight;   dweight = dy * h, summed
/// eps is 1e-6 as in the models that use it; PyTorch takes the machine epsilon of the dtype, and so gives other results
/// in another dtype. A ShapeError as for layer_norm.
Tensor rms_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight = {}, double eps = 1e-6);

/// Group normalization (Wu and He, arXiv:1803.08494): of each of `groups` parts of the channels by itself, in each of
/// the batch by itself; so it does not depend on the size of the batch. One group is layer_norm over (C, ...), and C
/// groups are instance_norm.
///
///   x (N, C, ...), weight and bias (C,), or undefined for none -> x's shape
///   The formulas are those of layer_norm, with means over a group.
/// A ShapeError unless `groups` divides C, or for parameters of another shape.
Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight = {}, const Tensor& bias = {},
                  double eps = 1e-5);

/// Instance normalization (Ulyanov et al., arXiv:1607.08022): of each channel over its positions, in each of the batch
/// by itself.
///
/// With `by_instance` the moments are those of x, and running_mean and running_var, where they are defined, are updated
/// in place by those of the instances, averaged over the batch, as in batch_norm. Without it the running ones are
/// taken.
///
///   x (N, C, ...) with one position dimension at least, running_mean, running_var, weight and bias (C,), or undefined
///   -> x's shape;   the gradients are those of group_norm with C groups, or of batch_norm outside training
/// A ShapeError for one position by instance, or parameters of another shape; a ValueError without running moments not
/// by instance.
Tensor instance_norm(const Tensor& x, const Tensor& running_mean = {}, const Tensor& running_var = {},
                     const Tensor& weight = {}, const Tensor& bias = {}, bool by_instance = true, double momentum = 0.1,
                     double eps = 1e-5);

/// Batch normalization (Ioffe and Szegedy 2015): of each channel over the batch and all positions.
///
/// The formula is that of layer_norm, with a mean and variance for each channel: of x itself in training, and
/// running_mean and running_var otherwise. In training these are updated in place, where they are defined: running = (1
/// - momentum) * running + momentum * value, with the unbiased variance as value. No gradient flows to them.
///
/// At last y is limited to `limits`, as by hardtanh: {0} makes it a relu, {0, 6} a relu6. In one op these take two
/// passes over memory less each way, and keep x alone: the gradient computes again which elements were within.
///
///   x (N, C, ...), running_mean, running_var, weight and bias (C,), or undefined -> x's shape and memory format
///   dx as in layer_norm, in training; else dy * weight / sqrt(running_var + eps)
/// A ShapeError for one value a channel in training, or parameters of another shape; a ValueError without running
/// moments outside training, or for a lower limit above the upper one.
Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight = {},
                  const Tensor& bias = {}, bool training = false, double momentum = 0.1, double eps = 1e-5,
                  const Limits& limits = {});

}  // namespace cotangent
