#include <cotangent/nn/norm.hpp>

#include <cotangent/autograd/ops/norm.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

BatchNormLayer::BatchNormLayer(int64_t channels, const BatchNormOptions& o) : eps(o.eps), momentum(o.momentum) {
  if (channels < 1) fail<ValueError>("[BatchNorm] {} channels; there must be at least 1", channels);
  if (o.affine) {
    weight = ones({channels}, o.dtype);
    bias = zeros({channels}, o.dtype);
  }
  if (o.track_running_stats) {
    running_mean = zeros({channels}, o.dtype);
    running_var = ones({channels}, o.dtype);
    num_batches_tracked = zeros({}, int64);
  }
}

Tensor BatchNormLayer::forward(const Tensor& x) {
  check(x);
  const bool by_batch = is_training() || !running_mean.defined();
  if (is_training() && num_batches_tracked.defined()) num_batches_tracked.add_(1);
  return batch_norm(x, running_mean, running_var, weight, bias, by_batch, momentum, eps);
}

std::string BatchNormLayer::settings() const {
  const Tensor& any = weight.defined() ? static_cast<const Tensor&>(weight) : running_mean;
  return any.defined() ? std::to_string(any.numel()) : "";
}

void BatchNorm1d::check(const Tensor& x) const {
  if (x.rank() != 2 && x.rank() != 3)
    fail<ShapeError>("[BatchNorm1d] x is {}; it must be (N, C) or (N, C, L)", x.shape());
}
void BatchNorm2d::check(const Tensor& x) const {
  if (x.rank() != 4) fail<ShapeError>("[BatchNorm2d] x is {}; it must be (N, C, H, W)", x.shape());
}

LayerNorm::LayerNorm(const Shape& shape, const LayerNormOptions& o) : normalized_shape(shape), eps(o.eps) {
  if (shape.empty() || shape.product() < 1)
    fail<ValueError>("[LayerNorm] normalized_shape is {}; it must have at least one dimension, none of size 0", shape);
  if (o.affine) weight = ones(shape, o.dtype);
  if (o.affine && o.bias) bias = zeros(shape, o.dtype);
}

Tensor LayerNorm::forward(const Tensor& x) { return layer_norm(x, normalized_shape, weight, bias, eps); }

std::string LayerNorm::settings() const {
  return normalized_shape.rank() == 1 ? std::to_string(normalized_shape[0]) : to_string(normalized_shape);
}

}  // namespace cotangent::nn
