#include <cotangent/nn/pool.hpp>

#include <cotangent/nn/settings_internal.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

using detail::in_dims, detail::setting, detail::sizes;

template <class Options>
PoolLayer<Options>::PoolLayer(const char* stem, int dims, const Spatial& kernel, const Options& o)
    : kernel_size(kernel), options(o), dims_(dims) {
  const std::string name = detail::name_in(stem, dims);
  kernel.over(name.c_str(), "kernel_size", dims, 1);
  if (!o.stride.empty()) o.stride.over(name.c_str(), "stride", dims, 1);
  o.padding.over(name.c_str(), "padding", dims, 0);
  if constexpr (requires { o.dilation; }) o.dilation.over(name.c_str(), "dilation", dims, 1);
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

AdaptivePoolLayer::AdaptivePoolLayer(const char* stem, int dims, const Spatial& size) : output_size(size), dims_(dims) {
  size.over(detail::name_in(stem, dims).c_str(), "output_size", dims, 1);
}
std::string AdaptivePoolLayer::settings() const { return sizes(output_size.over("settings", "output_size", dims_, 1)); }

template <int dims>
Tensor MaxPoolNd<dims>::forward(const Tensor& x) {
  return in_dims<dims>(max_pool1d, max_pool2d, max_pool3d)(x, kernel_size, options);
}
template <int dims>
MaxPool MaxPoolNd<dims>::with_indices(const Tensor& x) {
  return in_dims<dims>(max_pool1d_with_indices, max_pool2d_with_indices, max_pool3d_with_indices)(x, kernel_size,
                                                                                                  options);
}
COTANGENT_IN_DIMS(MaxPoolNd)

template <int dims>
Tensor MaxUnpoolNd<dims>::forward(const Tensor& x, const Tensor& indices, const Shape& output_size) {
  MaxUnpoolOptions wanted = options;
  if (!output_size.empty()) wanted.output_size = output_size;
  return in_dims<dims>(max_unpool1d, max_unpool2d, max_unpool3d)(x, indices, kernel_size, wanted);
}
COTANGENT_IN_DIMS(MaxUnpoolNd)

template <int dims>
Tensor AvgPoolNd<dims>::forward(const Tensor& x) {
  return in_dims<dims>(avg_pool1d, avg_pool2d, avg_pool3d)(x, kernel_size, options);
}
COTANGENT_IN_DIMS(AvgPoolNd)

template <int dims>
Tensor AdaptiveAvgPoolNd<dims>::forward(const Tensor& x) {
  return in_dims<dims>(adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)(x, output_size);
}
COTANGENT_IN_DIMS(AdaptiveAvgPoolNd)

template <int dims>
Tensor AdaptiveMaxPoolNd<dims>::forward(const Tensor& x) {
  return in_dims<dims>(adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d)(x, output_size);
}
template <int dims>
MaxPool AdaptiveMaxPoolNd<dims>::with_indices(const Tensor& x) {
  return in_dims<dims>(adaptive_max_pool1d_with_indices, adaptive_max_pool2d_with_indices,
                       adaptive_max_pool3d_with_indices)(x, output_size);
}
COTANGENT_IN_DIMS(AdaptiveMaxPoolNd)

}  // namespace cotangent::nn
