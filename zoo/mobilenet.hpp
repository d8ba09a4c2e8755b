#pragma once
// MobileNet, which classifies images by depthwise separable convolutions: Howard et al., "MobileNets: efficient
// convolutional neural networks for mobile vision applications", arXiv:1704.04861.
//
//     zoo::MobileNet net;                                      // the paper's, for ImageNet: 4,231,976 parameters
//     zoo::MobileNet small({.in_channels = 1, .classes = 10, .stem_stride = 1, .blocks = {{64}, {128, 2}, {128}}});
//     Tensor logits = small(images.contiguous(MemoryFormat::channels_last));  // the fast layout
#include <cotangent/nn/conv.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/norm.hpp>

namespace cotangent::zoo {

/// A depthwise 3 x 3 convolution, which looks at each channel by itself, then a 1 x 1 convolution, which mixes them;
/// both without a bias and followed by batch normalization and relu6. It costs 1/out + 1/9 of a full convolution.
///   x (N, in, H, W) -> (N, out, ceil(H / stride), ceil(W / stride))
struct SeparableConv2d : nn::Module {
  SeparableConv2d(int64_t in, int64_t out, int64_t stride = 1);
  nn::Conv2d depthwise;
  nn::BatchNorm2d depthwise_norm;
  nn::Conv2d pointwise;
  nn::BatchNorm2d pointwise_norm;
  COTANGENT_MODULE(depthwise, depthwise_norm, pointwise, pointwise_norm)
  Tensor forward(const Tensor& x);
};

/// One separable convolution of a MobileNet.
struct MobileNetBlock {
  int64_t channels;  ///< of its result, before MobileNetOptions::width
  int64_t stride = 1;
};

struct MobileNetOptions {
  int64_t in_channels = 3;
  int64_t classes = 1000;
  double width = 1;   ///< multiplies all channels but those of the image (the paper's alpha), rounded to 1 or more
  int64_t stem = 32;  ///< channels of the full convolution at the start
  int64_t stem_stride = 2;
  std::vector<MobileNetBlock> blocks = {{64},  {128, 2}, {128}, {256, 2}, {256},     {512, 2}, {512},
                                        {512}, {512},    {512}, {512},    {1024, 2}, {1024}};
};

/// A full convolution, separable ones, the mean over what is left of the image, and a linear layer.
///   x (N, in_channels, H, W) -> logits (N, classes)
/// A ValueError for a width of 0 or less, and for numbers of channels and strides that a convolution does not take.
struct MobileNet : nn::Module {
  explicit MobileNet(const MobileNetOptions& options = {});
  nn::Conv2d stem;
  nn::BatchNorm2d stem_norm;
  std::vector<SeparableConv2d> blocks;
  nn::Linear head;
  COTANGENT_MODULE(stem, stem_norm, blocks, head)
  Tensor forward(const Tensor& x);
  /// What the head takes the mean of: x (N, in_channels, H, W) -> (N, channels, H', W')
  Tensor features(const Tensor& x);
};

}  // namespace cotangent::zoo
