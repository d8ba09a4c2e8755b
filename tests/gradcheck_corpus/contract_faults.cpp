// History that is cut, copies, memory layouts, cotangents that are not treated as such, values that change.
#include "corpus.hpp"

#include <algorithm>

namespace cotangent::corpus {
namespace {

int g_count = 0;
int counted(int period) { return ++g_count % period; }

// y by the elements in memory, as if they lay in order.
Tensor as_if_contiguous(const Tensor& x) {
  const Tensor y = empty(x.shape(), float64);
  std::copy_n(x.data<double>(), x.numel(), y.data<double>());
  return y;
}
Tensor by_hand(const Tensor& x) { return from_vector(x.detach().to_vector<double>(), x.shape()); }
// The tensor that the first call was given.
Tensor remembered(const Tensor& x, Tensor& first) {
  if (!first.defined()) first = x.detach().clone();
  return first;
}
Tensor g_weight, g_bias, g_table, g_folded;

std::vector<InputSpec> dense() { return {normal({3, 4}), normal({2, 4})}; }

}  // namespace

Faults contract_faults() {
  return {
      {"detached in the forward pass",
       "disconnected",
       "",
       {normal({3, 4})},
       [](Arguments x) { return square(x[0]) + x[0]; },
       nullptr,
       [](Arguments x) { return square(x[0].detach()) + x[0].detach() + x[0] * 0; },
       Network::mlp},
      {"a weight under NoGrad", "disconnected", "", dense(), [](Arguments x) { return linear(x[0], x[1]); }, nullptr,
       [](Arguments x) {
         Tensor w;
         {
           NoGrad guard;
           w = x[1] * 1;
         }
         return linear(x[0], w);
       },
       Network::mlp},
      {"a scale copied by hand",
       "disconnected",
       "",
       {normal({3, 4}), normal({4})},
       [](Arguments x) { return x[0] * x[1]; },
       nullptr,
       [](Arguments x) { return x[0] * by_hand(x[1]); },
       Network::mlp},
      {"a number read out with item()",
       "disconnected",
       "",
       {normal({3, 4}), normal({1})},
       [](Arguments x) { return x[0] * x[1]; },
       nullptr,
       [](Arguments x) { return x[0] * x[1].item<double>(); },
       Network::recurrent},
      {"the rule returns no gradient for the bias",
       "disconnected",
       "my_linear",
       {normal({3, 4}), normal({2, 4}), normal({2})},
       [](Arguments x) { return linear(x[0], x[1], x[2]); },
       [](const Rule& b) -> Gradients {
         return {b.exact(0), b.exact(1), zeros({2}, float64)};
       },
       nullptr,
       Network::mlp},
      {"a bias that is not passed to record",
       "disconnected",
       "my_scaled",
       {normal({3, 4}), normal({4})},
       [](Arguments x) { return x[0] * 2 + x[1]; },
       nullptr,
       [](Arguments x) {
         Tensor y;
         {
           NoGrad guard;
           y = x[0] * 2 + x[1];
         }
         return record("my_scaled", {x[0]}, y, Keep::nothing(), NoAttributes{},
                       [](const Backward& b, NoAttributes) -> Gradients { return {b.grad() * 2}; });
       },
       Network::mlp},

      {"linear by a copy of the weight made at construction", "stale copy", "", dense(),
       [](Arguments x) { return linear(x[0], x[1]); }, nullptr,
       [](Arguments x) { return linear(x[0], remembered(x[1], g_weight)); }},
      {"a bias folded into a constant",
       "stale copy",
       "",
       {normal({3, 4}), normal({4})},
       [](Arguments x) { return tanh(x[0] + x[1]); },
       nullptr,
       [](Arguments x) { return tanh(x[0] + remembered(x[1], g_bias)); }},
      {"a cached transposed weight, whose rule is right", "stale copy", "my_cached_linear", dense(),
       [](Arguments x) { return linear(x[0], x[1]); }, nullptr,
       [](Arguments x) {
         Tensor y;
         {
           NoGrad guard;
           y = matmul(x[0], transpose(remembered(x[1], g_table), 0, 1));
         }
         return record("my_cached_linear", {x[0], x[1]}, y, Keep::inputs(2), NoAttributes{},
                       [](const Backward& b, NoAttributes) -> Gradients {
                         return {matmul(b.grad(), b.input(1)), matmul(transpose(b.grad(), 0, 1), b.input(0))};
                       });
       }},
      {"a scale folded into the weight",
       "stale copy",
       "",
       {normal({3, 4}), normal({4})},
       [](Arguments x) { return square(x[0]) * exp(x[1]); },
       nullptr,
       [](Arguments x) { return square(x[0]) * remembered(exp(x[1]), g_folded); }},

      {"reads a cotangent as if it were contiguous",
       "strides",
       "my_double",
       {normal({3, 4})},
       [](Arguments x) { return x[0] * 2; },
       [](const Rule& b) -> Gradients {
         if (b.creates_graph()) return {b.grad() * 2};
         return {as_if_contiguous(b.grad()) * 2};
       }},
      {"reads an input as if it were contiguous",
       "strides",
       "my_square",
       {normal({3, 4})},
       [](Arguments x) { return square(x[0]); },
       [](const Rule& b) -> Gradients {
         if (b.creates_graph()) return {b.grad() * b.input(0) * 2};
         return {b.grad() * as_if_contiguous(b.input(0)) * 2};
       }},
      {"values of an input as if it were contiguous",
       "strides",
       "my_triple",
       {normal({3, 4})},
       [](Arguments x) { return x[0] * 3; },
       nullptr,
       [](Arguments x) {
         return record("my_triple", {x[0]}, as_if_contiguous(x[0].detach()) * 3, Keep::nothing(), NoAttributes{},
                       [](const Backward& b, NoAttributes) -> Gradients { return {b.grad() * 3}; });
       }},
      {"another formula for strided inputs",
       "strides",
       "my_cube",
       {normal({3, 4})},
       [](Arguments x) { return square(x[0]) * x[0]; },
       [](const Rule& b) -> Gradients {
         return {b.grad() * square(b.input(0)) * (b.input(0).is_contiguous() ? 3 : 2)};
       }},

      {"clips the cotangent at 2",
       "not linear",
       "my_clipped",
       {normal({3, 4})},
       [](Arguments x) { return x[0] * 3; },
       [](const Rule& b) -> Gradients { return {clamp(b.grad(), -2, 2) * 3}; },
       nullptr,
       Network::mlp},
      {"drops small cotangents",
       "not linear",
       "my_sparse",
       {normal({3, 4})},
       [](Arguments x) { return x[0] * 3; },
       [](const Rule& b) -> Gradients { return {where(abs(b.grad()) > 0.01, b.grad(), 0) * 3}; },
       nullptr,
       Network::mlp},
      {"takes the sign of the cotangent",
       "not linear",
       "my_sign",
       {normal({3, 4})},
       [](Arguments x) { return square(x[0]); },
       [](const Rule& b) -> Gradients { return {sign(b.grad()) * b.input(0) * 2}; },
       nullptr,
       Network::mlp},
      {"squares the cotangent",
       "not linear",
       "my_squared",
       {normal({3, 4})},
       [](Arguments x) { return square(x[0]); },
       [](const Rule& b) -> Gradients { return {square(b.grad()) * b.input(0) * 2}; },
       nullptr,
       Network::mlp},
      {"gradient of unit length",
       "not linear",
       "my_normalized",
       {normal({3, 4})},
       [](Arguments x) { return square(x[0]); },
       [](const Rule& b) -> Gradients {
         const Tensor g = b.grad() * b.input(0) * 2;
         return {g / (norm(g) + 1e-30)};
       },
       nullptr,
       Network::mlp},
      {"ignores the cotangent",
       "not linear",
       "my_loss",
       {normal({4})},
       [](Arguments x) { return sum(square(x[0])); },
       [](const Rule& b) -> Gradients { return {b.input(0) * 2}; }},
      {"gradient rounded to thousandths",
       "not linear",
       "my_rounded",
       {normal({3, 4})},
       [](Arguments x) { return x[0] * 3; },
       [](const Rule& b) -> Gradients { return {round(b.grad() * 1000) * 0.003}; },
       nullptr,
       Network::mlp},

      {"other values in each call",
       "nondeterministic",
       "",
       {normal({3, 4})},
       [](Arguments x) { return square(x[0]); },
       nullptr,
       [](Arguments x) { return square(x[0]) * (1 + 0.01 * counted(5)); },
       Network::mlp},
      {"dropout that was not turned off",
       "nondeterministic",
       "",
       {normal({8, 4})},
       [](Arguments x) { return square(x[0]); },
       nullptr,
       [](Arguments x) { return dropout(square(x[0]), 0.5); },
       Network::mlp},
      {"a sum in another order in each backward pass",
       "nondeterministic",
       "my_atomic",
       {normal({3, 4})},
       [](Arguments x) { return square(x[0]); },
       [](const Rule& b) -> Gradients { return {b.grad() * b.input(0) * (2 + 1e-14 * counted(3))}; },
       nullptr,
       Network::mlp},
      {"a random mask in the backward pass",
       "nondeterministic",
       "my_masked",
       {normal({6, 4})},
       [](Arguments x) { return square(x[0]); },
       [](const Rule& b) -> Gradients { return {dropout(b.exact(0), 0.3)}; },
       nullptr,
       Network::mlp},

      {"writes to its input",
       "changes data",
       "",
       {normal({3, 4})},
       [](Arguments x) { return square(x[0]); },
       nullptr,
       [](Arguments x) {
         const Tensor y = square(x[0]) * 1;
         x[0].data<double>()[3] += 0.25;
         return y;
       }},
      {"the rule writes to its input",
       "changes data",
       "my_square",
       {normal({3, 4})},
       [](Arguments x) { return square(x[0]); },
       [](const Rule& b) -> Gradients {
         const Tensor g = b.grad() * b.input(0) * 2;
         b.input(0).data<double>()[0] *= 1.5;
         return {g};
       }},
      {"the rule writes to the cotangent",
       "changes data",
       "my_square",
       {normal({3, 4})},
       [](Arguments x) { return square(x[0]); },
       [](const Rule& b) -> Gradients {
         const Tensor g = b.grad() * b.input(0) * 2;
         b.grad().data<double>()[0] *= 2;
         return {g};
       },
       nullptr,
       Network::mlp},
      {"the rule writes to what it saved",
       "changes data",
       "my_exp",
       {normal({3, 4})},
       [](Arguments x) { return exp(x[0]); },
       [](const Rule& b) -> Gradients {
         const Tensor g = b.grad() * b.output();
         b.output().data<double>()[1] += 1;
         return {g};
       },
       nullptr,
       Network::mlp},

      {"computes in float32",
       "precision",
       "",
       {normal({3, 4})},
       [](Arguments x) { return exp(x[0]); },
       nullptr,
       [](Arguments x) { return to(exp(to(x[0], float32)), float64); }},
      {"the rule rounds to bfloat16",
       "precision",
       "my_mul",
       {normal({3, 4})},
       [](Arguments x) { return square(x[0]); },
       [](const Rule& b) -> Gradients { return {to(to(b.grad() * b.input(0) * 2, bfloat16), float64)}; },
       nullptr,
       Network::mlp},
      {"the rule rounds to float16",
       "precision",
       "my_tanh",
       {normal({3, 4})},
       [](Arguments x) { return tanh(x[0]); },
       [](const Rule& b) -> Gradients { return {to(to(b.grad() * (1 - square(b.output())), float16), float64)}; },
       nullptr,
       Network::recurrent},
      {"the rule subtracts in float32",
       "precision",
       "my_shifted",
       {between({3, 4}, 300, 301)},
       [](Arguments x) { return square(x[0] - 300); },
       [](const Rule& b) -> Gradients { return {b.grad() * to(to(b.input(0), float32) - 300, float64) * 2}; }},
  };
}

}  // namespace cotangent::corpus
