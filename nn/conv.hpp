#pragma once
#include <cotangent/autograd/ops/conv.hpp>
#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

/// Options of the convolution layers. What is given by one number holds for each spatial dimension.
struct ConvLayerOptions {
  Spatial stride = 1;
  Spatial padding = 0;
  Spatial dilation = 1;
  int64_t groups = 1;
  bool bias = true;
  Dtype dtype = default_dtype();
};

/// What the convolution layers have in common.
struct ConvLayer : Module {
  Parameter weight, bias;
  ConvOptions options;
  std::string settings() const override;

 protected:
  ConvLayer(const char* name, int dims, int64_t in, int64_t out, const Spatial& kernel,
            const ConvLayerOptions& options);
};

/// A convolution with a bias: conv1d, conv2d and conv3d of autograd/ops/conv.hpp.
///   Conv2d: x (N, in, H, W) -> (N, out, H', W');   weight (out, in/groups, kh, kw), bias (out)
/// Both start uniform in [-b, b] with b = 1/sqrt(in/groups * kh * kw), as in PyTorch. A ValueError for options out of
/// range.
///
///     nn::Conv2d conv(3, 16, 3, {.stride = 2, .padding = 1});
struct Conv1d : ConvLayer {
  Conv1d(int64_t in, int64_t out, const Spatial& kernel, const ConvLayerOptions& o = {})
      : ConvLayer("Conv1d", 1, in, out, kernel, o) {}
  COTANGENT_MODULE(weight, bias)
  Tensor forward(const Tensor& x) { return conv1d(x, weight, bias, options); }
};
struct Conv2d : ConvLayer {
  Conv2d(int64_t in, int64_t out, const Spatial& kernel, const ConvLayerOptions& o = {})
      : ConvLayer("Conv2d", 2, in, out, kernel, o) {}
  COTANGENT_MODULE(weight, bias)
  Tensor forward(const Tensor& x) { return conv2d(x, weight, bias, options); }
};
struct Conv3d : ConvLayer {
  Conv3d(int64_t in, int64_t out, const Spatial& kernel, const ConvLayerOptions& o = {})
      : ConvLayer("Conv3d", 3, in, out, kernel, o) {}
  COTANGENT_MODULE(weight, bias)
  Tensor forward(const Tensor& x) { return conv3d(x, weight, bias, options); }
};

}  // namespace cotangent::nn
