#include <cotangent/zoo/mobilenet.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/ops/pool.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::zoo {
namespace {

nn::BatchNorm2d relu6_norm(int64_t channels) {
  return nn::BatchNorm2d(channels, {.activation = nn::Activation::relu6});
}

int64_t scaled(int64_t channels, const MobileNetOptions& o) {
  if (!(o.width > 0)) fail<ValueError>("[MobileNet] width is {}; it must be above 0", o.width);
  return channels <= 0 ? channels : std::max<int64_t>(std::llround(o.width * static_cast<double>(channels)), 1);
}

std::vector<SeparableConv2d> make_blocks(const MobileNetOptions& o) {
  std::vector<SeparableConv2d> blocks;
  int64_t in = scaled(o.stem, o);
  for (const auto& [channels, stride] : o.blocks) {
    const int64_t out = scaled(channels, o);
    blocks.emplace_back(in, out, stride);
    in = out;
  }
  return blocks;
}

}  // namespace

SeparableConv2d::SeparableConv2d(int64_t in, int64_t out, int64_t stride)
    : depthwise(in, in, 3, {.stride = stride, .padding = 1, .groups = in, .bias = false}),
      depthwise_norm(relu6_norm(in)),
      pointwise(in, out, 1, {.bias = false}),
      pointwise_norm(relu6_norm(out)) {}

Tensor SeparableConv2d::forward(const Tensor& x) { return pointwise_norm(pointwise(depthwise_norm(depthwise(x)))); }

MobileNet::MobileNet(const MobileNetOptions& o)
    : stem(o.in_channels, scaled(o.stem, o), 3, {.stride = o.stem_stride, .padding = 1, .bias = false}),
      stem_norm(relu6_norm(scaled(o.stem, o))),
      blocks(make_blocks(o)),
      head(scaled(o.blocks.empty() ? o.stem : o.blocks.back().channels, o), o.classes) {}

Tensor MobileNet::features(const Tensor& x) {
  Tensor y = stem_norm(stem(x));
  for (SeparableConv2d& block : blocks) y = block(y);
  return y;
}

Tensor MobileNet::forward(const Tensor& x) { return head(adaptive_avg_pool2d(features(x), 1).flatten(1)); }

}  // namespace cotangent::zoo
