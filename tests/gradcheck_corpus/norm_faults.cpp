// Normalisation, and rules that hide behind a parameter that starts at 1 or 0.
#include "corpus.hpp"

namespace cotangent::corpus {
namespace {

Tensor average(const Tensor& x) { return mean(x, -1, true); }
Tensor inverse_deviation(const Tensor& x, double eps) { return rsqrt(average(square(x - average(x))) + eps); }
Tensor hat(const Tensor& x, double eps = 1e-5) { return (x - average(x)) * inverse_deviation(x, eps); }

Tensor normed(const Tensor& x) { return layer_norm(x, {x.shape()[-1]}); }
Tensor batch_normed(const Tensor& x) { return batch_norm(x, {}, {}, {}, {}, true); }
std::vector<InputSpec> with_ones() { return {normal({3, 4}), values({4}, {1, 1, 1, 1})}; }

}  // namespace

Faults norm_faults() {
  return {
      {"layer_norm: without mean(g)",
       "missing term",
       "my_layer_norm",
       {normal({3, 5})},
       [](Arguments x) { return normed(x[0]); },
       [](const Rule& b) -> Gradients {
         const Tensor h = hat(b.input(0));
         return {(b.grad() - h * average(b.grad() * h)) * inverse_deviation(b.input(0), 1e-5)};
       },
       nullptr,
       Network::mlp},
      {"layer_norm: without h mean(g h)",
       "missing term",
       "my_layer_norm",
       {normal({2, 3, 5})},
       [](Arguments x) { return normed(x[0]); },
       [](const Rule& b) -> Gradients {
         return {(b.grad() - average(b.grad())) * inverse_deviation(b.input(0), 1e-5)};
       },
       nullptr,
       Network::attention},
      {"rms_norm: without h mean(g h)",
       "missing term",
       "my_rms_norm",
       {normal({2, 3, 4})},
       [](Arguments x) { return rms_norm(x[0], {4}); },
       [](const Rule& b) -> Gradients { return {b.grad() * rsqrt(average(square(b.input(0))) + 1e-6)}; },
       nullptr,
       Network::attention},
      {"batch_norm: mean and variance taken for constants",
       "missing term",
       "my_batch_norm",
       {normal({5, 3})},
       [](Arguments x) { return batch_normed(x[0]); },
       [](const Rule& b) -> Gradients { return {b.grad() * rsqrt(var(b.input(0), 0, {.correction = 0}) + 1e-5)}; },
       nullptr,
       Network::mlp},
      {"batch_norm of images: the variance taken for a constant",
       "missing term",
       "my_batch_norm",
       {normal({2, 3, 3, 3})},
       [](Arguments x) { return batch_normed(x[0]); },
       [](const Rule& b) -> Gradients {
         const Tensor s = rsqrt(var(b.input(0), {0, 2, 3}, {.correction = 0, .keepdim = true}) + 1e-5);
         return {(b.grad() - mean(b.grad(), {0, 2, 3}, true)) * s};
       },
       nullptr,
       Network::cnn},
      {"group_norm: without the mean of its gradient",
       "missing term",
       "my_group_norm",
       {normal({2, 4, 3, 3})},
       [](Arguments x) { return group_norm(x[0], 2); },
       [](const Rule& b) -> Gradients {
         const Tensor v = reshape(b.input(0), {2, 2, 18}), g = reshape(b.grad(), {2, 2, 18}), h = hat(v);
         return {reshape((g - h * average(g * h)) * inverse_deviation(v, 1e-5), {2, 4, 3, 3})};
       },
       nullptr,
       Network::cnn},
      {"rms_norm: not divided by the size of each row",
       "factor",
       "my_rms_norm",
       {normal({3, 4})},
       [](Arguments x) { return rms_norm(x[0], {4}); },
       [](const Rule& b) -> Gradients { return {b.exact(0) / rsqrt(average(square(b.input(0))) + 1e-6)}; },
       nullptr,
       Network::mlp},
      {"instance_norm: divided by the variance",
       "factor",
       "my_instance_norm",
       {normal({2, 2, 5})},
       [](Arguments x) { return instance_norm(x[0]); },
       [](const Rule& b) -> Gradients { return {b.exact(0) * inverse_deviation(b.input(0), 1e-5)}; },
       nullptr,
       Network::mlp},

      {"layer_norm: eps 1e-3 in the rule",
       "epsilon",
       "my_layer_norm",
       {normal({3, 5})},
       [](Arguments x) { return normed(x[0]); },
       [](const Rule& b) -> Gradients {
         const Tensor h = hat(b.input(0), 1e-3);
         return {(b.grad() - average(b.grad()) - h * average(b.grad() * h)) * inverse_deviation(b.input(0), 1e-3)};
       },
       nullptr,
       Network::mlp},
      {"rms_norm: no eps in the rule",
       "epsilon",
       "my_rms_norm",
       {between({3, 4}, -0.5, 0.5)},
       [](Arguments x) { return rms_norm(x[0], {4}, {}, 1e-3); },
       [](const Rule& b) -> Gradients {
         const Tensor r = rsqrt(average(square(b.input(0)))), h = b.input(0) * r;
         return {(b.grad() - h * average(b.grad() * h)) * r};
       },
       nullptr,
       Network::mlp},
      {"batch_norm in evaluation: eps outside the root",
       "epsilon",
       "my_batch_norm",
       {normal({3, 4}), constant(between({4}, -1, 1)), constant(between({4}, 0.5, 2))},
       [](Arguments x) { return batch_norm(x[0], x[1], x[2]); },
       [](const Rule& b) -> Gradients { return {b.grad() / (sqrt(b.input(2)) + 1e-5)}; },
       nullptr,
       Network::mlp},
      {"unit length: eps added in the rule alone",
       "epsilon",
       "my_unit",
       {normal({3, 4})},
       [](Arguments x) { return x[0] / norm(x[0], 2, 1, true); },
       [](const Rule& b) -> Gradients {
         const Tensor n = norm(b.input(0), 2, 1, true) + 1e-4, y = b.input(0) / n;
         return {(b.grad() - y * sum(b.grad() * y, 1, true)) / n};
       },
       nullptr,
       Network::mlp},

      {"layer_norm: the bias summed over one dimension only",
       "broadcast",
       "my_layer_norm",
       {normal({2, 3, 4}), normal({4}), normal({4})},
       [](Arguments x) { return layer_norm(x[0], {4}, x[1], x[2]); },
       [](const Rule& b) -> Gradients {
         return {b.exact(0), b.exact(1), sum(b.grad()[0], 0)};
       },
       nullptr,
       Network::attention},
      {"layer_norm: the weight averaged over the rows",
       "broadcast",
       "my_layer_norm",
       {normal({3, 4}), normal({4}), normal({4})},
       [](Arguments x) { return layer_norm(x[0], {4}, x[1], x[2]); },
       [](const Rule& b) -> Gradients {
         return {b.exact(0), b.exact(1) * (1.0 / 3), b.exact(2)};
       },
       nullptr,
       Network::mlp},

      {"layer_norm at weight 1: dx without the weight", "not symmetric", "my_layer_norm", with_ones(),
       [](Arguments x) { return layer_norm(x[0], {4}, x[1]); },
       [](const Rule& b) -> Gradients {
         const Tensor h = hat(b.input(0));
         return {(b.grad() - average(b.grad()) - h * average(b.grad() * h)) * inverse_deviation(b.input(0), 1e-5),
                 sum(b.grad() * h, 0)};
       },
       nullptr, Network::mlp},
      {"scale at 1: dx without the scale", "not symmetric", "my_scale", with_ones(),
       [](Arguments x) { return x[0] * x[1]; },
       [](const Rule& b) -> Gradients {
         return {b.grad() * 1, sum(b.grad() * b.input(0), 0)};
       },
       nullptr, Network::mlp},
      {"swish at beta 1: dx without beta",
       "not symmetric",
       "my_swish",
       {normal({3, 4}), values({}, {1})},
       [](Arguments x) { return swish(x[0], x[1]); },
       [](const Rule& b) -> Gradients {
         const Tensor s = sigmoid(b.input(0) * b.input(1));
         return {b.grad() * s * (b.input(0) * (1 - s) + 1), b.exact(1)};
       },
       nullptr,
       Network::mlp},
      {"product at a bias of 0: dx without the bias",
       "not symmetric",
       "my_shifted_square",
       {normal({3, 4}), values({4}, {0, 0, 0, 0})},
       [](Arguments x) { return x[0] * (x[0] + x[1]); },
       [](const Rule& b) -> Gradients {
         return {b.grad() * b.input(0) * 2, sum(b.grad() * b.input(0), 0)};
       },
       nullptr,
       Network::mlp},
      {"log scale at 0: its gradient that of a scale",
       "not symmetric",
       "my_log_scale",
       {normal({3, 4}), values({1}, {0})},
       [](Arguments x) { return x[0] * exp(x[1]); },
       [](const Rule& b) -> Gradients {
         return {b.grad() * exp(b.input(1)), reshape(sum(b.grad() * b.input(0)), {1})};
       },
       nullptr,
       Network::mlp},
      {"square at 1: the gradient of 2 x - 1",
       "not symmetric",
       "my_square",
       {values({4}, {1, 1, 1, 1})},
       [](Arguments x) { return square(x[0]); },
       [](const Rule& b) -> Gradients { return {b.grad() * 2}; }},
      {"power at 1: the exponent of the derivative not lowered",
       "not symmetric",
       "my_cube",
       {values({3}, {1, 1, 1})},
       [](Arguments x) { return square(x[0]) * x[0]; },
       [](const Rule& b) -> Gradients { return {b.grad() * square(b.input(0)) * b.input(0) * 3}; }},
      {"temperature at 1: dx not divided by it",
       "not symmetric",
       "my_softmax",
       {normal({3, 4}), values({1}, {1})},
       [](Arguments x) { return softmax(x[0] / x[1], 1); },
       [](const Rule& b) -> Gradients {
         const Tensor g = b.output() * (b.grad() - sum(b.grad() * b.output(), 1, true));
         return {g, reshape(-sum(g * b.input(0) / square(b.input(1))), {1})};
       },
       nullptr,
       Network::mlp},
      {"residual gate at 0: its gradient without its slope",
       "not symmetric",
       "my_rezero",
       {normal({3, 4}), values({1}, {0})},
       [](Arguments x) { return x[0] + x[1] * tanh(x[0]); },
       [](const Rule& b) -> Gradients {
         return {b.grad() * 1, reshape(sum(b.grad() * tanh(b.input(0))), {1})};
       },
       nullptr,
       Network::recurrent},
  };
}

}  // namespace cotangent::corpus
