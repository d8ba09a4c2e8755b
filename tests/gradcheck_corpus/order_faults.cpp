// Right at one order, or in one of the two passes, alone.
#include "corpus.hpp"

namespace cotangent::corpus {
namespace {

// The right gradient without a history.
Tensor frozen(const Rule& b, int i) { return b.exact(i).detach(); }

}  // namespace

Faults order_faults() {
  return {
      {"exp: the kept output has lost its history",
       "order",
       "my_exp",
       {normal({3, 4})},
       [](Arguments x) { return exp(x[0]); },
       [](const Rule& b) -> Gradients { return {b.grad() * b.output().detach()}; },
       nullptr,
       Network::mlp},
      {"tanh: from a detached output",
       "order",
       "my_tanh",
       {normal({3, 4})},
       [](Arguments x) { return tanh(x[0]); },
       [](const Rule& b) -> Gradients { return {b.grad() * (1 - square(b.output().detach()))}; },
       nullptr,
       Network::recurrent},
      {"square: from a detached input",
       "order",
       "my_square",
       {normal({3, 4})},
       [](Arguments x) { return square(x[0]); },
       [](const Rule& b) -> Gradients { return {b.grad() * b.input(0).detach() * 2}; },
       nullptr,
       Network::mlp},
      {"softmax: from a detached output",
       "order",
       "my_softmax",
       {normal({3, 4})},
       [](Arguments x) { return softmax(x[0], 1); },
       [](const Rule& b) -> Gradients {
         const Tensor y = b.output().detach();
         return {y * (b.grad() - sum(b.grad() * y, 1, true))};
       },
       nullptr,
       Network::mlp},
      {"layer_norm: the deviation taken for a constant",
       "order",
       "my_layer_norm",
       {normal({3, 5})},
       [](Arguments x) { return layer_norm(x[0], {5}); },
       [](const Rule& b) -> Gradients {
         const Tensor& v = b.input(0);
         const Tensor c = v - mean(v, 1, true), r = rsqrt(mean(square(c), 1, true) + 1e-5).detach();
         const Tensor h = c * r;
         return {(b.grad() - mean(b.grad(), 1, true) - h * mean(b.grad() * h, 1, true)) * r};
       },
       nullptr,
       Network::mlp},
      {"matmul: a kernel in the recorded pass",
       "order",
       "my_matmul",
       {normal({3, 4}), normal({4, 2})},
       [](Arguments x) { return matmul(x[0], x[1]); },
       [](const Rule& b) -> Gradients {
         return {frozen(b, 0), frozen(b, 1)};
       },
       nullptr,
       Network::mlp},
      {"conv2d: a kernel in the recorded pass",
       "order",
       "my_conv2d",
       {normal({1, 2, 4, 4}), normal({2, 2, 3, 3})},
       [](Arguments x) { return conv2d(x[0], x[1]); },
       [](const Rule& b) -> Gradients {
         return {frozen(b, 0), frozen(b, 1)};
       },
       nullptr,
       Network::cnn},
      {"silu: the fast pass alone is wrong",
       "order",
       "my_silu",
       {normal({3, 4})},
       [](Arguments x) { return silu(x[0]); },
       [](const Rule& b) -> Gradients { return {b.creates_graph() ? b.exact(0) : b.exact(0) * 1.01}; },
       nullptr,
       Network::mlp},
      {"log_softmax: the recorded pass alone is wrong",
       "order",
       "my_log_softmax",
       {normal({3, 4})},
       [](Arguments x) { return log_softmax(x[0], 1); },
       [](const Rule& b) -> Gradients { return {b.creates_graph() ? b.grad() - exp(b.output()) : b.exact(0)}; },
       nullptr,
       Network::mlp},
      {"mul: the cotangent detached",
       "order",
       "my_mul",
       {normal({3, 4}), normal({3, 4})},
       [](Arguments x) { return x[0] * x[1]; },
       [](const Rule& b) -> Gradients {
         const Tensor g = b.grad().detach();
         return {g * b.input(1), g * b.input(0)};
       },
       nullptr,
       Network::mlp},
      {"softplus: half of its second derivative",
       "order",
       "my_softplus",
       {normal({3, 4})},
       [](Arguments x) { return softplus(x[0]); },
       [](const Rule& b) -> Gradients {
         const Tensor v = b.input(0), mixed = (v + v.detach()) * 0.5;
         return {b.grad() * sigmoid(mixed)};
       },
       nullptr,
       Network::mlp},
      {"reciprocal: one factor of its square detached",
       "order",
       "my_reciprocal",
       {between({5}, 0.5, 2)},
       [](Arguments x) { return reciprocal(x[0]); },
       [](const Rule& b) -> Gradients { return {-(b.grad() * b.output() * b.output().detach())}; }},
      {"avg_pool2d in the fast pass: without the divisor",
       "order",
       "my_avg_pool",
       {normal({1, 2, 4, 4})},
       [](Arguments x) { return avg_pool2d(x[0], 2); },
       [](const Rule& b) -> Gradients { return {b.exact(0) * (b.creates_graph() ? 1 : 4)}; },
       nullptr,
       Network::cnn},
  };
}

}  // namespace cotangent::corpus
