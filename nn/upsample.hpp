#pragma once
// Changing the resolution as modules: interpolation, pixel shuffling, and the convolution that learns to enlarge.
// autograd/ops/resize.hpp has the functions and their formulas; ConvTranspose2d is in nn/conv.hpp.
#include <cotangent/autograd/ops/resize.hpp>
#include <cotangent/nn/conv.hpp>

namespace cotangent::nn {

/// x (N, C, spatial...) at another resolution, by any mode of interpolate. A ValueError for both or neither of size and
/// scale_factor, one of 0, or options that the mode does not have.
///
///     nn::Upsample up({.scale_factor = 2, .mode = ct::Interpolation::bilinear});
struct Upsample : Module {
  explicit Upsample(const InterpolateOptions& o) : Upsample("Upsample", o) {}
  InterpolateOptions options;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return interpolate(x, options); }
  std::string settings() const override;

 protected:
  Upsample(const char* name, const InterpolateOptions& o);
};

/// One of the two.
struct UpsamplingOptions {
  Shape size = {};
  ScaleFactor scale_factor = {};
};

/// Upsample by nearest neighbours, of images: the older rule, biased by half a cell.
struct UpsamplingNearest2d : Upsample {
  explicit UpsamplingNearest2d(const UpsamplingOptions& o)
      : Upsample("UpsamplingNearest2d", {.size = o.size, .scale_factor = o.scale_factor}) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x);
};

/// Upsample by bilinear interpolation with align_corners, of images.
struct UpsamplingBilinear2d : Upsample {
  explicit UpsamplingBilinear2d(const UpsamplingOptions& o)
      : Upsample(
            "UpsamplingBilinear2d",
            {.size = o.size, .scale_factor = o.scale_factor, .mode = Interpolation::bilinear, .align_corners = true}) {}
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return interpolate(x, options); }
};

/// (.., C r^2, H, W) -> (.., C, H r, W r): blocks of r x r pixels from r^2 channels.
struct PixelShuffle : Module {
  explicit PixelShuffle(int64_t upscale_factor);
  int64_t upscale_factor;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return pixel_shuffle(x, upscale_factor); }
  std::string settings() const override { return std::to_string(upscale_factor); }
};

/// The inverse: (.., C, H r, W r) -> (.., C r^2, H, W).
struct PixelUnshuffle : Module {
  explicit PixelUnshuffle(int64_t downscale_factor);
  int64_t downscale_factor;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return pixel_unshuffle(x, downscale_factor); }
  std::string settings() const override { return std::to_string(downscale_factor); }
};

struct SubPixelConvOptions {
  Spatial kernel_size = 3;
  bool icnr = true;  ///< start as nearest-neighbour upsampling of one convolution (nn::init::icnr_), without a pattern
  bool bias = true;
  Dtype dtype = default_dtype();
};

/// Learns to enlarge images: a convolution at the low resolution with r^2 times the channels, then a pixel shuffle.
///   x (N, in, H, W) -> (N, out, H r, W r);   conv.weight (out r^2, in, kh, kw), conv.bias (out r^2)
/// The same map as a transposed convolution of stride r with a kernel r times as large (for an odd kernel size, with
/// padding r (k - 1)/2), whose elements all get the same number of contributions. Shi et al., "Real-time single image
/// and video super-resolution using an efficient sub-pixel convolutional neural network" (2016).
struct SubPixelConv2d : Module {
  SubPixelConv2d(int64_t in, int64_t out, int64_t upscale_factor, const SubPixelConvOptions& o = {});
  Conv2d conv;
  int64_t upscale_factor;
  COTANGENT_MODULE(conv)
  Tensor forward(const Tensor& x) { return pixel_shuffle(conv(x), upscale_factor); }
  std::string settings() const override { return "upscale_factor = " + std::to_string(upscale_factor); }
};

}  // namespace cotangent::nn
