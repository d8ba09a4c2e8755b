#include <cotangent/nn/upsample.hpp>

#include <cotangent/nn/init.hpp>
#include <cotangent/nn/settings_internal.hpp>

namespace cotangent::nn {
namespace {

int64_t checked_factor(const char* name, int64_t factor) {
  if (factor < 1) fail<ValueError>("[{}] a factor of {}; it must be at least 1", name, factor);
  return factor;
}

}  // namespace

Upsample::Upsample(const char* name, const InterpolateOptions& o) : options(o) { check_interpolation(name, o); }

std::string Upsample::settings() const {
  std::string text;
  if (!options.size.empty()) {
    text = "size = " + detail::sizes(options.size);
  } else {
    const ScaleFactor& f = options.scale_factor;
    for (int i = 0; i < f.count(); ++i) text += fmt::format("{}{}", i > 0 ? ", " : "", f[i]);
    text = "scale_factor = " + (f.count() > 1 ? "(" + text + ")" : text);
  }
  text += fmt::format(", mode = {}", name(options.mode));
  if (options.align_corners) text += ", align_corners = true";
  if (options.recompute_scale_factor) text += ", recompute_scale_factor = true";
  return options.antialias ? text + ", antialias = true" : text;
}

Tensor UpsamplingNearest2d::forward(const Tensor& x) {
  if (x.rank() != 4) fail<ShapeError>("[UpsamplingNearest2d] shape {} is not (N, C, H, W)", x.shape());
  return interpolate(x, options);
}

PixelShuffle::PixelShuffle(int64_t factor) : upscale_factor(checked_factor("PixelShuffle", factor)) {}
PixelUnshuffle::PixelUnshuffle(int64_t factor) : downscale_factor(checked_factor("PixelUnshuffle", factor)) {}

SubPixelConv2d::SubPixelConv2d(int64_t in, int64_t out, int64_t factor, const SubPixelConvOptions& o)
    : conv(in, Dims{out, checked_factor("SubPixelConv2d", factor), factor}.product("SubPixelConv2d"), o.kernel_size,
           {.padding = Padding::same, .bias = o.bias, .dtype = o.dtype}),
      upscale_factor(factor) {
  if (!o.icnr) return;
  init::icnr_(conv.weight, factor);
  if (o.bias) init::icnr_(conv.bias, factor);
}

}  // namespace cotangent::nn
