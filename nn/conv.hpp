#pragma once
// The convolution layers; autograd/ops/conv.hpp has the functions.
#include <cotangent/autograd/ops/conv.hpp>
#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

/// Options of the convolution layers. What is given by one number holds for each spatial dimension.
struct ConvLayerOptions {
  Spatial stride = 1;
  Padding padding = 0;  ///< or Padding::same
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
  ConvLayer(const char* stem, int dims, int64_t in, int64_t out, const Spatial& kernel,
            const ConvLayerOptions& options);
};

/// A convolution with a bias: conv1d, conv2d and conv3d of autograd/ops/conv.hpp.
///   Conv2d: x (N, in, H, W) -> (N, out, H', W');   weight (out, in/groups, kh, kw), bias (out)
/// Both start uniform in [-b, b] with b = 1/sqrt(in/groups * kh * kw), as in PyTorch. A ValueError for options out of
/// range.
///
///     nn::Conv2d conv(3, 16, 3, {.stride = 2, .padding = 1});
template <int dims>
struct ConvNd : ConvLayer {
  ConvNd(int64_t in, int64_t out, const Spatial& kernel, const ConvLayerOptions& o = {})
      : ConvLayer("Conv", dims, in, out, kernel, o) {}
  COTANGENT_MODULE(weight, bias)
  Tensor forward(const Tensor& x);
};
using Conv1d = ConvNd<1>;
using Conv2d = ConvNd<2>;
using Conv3d = ConvNd<3>;

struct ConvTransposeLayerOptions {
  Spatial stride = 1;
  Spatial padding = 0;         ///< of the convolution that this transposes: it takes rows away here
  Spatial output_padding = 0;  ///< rows added at the end; below stride or dilation
  int64_t groups = 1;
  bool bias = true;
  Spatial dilation = 1;
  Dtype dtype = default_dtype();
};

/// What the transposed convolution layers have in common.
struct ConvTransposeLayer : Module {
  Parameter weight, bias;
  ConvTransposeOptions options;
  std::string settings() const override;

 protected:
  ConvTransposeLayer(const char* stem, int dims, int64_t in, int64_t out, const Spatial& kernel,
                     const ConvTransposeLayerOptions& options);
  /// The options with the output_padding that gives `output_size`, if that is not empty.
  ConvTransposeOptions options_for(const Tensor& x, const Shape& output_size) const;
};

/// The transpose of a convolution, with a bias: it enlarges an image by its stride.
///   ConvTranspose2d: x (N, in, H, W) -> (N, out, H', W');   weight (in, out/groups, kh, kw), bias (out)
///   H' = (H - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1
/// A convolution with a stride s gives the same size for s sizes of its input; `output_size` says which of them is
/// meant, in place of output_padding (with N and C in front, or without). Both parameters start uniform in [-b, b] with
/// b = 1/sqrt(out/groups * kh * kw), as in PyTorch. Unless the stride divides the kernel size, pixels get contributions
/// from different numbers of kernel elements, and the image a pattern of squares (Odena, Dumoulin and Olah,
/// "Deconvolution and checkerboard artifacts", 2016). A ValueError for options out of range, a ShapeError for an
/// output_size out of reach.
///
///     nn::ConvTranspose2d up(16, 8, 4, {.stride = 2, .padding = 1});  // (N, 16, H, W) -> (N, 8, 2 H, 2 W)
template <int dims>
struct ConvTransposeNd : ConvTransposeLayer {
  ConvTransposeNd(int64_t in, int64_t out, const Spatial& kernel, const ConvTransposeLayerOptions& o = {})
      : ConvTransposeLayer("ConvTranspose", dims, in, out, kernel, o) {}
  COTANGENT_MODULE(weight, bias)
  Tensor forward(const Tensor& x, const Shape& output_size = {});
};
using ConvTranspose1d = ConvTransposeNd<1>;
using ConvTranspose2d = ConvTransposeNd<2>;
using ConvTranspose3d = ConvTransposeNd<3>;

}  // namespace cotangent::nn
