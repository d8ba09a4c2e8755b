#pragma once
// Normalisation by mean and variance. Both are fused: one kernel forward and one backward. Low-precision floats are
// normalised in float32.
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

/// Batch normalization (Ioffe and Szegedy 2015): of each channel over the batch and all positions.
///
/// The formula is that of layer_norm, with a mean and variance for each channel: of x itself in training, and
/// running_mean and running_var otherwise. In training these are updated in place, where they are defined: running = (1
/// - momentum) * running + momentum * value, with the unbiased variance as value. No gradient flows to them.
///
///   x (N, C, ...), running_mean, running_var, weight and bias (C,), or undefined -> x's shape and memory format
///   dx as in layer_norm, in training; else dy * weight / sqrt(running_var + eps)
/// A ShapeError for one value a channel in training, or parameters of another shape; a ValueError without running
/// moments outside training.
Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight = {},
                  const Tensor& bias = {}, bool training = false, double momentum = 0.1, double eps = 1e-5);

}  // namespace cotangent
