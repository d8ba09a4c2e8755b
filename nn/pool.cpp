#include <cotangent/nn/pool.hpp>

#include <cotangent/nn/settings_internal.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

using detail::setting, detail::sizes;

template <class Options>
PoolLayer<Options>::PoolLayer(const char* name, int dims, const Spatial& kernel, const Options& o)
    : kernel_size(kernel), options(o), dims_(dims) {
  kernel.over(name, "kernel_size", dims, 1);
  if (!o.stride.empty()) o.stride.over(name, "stride", dims, 1);
  o.padding.over(name, "padding", dims, 0);
  if constexpr (requires { o.dilation; }) o.dilation.over(name, "dilation", dims, 1);
}

template <class Options>
std::string PoolLayer<Options>::settings() const {
  std::string text = sizes(kernel_size.over("settings", "kernel_size", dims_, 1));
  if (!options.stride.empty()) text += setting("stride", options.stride, dims_, 0);
  text += setting("padding", options.padding, dims_, 0);
  if constexpr (requires { options.dilation; }) text += setting("dilation", options.dilation, dims_, 1);
  if constexpr (requires { options.ceil_mode; }) text += options.ceil_mode ? ", ceil_mode = true" : "";
  if constexpr (requires { options.count_include_pad; }) {
    if (!options.count_include_pad) text += ", count_include_pad = false";
    if (options.divisor_override != 0) text += fmt::format(", divisor_override = {}", options.divisor_override);
  }
  return text;
}

template struct PoolLayer<MaxPoolOptions>;
template struct PoolLayer<AvgPoolOptions>;
template struct PoolLayer<MaxUnpoolOptions>;

MaxUnpoolOptions MaxUnpoolLayer::options_for(const Shape& output_size) const {
  MaxUnpoolOptions wanted = options;
  if (!output_size.empty()) wanted.output_size = output_size;
  return wanted;
}

AdaptivePoolLayer::AdaptivePoolLayer(const char* name, int dims, const Spatial& size) : output_size(size), dims_(dims) {
  size.over(name, "output_size", dims, 1);
}
std::string AdaptivePoolLayer::settings() const { return sizes(output_size.over("settings", "output_size", dims_, 1)); }

}  // namespace cotangent::nn
