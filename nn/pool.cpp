#include <cotangent/nn/pool.hpp>

#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

std::string sizes(const char* what, const Spatial& value) {
  const Dims d = value.over("nn", what, 2, 0);
  return d[0] == d[1] ? std::to_string(d[0]) : to_string(d);
}

template <class Options>
std::string pool_settings(const Spatial& kernel, const Options& options) {
  std::string text = sizes("kernel_size", kernel);
  if (!options.stride.empty()) text += ", stride = " + sizes("stride", options.stride);
  if (const std::string padding = sizes("padding", options.padding); padding != "0") text += ", padding = " + padding;
  return text;
}

}  // namespace

std::string MaxPool2d::settings() const { return pool_settings(kernel_size, options); }
std::string AvgPool2d::settings() const { return pool_settings(kernel_size, options); }
std::string AdaptiveAvgPool2d::settings() const { return sizes("output_size", output_size); }

}  // namespace cotangent::nn
