#include <cotangent/autograd/ops/loss.hpp>

#include <cmath>
#include <limits>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/loss.hpp>
#include <cotangent/tensor/precision_internal.hpp>
#include <cotangent/tensor/reduce.hpp>

namespace cotangent {
namespace {

using raw::Binary;

Tensor reduced(const Tensor& loss, Reduction reduction) {
  return reduction == Reduction::none ? loss : reduction == Reduction::mean ? mean(loss) : sum(loss);
}

void check_pair(const char* op, const Tensor& x, const Tensor& target) {
  if (x.shape() != target.shape())
    fail<ShapeError>("[{}] the input has shape {} and the target {}; they must be the same (reshape or expand one)", op,
                     x.shape(), target.shape());
  if (!x.is_floating() || !target.is_floating())
    fail<DTypeError>("[{}] the input is {} and the target {}; both must be floating", op, x.dtype(), target.dtype());
}

/// weight * x, where a weight of 0 also takes away what is infinite, as the logarithm of a probability of 0 is.
Tensor weighed(const Tensor& weight, const Tensor& x) {
  const Tensor y = weight * x;
  if (!std::isnan(sum(y.detach()).item())) return y;
  return weight * masked_fill(x, weight == 0 && abs(x.detach()) == std::numeric_limits<double>::infinity(), 0);
}

void check_smoothing(double e) {
  if (!(e >= 0 && e <= 1)) fail<ValueError>("[cross_entropy] label_smoothing is {}; it must be from 0 to 1", e);
}

}  // namespace

// ---- squared error ----

Tensor mse_loss(const Tensor& x, const Tensor& target, const MseLossOptions& options) {
  COTANGENT_AUTOCAST(mse_loss, x, target, options);
  check_pair("mse_loss", x, target);
  if (x.dtype() != target.dtype()) {
    const Dtype dtype = promote(x.dtype(), target.dtype());
    return mse_loss(to(x, dtype), to(target, dtype), options);
  }
  if (is_low_precision(x.dtype())) return in_float32<to>(mse_loss, x, target, options);
  if (options.reduction == Reduction::none) return square(x - target);
  const double scale = options.reduction == Reduction::mean ? 1 / static_cast<double>(x.numel()) : 1;
  Tensor y = raw::squared_distance("mse_loss", x, target);
  if (scale != 1) y = raw::binary("mse_loss", Binary::mul, y, scale);
  return record("mse_loss", {x, target}, y, Keep::inputs(2), 2 * scale, [](const Backward& b, double s) -> Gradients {
    const Tensor &v = b.input(0), &t = b.input(1);
    const Tensor dx = b.creates_graph()
                          ? (v - t) * (b.grad() * s)
                          : raw::binary("mse_loss", Binary::scaled_sub, v, t, b.grad().item<double>() * s);
    return {dx, b.needs(1) ? neg(dx) : Tensor()};
  });
}

// ---- classes ----

namespace {

struct Picked {
  int64_t ignore_index;
  int dim;
  MemoryFormat format;  // of what holds all classes
};
Tensor place_class(const Tensor& g, const Tensor& target, const Picked& at, const Shape& shape);

Tensor pick_class(const Tensor& x, const Tensor& target, const Picked& at) {
  return record("pick_class", {x, target}, raw::pick_class(x, target, at.ignore_index, at.dim), Keep::input(1), at,
                [](const Backward& b, const Picked& p) -> Gradients {
                  return {place_class(b.grad(), b.input(1), p, b.shape(0))};
                });
}

Tensor place_class(const Tensor& g, const Tensor& target, const Picked& at, const Shape& shape) {
  return record("place_class", {g, target}, raw::place_class(g, target, at.ignore_index, at.dim, shape, at.format),
                Keep::input(1), at,
                [](const Backward& b, const Picked& p) -> Gradients { return {pick_class(b.grad(), b.input(1), p)}; });
}

struct CrossEntropyRule {
  raw::ClassCounts counts;
  double scale, smoothing;
};

// dx = dy (softmax(x) sum(q) - q) in differentiable ops.
Tensor cross_entropy_slope(const Tensor& dy, const Tensor& x, const raw::ClassTarget& target,
                           const CrossEntropyRule& rule) {
  const int dim = target.dim;
  const Tensor q = raw::class_coefficients(target, x.shape(), x.dtype(), rule.smoothing);
  const Tensor each = dy.rank() == 0 ? dy : unsqueeze(dy, dim);
  const Tensor counted = masked_fill(x, unsqueeze(target.target == target.ignore_index, dim), 0);  // no NaN from there
  return (softmax(counted, dim) * sum(q, dim, true) - q) * (each * rule.scale);
}

Tensor cross_entropy_of_indices(const Tensor& x, const Tensor& index, const CrossEntropyOptions& options) {
  const raw::ClassTarget target =
      raw::class_target("cross_entropy", x.shape(), x.dtype(), index, options.weight, options.ignore_index);
  const auto [losses, shift, log_sum] = raw::cross_entropy("cross_entropy", x, target, options.label_smoothing);
  const double scale = options.reduction == Reduction::mean ? 1 / target.total : 1;
  Tensor y = losses;
  if (options.reduction != Reduction::none) {
    NoGrad guard;
    y = sum(losses);
    if (options.reduction == Reduction::mean) y = y / target.total;
  }
  return record("cross_entropy", {x, target.target, target.weight, shift, log_sum}, y, Keep::inputs(5),
                CrossEntropyRule{target, scale, options.label_smoothing},
                [](const Backward& b, const CrossEntropyRule& rule) -> Gradients {
                  const raw::ClassTarget t{rule.counts, b.input(1), b.input(2)};
                  if (b.creates_graph()) return {cross_entropy_slope(b.grad(), b.input(0), t, rule)};
                  return {raw::cross_entropy_backward("cross_entropy", b.grad(), rule.scale, b.input(0), t,
                                                      rule.smoothing, {Tensor(), b.input(3), b.input(4)})};
                });
}

Tensor cross_entropy_of_probabilities(const Tensor& x, const Tensor& target, const CrossEntropyOptions& options) {
  if (target.rank() + 1 == x.rank())
    fail<DTypeError>(
        "[cross_entropy] the target is {} of shape {}, and the input has shape {}; class indices must be integers: "
        "convert them with to(int64)",
        target.dtype(), target.shape(), x.shape());
  check_pair("cross_entropy", x, target);
  if (x.rank() == 0) fail<ShapeError>("[cross_entropy] the input has shape (); it must be (C) or (N, C, ...)");
  if (options.ignore_index >= 0)
    fail<ValueError>(
        "[cross_entropy] ignore_index is {}, but the target holds probabilities; only class indices can be ignored",
        options.ignore_index);
  const int dim = x.rank() == 1 ? 0 : 1;
  const int64_t classes = x.shape()[dim];
  const double e = options.label_smoothing;
  Tensor q = to(target, x.dtype());
  if (e != 0) q = q * (1 - e) + e / static_cast<double>(classes);
  if (options.weight.defined()) {
    if (options.weight.shape() != Shape{classes})
      fail<ShapeError>("[cross_entropy] the weight has shape {}; one number a class has shape ({},)",
                       options.weight.shape(), classes);
    Shape shape = Dims::filled(x.rank(), 1);
    shape[dim] = classes;
    q = q * to(reshape(options.weight.detach(), shape), x.dtype());
  }
  return reduced(neg(sum(weighed(q, log_softmax(x, dim)), dim)), options.reduction);
}

}  // namespace

Tensor cross_entropy(const Tensor& x, const Tensor& target, const CrossEntropyOptions& options) {
  COTANGENT_AUTOCAST(cross_entropy, x, target, options);
  check_smoothing(options.label_smoothing);
  if (is_low_precision(x.dtype())) return in_float32<to>(cross_entropy, x, target, options);
  return target.is_floating() ? cross_entropy_of_probabilities(x, target, options)
                              : cross_entropy_of_indices(x, target, options);
}

Tensor nll_loss(const Tensor& x, const Tensor& target, const NllLossOptions& options) {
  COTANGENT_AUTOCAST(nll_loss, x, target, options);
  if (is_low_precision(x.dtype())) return in_float32<to>(nll_loss, x, target, options);
  const raw::ClassTarget t =
      raw::class_target("nll_loss", x.shape(), x.dtype(), target, options.weight, options.ignore_index);
  Tensor loss = neg(pick_class(x, t.target, {t.ignore_index, t.dim, raw::memory_format(x)}));
  if (t.weight.defined()) loss = weighed(raw::position_weights(t, x.dtype()), loss);
  if (options.reduction == Reduction::none) return loss;
  return options.reduction == Reduction::mean ? sum(loss) / t.total : sum(loss);
}

// ---- binary ----

Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target, const BceWithLogitsOptions& options) {
  COTANGENT_AUTOCAST(binary_cross_entropy_with_logits, x, target, options);
  const char* op = "binary_cross_entropy_with_logits";
  check_pair(op, x, target);
  if (x.dtype() != target.dtype()) {
    const Dtype dtype = promote(x.dtype(), target.dtype());
    return binary_cross_entropy_with_logits(to(x, dtype), to(target, dtype), options);
  }
  const auto as_x = [&](const Tensor& w) { return !w.defined() || w.dtype() == x.dtype(); };
  if (is_low_precision(x.dtype()) && as_x(options.weight) && as_x(options.pos_weight))
    return in_float32<to>(binary_cross_entropy_with_logits, x, target, options);
  Tensor loss;
  if (options.pos_weight.defined()) {
    loss = neg(weighed(target * options.pos_weight, log_sigmoid(x)) + weighed(1 - target, log_sigmoid(neg(x))));
  } else {
    loss = record(
        "binary_cross_entropy_with_logits", {x, target}, raw::binary(op, Binary::bce_with_logits, x, target),
        Keep::inputs(2), NoAttributes{}, [](const Backward& b, NoAttributes) -> Gradients {
          const Tensor &v = b.input(0), &t = b.input(1), none;
          const Tensor dt = b.needs(1) ? neg(b.grad() * v) : none;
          if (!b.needs(0)) return {none, dt};
          if (b.creates_graph()) return {b.grad() * (sigmoid(v) - t), dt};
          return {b.grad() * raw::binary("binary_cross_entropy_with_logits", Binary::bce_with_logits_slope, v, t), dt};
        });
  }
  if (options.weight.defined()) loss = weighed(options.weight, loss);
  return reduced(loss, options.reduction);
}

}  // namespace cotangent
