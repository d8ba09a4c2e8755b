#include <cotangent/autograd/ops/norm.hpp>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/norm_internal.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/norm.hpp>

namespace cotangent {
namespace {

using namespace norms;

Dims last_dims(int rank, int count) {
  Dims dims;
  for (int d = rank - count; d < rank; ++d) dims.push_back(d);
  return dims;
}

Tensor composite_layer_norm(std::span<const Tensor> inputs, const void* attributes) {
  const NormAttributes& a = *static_cast<const NormAttributes*>(attributes);
  const Tensor x = widened<to>(inputs[0]);
  const Dims dims = last_dims(x.rank(), a.dims);
  const Tensor d = centred(x, dims);
  return normalized(d, inverse_deviation(d, dims, a.eps), inputs[1], inputs[2], inputs[0].dtype());
}

Tensor composite_rms_norm(std::span<const Tensor> inputs, const void* attributes) {
  const NormAttributes& a = *static_cast<const NormAttributes*>(attributes);
  const Tensor x = widened<to>(inputs[0]);
  const Tensor y = x * rsqrt(mean(square(x), last_dims(x.rank(), a.dims), true) + a.eps);
  return to(inputs[1].defined() ? y * to(inputs[1], x.dtype()) : y, inputs[0].dtype());
}

Tensor composite_batch_norm(std::span<const Tensor> inputs, const void* attributes) {
  const NormAttributes& a = *static_cast<const NormAttributes*>(attributes);
  const Tensor x = widened<to>(inputs[0]);
  Shape per_channel = Dims::filled(x.rank(), 1);
  per_channel[1] = x.shape()[1];
  auto spread = [&](const Tensor& t) { return t.defined() ? reshape(t, per_channel) : t; };
  Dims dims{0};
  for (int d = 2; d < x.rank(); ++d) dims.push_back(d);
  const Tensor m = spread(inputs[3]), rounded = to(m, x.dtype()), rest = to(m - rounded, x.dtype());
  const Tensor d = a.training ? centred(x, dims) : x - rounded - rest,
               rstd = a.training ? inverse_deviation(d, dims, a.eps) : spread(inputs[4]);
  const Tensor y = normalized(d, rstd, spread(inputs[1]), spread(inputs[2]), inputs[0].dtype());
  return a.limits.any() ? hardtanh(y, a.limits.low, a.limits.high) : y;
}

void check_normalized_shape(const char* op, const Tensor& x, const Shape& normalized_shape) {
  const int dims = normalized_shape.rank();
  if (dims == 0) fail<ShapeError>("[{}] the normalized shape is (); it must have one dimension at least", op);
  if (dims > x.rank() || x.shape().slice(x.rank() - dims, x.rank()) != normalized_shape)
    fail<ShapeError>("[{}] x is {} and the normalized shape {}; the last dimensions of x must equal it", op, x.shape(),
                     normalized_shape);
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight, const Tensor& bias,
                  double eps) {
  COTANGENT_AUTOCAST(layer_norm, x, normalized_shape, weight, bias, eps);
  check_floating("layer_norm", x);
  check_normalized_shape("layer_norm", x, normalized_shape);
  detail::check_not_negative("layer_norm", "eps", eps);
  check_parameter("layer_norm", "the weight", weight, normalized_shape);
  check_parameter("layer_norm", "the bias", bias, normalized_shape);
  const int dims = normalized_shape.rank();
  const raw::Normalized n = raw::layer_norm("layer_norm", x, dims, true, weight, bias, eps);
  return record("layer_norm", {x, weight, bias, n.mean, n.rstd}, n.y, Keep::inputs(5), NormAttributes{dims, true, eps},
                [](const Backward& b, const NormAttributes& a) -> Gradients {
                  if (b.creates_graph()) return b.through(composite_layer_norm, &a);
                  return finish(
                      b, raw::layer_norm_backward("layer_norm", b.grad(), b.input(0), true, b.input(1), b.input(3),
                                                  b.input(4), {b.needs(0), b.needs(1), b.needs(2)}));
                });
}

Tensor rms_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight, double eps) {
  COTANGENT_AUTOCAST(rms_norm, x, normalized_shape, weight, eps);
  check_floating("rms_norm", x);
  check_normalized_shape("rms_norm", x, normalized_shape);
  detail::check_not_negative("rms_norm", "eps", eps);
  check_parameter("rms_norm", "the weight", weight, normalized_shape);
  const int dims = normalized_shape.rank();
  const raw::Normalized n = raw::layer_norm("rms_norm", x, dims, false, weight, {}, eps);
  return record("rms_norm", {x, weight, n.mean, n.rstd}, n.y, Keep::inputs(4), NormAttributes{dims, true, eps},
                [](const Backward& b, const NormAttributes& a) -> Gradients {
                  if (b.creates_graph()) return b.through(composite_rms_norm, &a);
                  const raw::NormGradients g =
                      raw::layer_norm_backward("rms_norm", b.grad(), b.input(0), false, b.input(1), b.input(2),
                                               b.input(3), {b.needs(0), b.needs(1), false});
                  return {g.x, g.weight.defined() ? to(g.weight, b.dtype(1)) : g.weight};
                });
}

Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                  const Tensor& bias, bool training, double momentum, double eps, const Limits& limits) {
  if (detail::t_autocast.enabled) [[unlikely]]  // the running moments are written, so they stay as they are
    return detail::autocast(
        "batch_norm",
        [&](const Tensor& in, const Tensor& w, const Tensor& b) {
          return batch_norm(in, running_mean, running_var, w, b, training, momentum, eps, limits);
        },
        x, weight, bias);
  check_floating("batch_norm", x);
  if (x.rank() < 2) fail<ShapeError>("[batch_norm] x is {}; it must be (N, C, ...)", x.shape());
  const Shape per_channel{x.shape()[1]};
  check_parameter("batch_norm", "running_mean", running_mean, per_channel);
  check_parameter("batch_norm", "running_var", running_var, per_channel);
  check_parameter("batch_norm", "the weight", weight, per_channel);
  check_parameter("batch_norm", "the bias", bias, per_channel);
  if (!training && !(running_mean.defined() && running_var.defined()))
    fail<ValueError>(
        "[batch_norm] running_mean and running_var are needed outside training; pass both, or training = true");
  if (training && x.shape()[0] * x.shape().slice(2, x.rank()).product() == 1)
    fail<ShapeError>("[batch_norm] x is {}: one value a channel has no variance; training needs more than one",
                     x.shape());
  detail::check_not_negative("batch_norm", "eps", eps);
  detail::check_fraction("batch_norm", "momentum", momentum);
  if (!(limits.low <= limits.high))
    fail<ValueError>("[batch_norm] the lower limit {} is above the upper one {}; give the lower first", limits.low,
                     limits.high);
  const bool counted = training && recomputing();  // this batch has moved the running moments
  const raw::Normalized n =
      raw::batch_norm("batch_norm", x, counted ? Tensor() : running_mean, counted ? Tensor() : running_var, weight,
                      bias, training, momentum, eps, limits);
  return record("batch_norm", {x, weight, bias, n.mean, n.rstd}, n.y, Keep::inputs(5),
                NormAttributes{0, training, eps, limits}, [](const Backward& b, const NormAttributes& a) -> Gradients {
                  if (b.creates_graph()) return b.through(composite_batch_norm, &a);
                  return finish(b, raw::batch_norm_backward("batch_norm", b.take_grad(), b.input(0), b.input(1),
                                                            b.input(2), b.input(3), b.input(4), a.training,
                                                            {b.needs(0), b.needs(1), b.needs(2)}, a.limits));
                });
}

}  // namespace cotangent
