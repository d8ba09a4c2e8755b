#pragma once
// Normalisation without history; autograd/ops/norm.hpp has the contracts.
#include <cotangent/tensor/limits.hpp>
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// A normalised tensor, and what its gradient needs of each row or channel: the mean, in float64, since numbers that
/// are large beside their deviations have a mean that float32 does not hold; and one over the standard deviation, in
/// the dtype that is computed in (float32 for low-precision x).
struct Normalized {
  Tensor y, mean, rstd;
};
/// Gradients of x, the weight and the bias; undefined where they are not asked for.
struct NormGradients {
  Tensor x, weight, bias;
};
/// Which of them are wanted.
struct NormWanted {
  bool x, weight, bias;
};

/// Over the last `dims` dimensions; weight and bias have their shape, or are undefined. Not centred, the mean is taken
/// as 0: the norm by the root mean square.
Normalized layer_norm(const char* op, const Tensor& x, int dims, bool centred, const Tensor& weight, const Tensor& bias,
                      double eps);
NormGradients layer_norm_backward(const char* op, const Tensor& dy, const Tensor& x, bool centred, const Tensor& weight,
                                  const Tensor& mean, const Tensor& rstd, NormWanted wanted);

/// Over each of `groups` parts of the channels of x (N, C, ...), for each of the N by itself; weight and bias are (C),
/// or undefined.
Normalized group_norm(const char* op, const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias,
                      double eps);
NormGradients group_norm_backward(const char* op, const Tensor& dy, const Tensor& x, int64_t groups,
                                  const Tensor& weight, const Tensor& mean, const Tensor& rstd, NormWanted wanted);

/// Over all dimensions but the second, then limited to [low, high]. In training by x's own moments, with which
/// running_mean and running_var, where they are defined, are updated; else by the running ones.
Normalized batch_norm(const char* op, const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                      const Tensor& weight, const Tensor& bias, bool training, double momentum, double eps,
                      const Limits& limits = {});
/// Writes the gradient of x over dy, where nobody else holds that.
NormGradients batch_norm_backward(const char* op, Tensor dy, const Tensor& x, const Tensor& weight, const Tensor& bias,
                                  const Tensor& mean, const Tensor& rstd, bool training, NormWanted wanted,
                                  const Limits& limits = {});

}  // namespace cotangent::raw
