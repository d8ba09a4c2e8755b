#include <cotangent/nn/conv.hpp>

#include <cmath>

#include <cotangent/nn/init.hpp>
#include <cotangent/nn/settings_internal.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

using detail::in_dims, detail::setting, detail::sizes;

template <class Options>
void check(const char* name, int dims, int64_t in, int64_t out, const Options& o) {
  if (in < 1 || out < 1) fail<ValueError>("[{}] {} channels to {}; there must be at least 1 of each", name, in, out);
  if (o.groups < 1 || in % o.groups != 0 || out % o.groups != 0)
    fail<ValueError>("[{}] {} groups for {} channels to {}; the groups must divide both", name, o.groups, in, out);
  o.stride.over(name, "stride", dims, 1);
  o.padding.over(name, "padding", dims, 0);
  o.dilation.over(name, "dilation", dims, 1);
}

/// The starting values of a weight (rows, columns, kernel...).
Tensor start(int64_t rows, int64_t columns, const Dims& kernel, Dtype dtype) {
  Shape shape{rows, columns};
  for (int64_t size : kernel) shape.push_back(size);
  const Tensor weight = empty(shape, dtype);
  const double bound = 1 / std::sqrt(static_cast<double>(init::fans(weight).in));
  return init::uniform_(weight, -bound, bound);
}
/// Those of the bias that goes with it.
Tensor start_bias(const Tensor& weight, int64_t out) {
  const double bound = 1 / std::sqrt(static_cast<double>(init::fans(weight).in));
  return init::uniform_(empty({out}, weight.dtype()), -bound, bound);
}

std::string describe(const Tensor& weight, int64_t in, int64_t out) {
  return fmt::format("{}, {}, {}", in, out, sizes(weight.shape().slice(2, weight.rank())));
}

}  // namespace

ConvLayer::ConvLayer(const char* stem, int dims, int64_t in, int64_t out, const Spatial& kernel,
                     const ConvLayerOptions& o)
    : options{o.stride, o.padding, o.dilation, o.groups} {
  const std::string full = detail::name_in(stem, dims);
  const char* name = full.c_str();
  check(name, dims, in, out, o);
  const Dims stride = o.stride.over(name, "stride", dims, 1);
  if (o.padding.is_same() && stride != Dims::filled(dims, 1))
    fail<ValueError>("[{}] padding same goes with stride 1, got {}; give the padding in numbers", name, stride);
  weight = start(out, in / o.groups, kernel.over(name, "kernel", dims, 1), o.dtype);
  if (o.bias) bias = start_bias(weight, out);
}

std::string ConvLayer::settings() const {
  const int dims = weight.rank() - 2;
  std::string text = describe(weight, weight.size(1) * options.groups, weight.size(0));
  text += setting("stride", options.stride, dims, 1);
  text += options.padding.is_same() ? ", padding = same" : setting("padding", options.padding, dims, 0);
  text += setting("dilation", options.dilation, dims, 1) + setting("groups", options.groups, 1, 1);
  return bias.defined() ? text : text + ", bias = false";
}

ConvTransposeLayer::ConvTransposeLayer(const char* stem, int dims, int64_t in, int64_t out, const Spatial& kernel,
                                       const ConvTransposeLayerOptions& o)
    : options{o.stride, o.padding, o.output_padding, o.groups, o.dilation} {
  const std::string full = detail::name_in(stem, dims);
  const char* name = full.c_str();
  check(name, dims, in, out, o);
  const Dims stride = o.stride.over(name, "stride", dims, 1), dilation = o.dilation.over(name, "dilation", dims, 1),
             extra = o.output_padding.over(name, "output_padding", dims, 0);
  for (int d = 0; d < dims; ++d)
    if (extra[d] >= std::max(stride[d], dilation[d]))
      fail<ValueError>("[{}] output_padding {} must be smaller than the stride or the dilation ({} and {})", name,
                       extra, stride, dilation);
  weight = start(in, out / o.groups, kernel.over(name, "kernel", dims, 1), o.dtype);
  if (o.bias) bias = start_bias(weight, out);
}

ConvTransposeOptions ConvTransposeLayer::options_for(const Tensor& x, const Shape& output_size) const {
  if (output_size.empty()) return options;
  const int dims = weight.rank() - 2;
  const std::string name = type_name();
  if ((output_size.rank() != dims && output_size.rank() != x.rank()) || x.rank() <= dims)
    fail<ShapeError>("[{}] output_size {} for an input of {}; give the {} spatial sizes", name, output_size, x.shape(),
                     dims);
  const Dims size = output_size.slice(output_size.rank() - dims, output_size.rank());
  const Dims stride = options.stride.over(name.c_str(), "stride", dims, 1),
             padding = options.padding.over(name.c_str(), "padding", dims, 0),
             dilation = options.dilation.over(name.c_str(), "dilation", dims, 1);
  Dims extra;
  for (int d = 0; d < dims; ++d) {
    const int64_t least =
        (x.size(d - dims) - 1) * stride[d] - 2 * padding[d] + dilation[d] * (weight.size(2 + d) - 1) + 1;
    const int64_t most = least + std::max(stride[d], dilation[d]) - 1;
    if (size[d] < least || size[d] > most)
      fail<ShapeError>("[{}] output_size {} for an input of {}: size {} must be from {} to {}", name, output_size,
                       x.shape(), d, least, most);
    extra.push_back(size[d] - least);
  }
  ConvTransposeOptions wanted = options;
  wanted.output_padding = extra;
  return wanted;
}

std::string ConvTransposeLayer::settings() const {
  const int dims = weight.rank() - 2;
  std::string text = describe(weight, weight.size(0), weight.size(1) * options.groups);
  text += setting("stride", options.stride, dims, 1) + setting("padding", options.padding, dims, 0);
  text += setting("output_padding", options.output_padding, dims, 0) + setting("groups", options.groups, 1, 1);
  text += setting("dilation", options.dilation, dims, 1);
  return bias.defined() ? text : text + ", bias = false";
}

template <int dims>
Tensor ConvNd<dims>::forward(const Tensor& x) {
  return in_dims<dims>(conv1d, conv2d, conv3d)(x, weight, bias, options);
}
COTANGENT_IN_DIMS(ConvNd)

template <int dims>
Tensor ConvTransposeNd<dims>::forward(const Tensor& x, const Shape& output_size) {
  return in_dims<dims>(conv_transpose1d, conv_transpose2d, conv_transpose3d)(x, weight, bias,
                                                                             options_for(x, output_size));
}
COTANGENT_IN_DIMS(ConvTransposeNd)

}  // namespace cotangent::nn
