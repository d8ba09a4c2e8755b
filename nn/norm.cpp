#include <cotangent/nn/norm.hpp>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/norm.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent::nn {

namespace {
// The activation functions that do nothing but limit.
const Limits* limits_of(Activation f) {
  static constexpr Limits none, relu{0}, relu6{0, 6}, hardtanh{-1, 1};
  switch (f) {
    case Activation::identity: return &none;
    case Activation::relu: return &relu;
    case Activation::relu6: return &relu6;
    case Activation::hardtanh: return &hardtanh;
    default: return nullptr;
  }
}

// The parameters and statistics of the channels, as far as the options ask for them, which it checks.
template <class Layer, class Options>
void start_channels(const char* type, Layer& layer, int64_t channels, const Options& o) {
  if (channels < 1) fail<ValueError>("[{}] {} channels; there must be at least 1", type, channels);
  cotangent::detail::check_not_negative(type, "eps", o.eps);
  cotangent::detail::check_fraction(type, "momentum", o.momentum);
  if (o.affine) {
    layer.weight = ones({channels}, o.dtype);
    layer.bias = zeros({channels}, o.dtype);
  }
  if (o.track_running_stats) {
    layer.running_mean = zeros({channels}, o.dtype);
    layer.running_var = ones({channels}, o.dtype);
    layer.num_batches_tracked = zeros({}, int64);
  }
}
}  // namespace

BatchNormLayer::BatchNormLayer(int dims, int64_t channels, const BatchNormOptions& o)
    : eps(o.eps), momentum(o.momentum), activation(o.activation), dims_(dims) {
  start_channels(dims == 1 ? "BatchNorm1d" : "BatchNorm2d", *this, channels, o);
}

Tensor BatchNormLayer::forward(const Tensor& x) {
  if (dims_ == 1 && x.rank() != 2 && x.rank() != 3)
    fail<ShapeError>("[BatchNorm1d] x is {}; it must be (N, C) or (N, C, L)", x.shape());
  if (dims_ == 2 && x.rank() != 4) fail<ShapeError>("[BatchNorm2d] x is {}; it must be (N, C, H, W)", x.shape());
  const bool by_batch = is_training() || !running_mean.defined();
  if (is_training() && num_batches_tracked.defined() && !recomputing()) num_batches_tracked.add_(1);
  const Limits* limits = limits_of(activation);
  const Tensor y =
      batch_norm(x, running_mean, running_var, weight, bias, by_batch, momentum, eps, limits ? *limits : Limits());
  return limits ? y : activate(activation, y);
}

std::string BatchNormLayer::settings() const {
  const Tensor& any = weight.defined() ? static_cast<const Tensor&>(weight) : running_mean;
  std::string text = any.defined() ? std::to_string(any.numel()) : "";
  if (activation != Activation::identity)
    text += fmt::format("{}activation = {}", text.empty() ? "" : ", ", name(activation));
  return text;
}

namespace {
void check_options(const char* type, const Shape& shape, double eps) {
  if (shape.empty() || shape.product() < 1)
    fail<ValueError>("[{}] normalized_shape is {}; it must have at least one dimension, none of size 0", type, shape);
  cotangent::detail::check_not_negative(type, "eps", eps);
}
std::string shape_settings(const Shape& shape) {
  return shape.rank() == 1 ? std::to_string(shape[0]) : to_string(shape);
}
}  // namespace

LayerNorm::LayerNorm(const Shape& shape, const LayerNormOptions& o) : normalized_shape(shape), eps(o.eps) {
  check_options("LayerNorm", shape, eps);
  if (o.affine) weight = ones(shape, o.dtype);
  if (o.affine && o.bias) bias = zeros(shape, o.dtype);
}

Tensor LayerNorm::forward(const Tensor& x) { return layer_norm(x, normalized_shape, weight, bias, eps); }

std::string LayerNorm::settings() const { return shape_settings(normalized_shape); }

RMSNorm::RMSNorm(const Shape& shape, const RMSNormOptions& o) : normalized_shape(shape), eps(o.eps) {
  check_options("RMSNorm", shape, eps);
  if (o.affine) weight = ones(shape, o.dtype);
}

Tensor RMSNorm::forward(const Tensor& x) { return rms_norm(x, normalized_shape, weight, eps); }

std::string RMSNorm::settings() const { return shape_settings(normalized_shape); }

ScaleNorm::ScaleNorm(int64_t size_, const ScaleNormOptions& o) : size(size_), eps(o.eps) {
  check_options("ScaleNorm", {size}, eps);
  weight = ones({}, o.dtype);
}

Tensor ScaleNorm::forward(const Tensor& x) {
  const Tensor y = rms_norm(x, {size}, {}, eps);
  return cotangent::to(y * weight, y.dtype());  // which may be below that of the weight
}

std::string ScaleNorm::settings() const { return std::to_string(size); }

AnyNorm normalization(Normalization kind, int64_t size, const NormalizationOptions& o) {
  switch (kind) {
    case Normalization::rms: return RMSNorm(size, {.eps = o.eps, .dtype = o.dtype});
    case Normalization::scale: return ScaleNorm(size, {.eps = o.eps, .dtype = o.dtype});
    default: return LayerNorm(size, {.eps = o.eps, .bias = o.bias, .dtype = o.dtype});
  }
}

GroupNorm::GroupNorm(int64_t groups_, int64_t channels_, const GroupNormOptions& o)
    : groups(groups_), channels(channels_), eps(o.eps) {
  if (groups < 1 || channels < 1 || channels % groups != 0)
    fail<ValueError>("[GroupNorm] {} groups of {} channels; the groups must divide them, and there must be at least 1",
                     groups, channels);
  cotangent::detail::check_not_negative("GroupNorm", "eps", eps);
  if (!o.affine) return;
  weight = ones({channels}, o.dtype);
  bias = zeros({channels}, o.dtype);
}

Tensor GroupNorm::forward(const Tensor& x) {
  if (x.rank() < 2 || x.size(1) != channels)
    fail<ShapeError>("[GroupNorm] x is {}; it must be (N, {}, ...)", x.shape(), channels);
  return group_norm(x, groups, weight, bias, eps);
}

std::string GroupNorm::settings() const { return fmt::format("{}, {}", groups, channels); }

InstanceNormLayer::InstanceNormLayer(int dims, int64_t channels_, const InstanceNormOptions& o)
    : channels(channels_), eps(o.eps), momentum(o.momentum), dims_(dims) {
  constexpr const char* names[] = {"InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"};
  start_channels(names[dims - 1], *this, channels, o);
}

Tensor InstanceNormLayer::forward(const Tensor& x) {
  const bool one = x.rank() == dims_ + 1;
  if ((!one && x.rank() != dims_ + 2) || x.size(one ? 0 : 1) != channels)
    fail<ShapeError>(
        "[InstanceNorm{}d] x is {}; it must be (N, {}, ...) with {} position dimensions, N left out for one example",
        dims_, x.shape(), channels, dims_);
  const Tensor y = instance_norm(one ? unsqueeze(x, 0) : x, running_mean, running_var, weight, bias,
                                 is_training() || !running_mean.defined(), momentum, eps);
  return one ? squeeze(y, 0) : y;
}

std::string InstanceNormLayer::settings() const { return std::to_string(channels); }

}  // namespace cotangent::nn
