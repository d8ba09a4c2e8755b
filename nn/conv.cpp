#include <cotangent/nn/conv.hpp>

#include <cmath>

#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

ConvLayer::ConvLayer(const char* name, int dims, int64_t in, int64_t out, const Spatial& kernel,
                     const ConvLayerOptions& o)
    : options{o.stride, o.padding, o.dilation, o.groups} {
  if (in < 1 || out < 1) fail<ValueError>("[{}] {} channels to {}; there must be at least 1 of each", name, in, out);
  if (o.groups < 1 || in % o.groups != 0 || out % o.groups != 0)
    fail<ValueError>("[{}] {} groups for {} channels to {}; the groups must divide both", name, o.groups, in, out);
  o.stride.over(name, "stride", dims, 1);
  o.padding.over(name, "padding", dims, 0);
  o.dilation.over(name, "dilation", dims, 1);
  Shape shape{out, in / o.groups};
  for (int64_t size : kernel.over(name, "kernel", dims, 1)) shape.push_back(size);
  weight = empty(shape, o.dtype);
  const double bound = 1 / std::sqrt(static_cast<double>(init::fans(weight).in));
  init::uniform_(weight, -bound, bound);
  if (o.bias) bias = init::uniform_(empty({out}, o.dtype), -bound, bound);
}

std::string ConvLayer::settings() const {
  const int dims = weight.rank() - 2;
  auto sizes = [](const Dims& d) {
    for (int64_t size : d)
      if (size != d[0]) return to_string(d);
    return std::to_string(d[0]);
  };
  std::string text = fmt::format("{}, {}, {}", weight.size(1) * options.groups, weight.size(0),
                                 sizes(weight.shape().slice(2, dims + 2)));
  auto add = [&](const char* name, const Spatial& value, int64_t usual) {
    const std::string given = sizes(value.over(name, name, dims, usual));
    if (given != std::to_string(usual)) text += fmt::format(", {} = {}", name, given);
  };
  add("stride", options.stride, 1);
  add("padding", options.padding, 0);
  add("dilation", options.dilation, 1);
  if (options.groups != 1) text += fmt::format(", groups = {}", options.groups);
  if (!bias.defined()) text += ", bias = false";
  return text;
}

}  // namespace cotangent::nn
