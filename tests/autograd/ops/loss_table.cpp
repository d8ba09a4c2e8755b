// The op table of autograd/ops/loss.hpp.
#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/loss.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/loss.hpp>
#include <cotangent/tensor/reduce.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
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
       .errors =
           {{{normal({2, 3}), values({2}, {0, 3}, int64)},
             indices,
             "the target at row 1 is 3, and there are 3 classes"},
            {{normal({2, 3}), values({2}, {0, -1}, int64)}, indices, "the target at row 1 is -1"},
            {{normal({2, 3}), values({3}, {0, 1, 2}, int64)}, indices, "class indices for it have shape (2,)"},
            {{normal({2, 3}), normal({2})}, indices, "class indices must be integers"},
            {{normal({2, 3}), normal({3})}, indices, "class indices must be integers"},
            {{normal({2, 3}), normal({3, 2})}, indices, "they must be the same"},
            {{normal({2, 5, 7}), integers({2, 5}, 0, 7)},
             indices,
             "classes are dimension 1; where they are the last one, flatten(0, 1) the input and the target first"},
            {{normal({2, 5, 7}), integers({5, 7}, 0, 7)}, indices, "class indices for it have shape (2, 7)"},
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
