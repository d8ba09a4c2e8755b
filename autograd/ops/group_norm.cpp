// The normalisations of parts of one example: group_norm and instance_norm.
#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/norm.hpp>
#include <cotangent/autograd/ops/norm_internal.hpp>
#include <cotangent/autograd/ops/statistics.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>

namespace cotangent {
namespace {

using namespace norms;

struct GroupAttributes {
  const char* op;
  int64_t groups;
  double eps;
};

Tensor composite(std::span<const Tensor> inputs, const void* attributes) {
  const GroupAttributes& a = *static_cast<const GroupAttributes*>(attributes);
  const Tensor x = widened<to>(inputs[0]);
  Shape per_channel = Dims::filled(x.rank(), 1);
  per_channel[1] = x.size(1);
  auto spread = [&](const Tensor& t) { return t.defined() ? reshape(t, per_channel) : t; };
  const Tensor rows = reshape(x, {x.size(0), a.groups, x.numel() / (x.size(0) * a.groups)});
  const Tensor d = centred(rows, {2}), h = reshape(d * inverse_deviation(d, {2}, a.eps), x.shape());
  return normalized(h, ones({}, x.dtype()), spread(inputs[1]), spread(inputs[2]), inputs[0].dtype());
}

Tensor recorded(const char* op, const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps) {
  const raw::Normalized n = raw::group_norm(op, x, groups, weight, bias, eps);
  return record(op, {x, weight, bias, n.mean, n.rstd}, n.y, Keep::inputs(5), GroupAttributes{op, groups, eps},
                [](const Backward& b, const GroupAttributes& a) -> Gradients {
                  if (b.creates_graph()) return b.through(composite, &a);
                  return finish(b,
                                raw::group_norm_backward(a.op, b.grad(), b.input(0), a.groups, b.input(1), b.input(3),
                                                         b.input(4), {b.needs(0), b.needs(1), b.needs(2)}));
                });
}

void check_channels(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const Shape per_channel{x.size(1)};
  check_parameter(op, "the weight", weight, per_channel);
  check_parameter(op, "the bias", bias, per_channel);
}

}  // namespace

Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps) {
  COTANGENT_AUTOCAST(group_norm, x, groups, weight, bias, eps);
  check_floating("group_norm", x);
  if (x.rank() < 2) fail<ShapeError>("[group_norm] x is {}; it must be (N, C, ...)", x.shape());
  if (groups < 1 || x.size(1) % groups != 0)
    fail<ShapeError>("[group_norm] {} groups for x {}; they must divide its {} channels", groups, x.shape(), x.size(1));
  check_channels("group_norm", x, weight, bias);
  detail::check_not_negative("group_norm", "eps", eps);
  return recorded("group_norm", x, groups, weight, bias, eps);
}

Tensor instance_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                     const Tensor& bias, bool by_instance, double momentum, double eps) {
  if (detail::t_autocast.enabled) [[unlikely]]  // the running moments are written, so they stay as they are
    return detail::autocast(
        "instance_norm",
        [&](const Tensor& in, const Tensor& w, const Tensor& b) {
          return instance_norm(in, running_mean, running_var, w, b, by_instance, momentum, eps);
        },
        x, weight, bias);
  check_floating("instance_norm", x);
  if (x.rank() < 3) fail<ShapeError>("[instance_norm] x is {}; it must be (N, C, ...) with positions", x.shape());
  check_channels("instance_norm", x, weight, bias);
  detail::check_not_negative("instance_norm", "eps", eps);
  detail::check_fraction("instance_norm", "momentum", momentum);
  check_parameter("instance_norm", "running_mean", running_mean, {x.size(1)});
  check_parameter("instance_norm", "running_var", running_var, {x.size(1)});
  if (!by_instance) {
    if (!(running_mean.defined() && running_var.defined()))
      fail<ValueError>("[instance_norm] running_mean and running_var are needed when not by instance; pass both");
    return batch_norm(x, running_mean, running_var, weight, bias, false, momentum, eps);
  }
  const int64_t positions = x.shape().slice(2, x.rank()).product();
  if (positions == 1)
    fail<ShapeError>("[instance_norm] x is {}: one position has no variance; there must be more than one", x.shape());
  if ((running_mean.defined() || running_var.defined()) && !recomputing()) {
    const NoGrad guard;
    const Tensor rows = reshape(widened<to>(x.detach()), {x.size(0), x.size(1), positions});
    auto update = [&](Tensor running, const Tensor& moments) {  // a handle: it writes the caller's memory
      if (running.defined()) running.mul_(1 - momentum).add_(mean(moments, 0), momentum);
    };
    const Tensor near = mean(rows, 2, true);
    update(running_mean, squeeze(near, 2) + mean(rows - near, 2));
    update(running_var, var(rows, 2));
  }
  return recorded("instance_norm", x, std::max<int64_t>(x.size(1), 1), weight, bias, eps);
}

}  // namespace cotangent
