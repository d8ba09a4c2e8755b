#include <cotangent/autograd/ops/loss.hpp>

#include <cmath>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/op_info.hpp>
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

void check_smoothing(double e) {
  if (!(e >= 0 && e <= 1)) fail<ValueError>("[cross_entropy] label_smoothing is {}; it must be from 0 to 1", e);
}

}  // namespace

// ---- squared error ----

Tensor mse_loss(const Tensor& x, const Tensor& target, const MseLossOptions& options) {
  check_pair("mse_loss", x, target);
  if (x.dtype() != target.dtype()) {
    const Dtype dtype = promote(x.dtype(), target.dtype());
    return mse_loss(to(x, dtype), to(target, dtype), options);
  }
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
};
Tensor place_class(const Tensor& g, const Tensor& target, const Picked& at, const Shape& shape);

Tensor pick_class(const Tensor& x, const Tensor& target, const Picked& at) {
  return record("pick_class", {x, target}, raw::pick_class(x, target, at.ignore_index, at.dim), Keep::input(1), at,
                [](const Backward& b, const Picked& p) -> Gradients {
                  return {place_class(b.grad(), b.input(1), p, b.shape(0)), Tensor()};
                });
}

Tensor place_class(const Tensor& g, const Tensor& target, const Picked& at, const Shape& shape) {
  return record("place_class", {g, target}, raw::place_class(g, target, at.ignore_index, at.dim, shape), Keep::input(1),
                at, [](const Backward& b, const Picked& p) -> Gradients {
                  return {pick_class(b.grad(), b.input(1), p), Tensor()};
                });
}

/// What the fused rule needs beside the logits.
struct CrossEntropyRule {
  raw::ClassTarget target;
  raw::CrossEntropy kept;  // without the losses
  double scale, smoothing;
};

// dx = dy (softmax(x) sum(q) - q) in differentiable ops.
Tensor cross_entropy_slope(const Tensor& dy, const Tensor& x, const CrossEntropyRule& rule) {
  const int dim = rule.target.dim;
  const Tensor q = raw::class_coefficients(rule.target, x.shape(), x.dtype(), rule.smoothing);
  const Tensor each = dy.rank() == 0 ? dy : unsqueeze(dy, dim);
  return (softmax(x, dim) * sum(q, dim, true) - q) * (each * rule.scale);
}

Tensor cross_entropy_of_indices(const Tensor& x, const Tensor& index, const CrossEntropyOptions& options) {
  raw::ClassTarget target =
      raw::class_target("cross_entropy", x.shape(), x.dtype(), index, options.weight, options.ignore_index);
  raw::CrossEntropy kept = raw::cross_entropy("cross_entropy", x, target, options.label_smoothing);
  const Tensor losses = std::move(kept.loss);
  kept.loss = Tensor();
  const double scale = options.reduction == Reduction::mean ? 1 / target.total : 1;
  Tensor y = losses;
  if (options.reduction != Reduction::none) {
    NoGrad guard;
    y = sum(losses);
    if (options.reduction == Reduction::mean) y = y / target.total;
  }
  return record("cross_entropy", {x}, y, Keep::input(0),
                CrossEntropyRule{std::move(target), std::move(kept), scale, options.label_smoothing},
                [](const Backward& b, const CrossEntropyRule& rule) -> Gradients {
                  if (b.creates_graph()) return {cross_entropy_slope(b.grad(), b.input(0), rule)};
                  return {raw::cross_entropy_backward("cross_entropy", b.grad(), rule.scale, b.input(0), rule.target,
                                                      rule.smoothing, rule.kept)};
                });
}

Tensor cross_entropy_of_probabilities(const Tensor& x, const Tensor& target, const CrossEntropyOptions& options) {
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
  return reduced(neg(sum(q * log_softmax(x, dim), dim)), options.reduction);
}

}  // namespace

Tensor cross_entropy(const Tensor& x, const Tensor& target, const CrossEntropyOptions& options) {
  check_smoothing(options.label_smoothing);
  return target.is_floating() ? cross_entropy_of_probabilities(x, target, options)
                              : cross_entropy_of_indices(x, target, options);
}

Tensor nll_loss(const Tensor& x, const Tensor& target, const NllLossOptions& options) {
  const raw::ClassTarget t =
      raw::class_target("nll_loss", x.shape(), x.dtype(), target, options.weight, options.ignore_index);
  Tensor loss = neg(pick_class(x, t.target, {t.ignore_index, t.dim}));
  if (t.weight.defined()) loss = loss * raw::position_weights(t, x.dtype());
  if (options.reduction == Reduction::none) return loss;
  return options.reduction == Reduction::mean ? sum(loss) / t.total : sum(loss);
}

// ---- binary ----

Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target, const BceWithLogitsOptions& options) {
  const char* op = "binary_cross_entropy_with_logits";
  check_pair(op, x, target);
  if (x.dtype() != target.dtype()) {
    const Dtype dtype = promote(x.dtype(), target.dtype());
    return binary_cross_entropy_with_logits(to(x, dtype), to(target, dtype), options);
  }
  Tensor loss;
  if (options.pos_weight.defined()) {
    loss = neg(target * options.pos_weight * log_sigmoid(x) + (1 - target) * log_sigmoid(neg(x)));
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
  if (options.weight.defined()) loss = loss * options.weight;
  return reduced(loss, options.reduction);
}

// ---- op table ----

namespace {

/// The loss of each position by its definition, from logits (or, under kLogProbs, log-probabilities) of shape (N, C,
/// ...).
template <bool kLogProbs>
Tensor class_losses(const Tensor& x, const Tensor& target, const Tensor& weight, double smoothing,
                    int64_t ignore_index) {
  const std::vector<double> v = x.detach().to_vector<double>();
  const std::vector<double> w = weight.defined() ? weight.to_vector<double>() : std::vector<double>(v.size(), 1);
  const std::vector<int64_t> t = target.to_vector<int64_t>();
  const size_t samples = x.rank() == 1 ? 1 : static_cast<size_t>(x.size(0));
  const size_t classes = static_cast<size_t>(x.size(x.rank() == 1 ? 0 : 1)), inner = v.size() / classes / samples;
  std::vector<double> loss(t.size(), 0);
  for (size_t i = 0; i < t.size(); ++i) {
    if (t[i] == ignore_index) continue;
    auto at = [&](size_t c) { return v[(i / inner * classes + c) * inner + i % inner]; };
    double sum = 0;
    for (size_t c = 0; c < classes; ++c) sum += std::exp(at(c));
    for (size_t c = 0; c < classes; ++c) {
      const double q = (c == static_cast<size_t>(t[i]) ? 1 - smoothing : 0) + smoothing / static_cast<double>(classes);
      loss[i] -= q * w[c] * (kLogProbs ? at(c) : at(c) - std::log(sum));
    }
  }
  return from_vector(loss, target.shape());
}
/// The mean: over the weights of the positions that count.
Tensor class_mean(const Tensor& losses, const Tensor& target, const Tensor& weight, int64_t ignore_index) {
  double total = 0;
  for (int64_t t : target.to_vector<int64_t>())
    if (t != ignore_index) total += weight.defined() ? weight.to_vector<double>()[static_cast<size_t>(t)] : 1;
  double sum = 0;
  for (double l : losses.to_vector<double>()) sum += l;
  return full({}, sum / total, float64);
}
Tensor elements(Arguments x, double (*f)(double, double)) {
  std::vector<double> a = x[0].detach().to_vector<double>(), b = x[1].detach().to_vector<double>();
  for (size_t i = 0; i < a.size(); ++i) a[i] = f(a[i], b[i]);
  return from_vector(a, x[0].shape());
}
double squared(double a, double b) { return (a - b) * (a - b); }
double binary(double a, double b) {
  return -b * std::log(1 / (1 + std::exp(-a))) - (1 - b) * std::log(1 / (1 + std::exp(a)));
}

template <Reduction reduction>
Results mse(Arguments x) {
  return mse_loss(x[0], x[1], {reduction});
}
Results indices(Arguments x) { return cross_entropy(x[0], x[1]); }
Results indices_reference(Arguments x) {
  return class_mean(class_losses<false>(x[0], x[1], {}, 0, -100), x[1], {}, -100);
}
Results every_option(Arguments x) {
  return cross_entropy(x[0], x[1], {.weight = x[2], .ignore_index = 1, .label_smoothing = 0.2});
}
Results every_option_reference(Arguments x) {
  return class_mean(class_losses<false>(x[0], x[1], x[2], 0.2, 1), x[1], x[2], 1);
}
Results probabilities(Arguments x) { return cross_entropy(x[0], softmax(x[1], 1)); }
Results probabilities_reference(Arguments x) { return mean(sum(neg(softmax(x[1], 1) * log(softmax(x[0], 1))), 1)); }
Results nll(Arguments x) { return nll_loss(x[0], x[1]); }

const InputSpec kTarget = values({4}, {2, 0, 1, 2}, int64);

}  // namespace

COTANGENT_OP_TABLE(loss) {
  return {
      {.name = "mse_loss",
       .samples = {{{normal({2, 3}), normal({2, 3})},
                    mse<Reduction::mean>,
                    [](Arguments x) -> Results { return mean(elements(x, squared)); }},
                   {{normal({2, 3}), normal({2, 3})},
                    mse<Reduction::sum>,
                    [](Arguments x) -> Results { return sum(elements(x, squared)); }},
                   {{normal({3, 1}), normal({3, 1})},
                    mse<Reduction::none>,
                    [](Arguments x) -> Results { return elements(x, squared); }},
                   {{normal({}), normal({})},
                    mse<Reduction::mean>,
                    [](Arguments x) -> Results { return elements(x, squared); }}},
       .errors = {{{normal({3, 1}), normal({3})}, mse<Reduction::mean>, "they must be the same"},
                  {{normal({3}), integers({3}, 0, 2)}, mse<Reduction::mean>, "both must be floating"}}},
      {.name = "cross_entropy",
       .samples = {{{normal({4, 3}), kTarget}, indices, indices_reference},
                   {{normal({4, 3}), kTarget},
                    [](Arguments x) -> Results { return cross_entropy(x[0], x[1], {.reduction = Reduction::none}); },
                    [](Arguments x) -> Results { return class_losses<false>(x[0], x[1], {}, 0, -100); }},
                   {{normal({4, 3}), kTarget},
                    [](Arguments x) -> Results {
                      return cross_entropy(x[0], x[1], {.reduction = Reduction::sum, .label_smoothing = 0.1});
                    },
                    [](Arguments x) -> Results { return sum(class_losses<false>(x[0], x[1], {}, 0.1, -100)); }},
                   {{normal({4, 3}), kTarget, constant(uniform({3}, 0.5, 2))}, every_option, every_option_reference},
                   {{normal({2, 3, 2}), values({2, 2}, {0, 2, 1, 2}, int64)}, indices, indices_reference},
                   {{normal({2, 3, 1, 2}), values({2, 1, 2}, {0, 2, 1, 2}, int64), constant(uniform({3}, 0.5, 2))},
                    every_option,
                    every_option_reference},
                   {{normal({3}), values({}, {1}, int64)}, indices, indices_reference},
                   {{normal({2, 3}), normal({2, 3})}, probabilities, probabilities_reference},
                   {{normal({2, 3, 2}), normal({2, 3, 2})}, probabilities, probabilities_reference},
                   {{normal({2, 3}), uniform({2, 3}, 0.1, 0.5), constant(uniform({3}, 0.5, 2))},
                    [](Arguments x) -> Results {
                      return cross_entropy(x[0], x[1],
                                           {.weight = x[2], .reduction = Reduction::sum, .label_smoothing = 0.2});
                    },
                    [](Arguments x) -> Results {
                      return neg(sum((x[1] * 0.8 + 0.2 / 3) * x[2] * log(softmax(x[0], 1))));
                    }}},
       .errors = {{{normal({2, 3}), values({2}, {0, 3}, int64)},
                   indices,
                   "the target at row 1 is 3, and there are 3 classes"},
                  {{normal({2, 3}), values({2}, {0, -1}, int64)}, indices, "the target at row 1 is -1"},
                  {{normal({2, 3}), values({3}, {0, 1, 2}, int64)}, indices, "class indices for it have shape (2,)"},
                  {{normal({2, 3}), normal({2})}, indices, "they must be the same"},
                  {{normal({2, 3}), booleans({2})}, indices, "must be int64, int32 or uint8"},
                  {{normal({2, 3}), values({2}, {0, 1}, int64), normal({2})}, every_option, "has shape (3,)"},
                  {{normal({2, 3}), values({2}, {0, 1}, int64)},
                   [](Arguments x) -> Results { return cross_entropy(x[0], x[1], {.label_smoothing = 2}); },
                   "label_smoothing is 2"}}},
      {.name = "nll_loss",
       .samples = {{{normal({4, 3}), kTarget},
                    nll,
                    [](Arguments x) -> Results {
                      return class_mean(class_losses<true>(x[0], x[1], {}, 0, -100), x[1], {}, -100);
                    }},
                   {{normal({2, 3, 2}), values({2, 2}, {0, 2, 1, 2}, int64), constant(uniform({3}, 0.5, 2))},
                    [](Arguments x) -> Results { return nll_loss(x[0], x[1], {.weight = x[2], .ignore_index = 1}); },
                    [](Arguments x) -> Results {
                      return class_mean(class_losses<true>(x[0], x[1], x[2], 0, 1), x[1], x[2], 1);
                    }},
                   {{normal({4, 3}), kTarget},
                    [](Arguments x) -> Results { return nll_loss(x[0], x[1], {.reduction = Reduction::none}); },
                    [](Arguments x) -> Results { return class_losses<true>(x[0], x[1], {}, 0, -100); }},
                   {{normal({3}), values({}, {1}, int64)},
                    [](Arguments x) -> Results { return nll_loss(x[0], x[1], {.reduction = Reduction::sum}); },
                    [](Arguments x) -> Results { return class_losses<true>(x[0], x[1], {}, 0, -100); }}},
       .errors = {{{normal({2, 3}), values({2}, {0, 3}, int64)}, nll, "the target at row 1 is 3"},
                  {{normal({}), values({}, {0}, int64)}, nll, "it must be (C) or (N, C, ...)"}},
       .recorded_as = {"pick_class", "place_class"}},
      {.name = "binary_cross_entropy_with_logits",
       .samples = {{{normal({2, 3}), uniform({2, 3}, 0.1, 0.9)},
                    [](Arguments x) -> Results { return binary_cross_entropy_with_logits(x[0], x[1]); },
                    [](Arguments x) -> Results { return mean(elements(x, binary)); }},
                   {{normal({2, 3}), uniform({2, 3}, 0.1, 0.9), uniform({3}, 0.5, 2), uniform({2, 1}, 0.5, 2)},
                    [](Arguments x) -> Results {
                      return binary_cross_entropy_with_logits(
                          x[0], x[1], {.weight = x[3], .pos_weight = x[2], .reduction = Reduction::none});
                    },
                    [](Arguments x) -> Results {
                      const Tensor s = sigmoid(x[0]);
                      return neg(x[1] * x[2] * log(s) + (1 - x[1]) * log(1 - s)) * x[3];
                    }},
                   {{normal({}), uniform({}, 0.1, 0.9)},
                    [](Arguments x) -> Results {
                      return binary_cross_entropy_with_logits(x[0], x[1], {.reduction = Reduction::sum});
                    },
                    [](Arguments x) -> Results { return elements(x, binary); }}},
       .errors = {{{normal({3, 1}), normal({3})},
                   [](Arguments x) -> Results { return binary_cross_entropy_with_logits(x[0], x[1]); },
                   "they must be the same"}}},
  };
}

}  // namespace cotangent
