// Attention, positions and recurrent cells.
#include "corpus.hpp"

#include <cmath>

namespace cotangent::corpus {
namespace {

Tensor turned_back(const Tensor& x) { return transpose(x, -2, -1); }
Tensor attend(Arguments x) { return scaled_dot_product_attention(x[0], x[1], x[2]); }
Tensor attend_causally(Arguments x) { return scaled_dot_product_attention(x[0], x[1], x[2], {.causal = true}); }
std::vector<InputSpec> qkv() { return {normal({2, 3, 4}), normal({2, 3, 4}), normal({2, 3, 4})}; }

struct Parts {
  Tensor q, k, v, p, dp, ds;
};
Parts parts(const Backward& b) {
  Parts a;
  a.q = b.input(0), a.k = b.input(1), a.v = b.input(2);
  a.p = softmax(matmul(a.q, turned_back(a.k)) * 0.5, -1);
  a.dp = matmul(b.grad(), turned_back(a.v));
  a.ds = a.p * (a.dp - sum(a.p * a.dp, -1, true));
  return a;
}

Tensor cell(Arguments x) { return tanh(linear(x[0], x[1]) + x[2]); }
std::vector<InputSpec> cell_inputs() { return {normal({3, 4}), between({4, 4}, -0.7, 0.7), normal({4})}; }

}  // namespace

Faults attention_faults() {
  return {
      {"attention: 1/sqrt(d) missing in dq", "factor", "my_attention", qkv(), attend,
       [](const Rule& b) -> Gradients {
         const Parts a = parts(b);
         return {matmul(a.ds, a.k), matmul(turned_back(a.ds), a.q) * 0.5, matmul(turned_back(a.p), b.grad())};
       },
       nullptr, Network::attention},
      {"attention: the row sum missing in dS", "missing term", "my_attention", qkv(), attend,
       [](const Rule& b) -> Gradients {
         const Parts a = parts(b);
         const Tensor ds = a.p * a.dp * 0.5;
         return {matmul(ds, a.k), matmul(turned_back(ds), a.q), matmul(turned_back(a.p), b.grad())};
       },
       nullptr, Network::attention},
      {"attention: dv by P for its transpose", "layout", "my_attention", qkv(), attend,
       [](const Rule& b) -> Gradients {
         const Parts a = parts(b);
         return {matmul(a.ds, a.k) * 0.5, matmul(turned_back(a.ds), a.q) * 0.5, matmul(a.p, b.grad())};
       },
       nullptr, Network::attention},
      {"attention: dk takes away", "sign", "my_attention", qkv(), attend,
       [](const Rule& b) -> Gradients {
         const Parts a = parts(b);
         return {matmul(a.ds, a.k) * 0.5, matmul(turned_back(a.ds), a.q) * -0.5, matmul(turned_back(a.p), b.grad())};
       },
       nullptr, Network::attention},
      {"causal attention: the last key gets nothing", "only where", "my_attention", qkv(), attend_causally,
       [](const Rule& b) -> Gradients {
         const Tensor dk = b.exact(1);
         return {b.exact(0), cat({narrow(dk, 1, 0, 2), zeros({2, 1, 4}, float64)}, 1), b.exact(2)};
       },
       nullptr, Network::attention},
      {"attention: the second head's dv in the first",
       "accumulation",
       "my_shared_keys",
       {normal({2, 3, 4}), normal({1, 3, 4})},
       [](Arguments x) { return matmul(x[0], transpose(x[1], -2, -1)); },
       [](const Rule& b) -> Gradients {
         return {b.exact(0), narrow(matmul(turned_back(b.grad()), b.input(0)), 0, 1, 1) * 1};
       },
       nullptr,
       Network::mlp},
      {"rope: turned forwards",
       "sign",
       "my_rope",
       {normal({2, 3, 4})},
       [](Arguments x) { return rope(x[0], 40) - rope(x[0], -int64_t{40}); },
       [](const Rule& b) -> Gradients { return {-b.exact(0)}; },
       nullptr,
       Network::mlp},
      {"rotation by a quarter: turned on, not back",
       "sign",
       "my_rotation",
       {normal({3, 4})},
       [](Arguments x) {
         return cat({-narrow(x[0], 1, 2, 2), narrow(x[0], 1, 0, 2)}, 1);
       },
       [](const Rule& b) -> Gradients {
         return {cat({-narrow(b.grad(), 1, 2, 2), narrow(b.grad(), 1, 0, 2)}, 1)};
       },
       nullptr,
       Network::recurrent},
      {"scores: 1/sqrt(d) missing",
       "factor",
       "my_scores",
       {normal({2, 3, 4}), normal({2, 3, 4})},
       [](Arguments x) { return matmul(x[0], transpose(x[1], -2, -1)) * (1 / std::sqrt(4.0)); },
       [](const Rule& b) -> Gradients {
         return {matmul(b.grad(), b.input(1)), matmul(turned_back(b.grad()), b.input(0))};
       },
       nullptr,
       Network::mlp},
      {"position bias: not summed over the heads",
       "broadcast",
       "my_position_bias",
       {normal({2, 3, 3}), normal({3, 3})},
       [](Arguments x) { return softmax(x[0] + x[1], -1); },
       [](const Rule& b) -> Gradients {
         const Tensor g = b.exact(0);
         return {g, g[0] * 1};
       },
       nullptr,
       Network::scores},
      {"masked softmax: a gradient where it is masked",
       "only where",
       "my_masked_softmax",
       {normal({2, 4, 4})},
       [](Arguments x) {
         return softmax(masked_fill(x[0], triu(ones({4, 4}, float64), 1) > 0, -1e9), -1) * 1;
       },
       [](const Rule& b) -> Gradients { return {b.exact(0) + triu(b.grad(), 1) * 0.1}; },
       nullptr,
       Network::scores},
      {"scores' softmax scaled twice",
       "factor",
       "my_softmax",
       {normal({2, 4, 4})},
       [](Arguments x) { return softmax(x[0], -1); },
       [](const Rule& b) -> Gradients { return {b.exact(0) * 0.5}; },
       nullptr,
       Network::scores},
      {"scores' softmax along the queries",
       "missing term",
       "my_softmax",
       {normal({2, 4, 4})},
       [](Arguments x) { return softmax(x[0], -1); },
       [](const Rule& b) -> Gradients { return {b.output() * (b.grad() - sum(b.grad() * b.output(), -2, true))}; },
       nullptr,
       Network::scores},

      {"recurrent cell: U transposed in dU", "layout", "my_cell", cell_inputs(), cell,
       [](const Rule& b) -> Gradients {
         const Tensor da = b.grad() * (1 - square(b.output()));
         return {matmul(da, b.input(1)), matmul(turned_back(b.input(0)), da), sum(da, 0)};
       },
       nullptr, Network::recurrent},
      {"recurrent cell: the bias averaged over the batch", "broadcast", "my_cell", cell_inputs(), cell,
       [](const Rule& b) -> Gradients {
         return {b.exact(0), b.exact(1), b.exact(2) * (1.0 / 3)};
       },
       nullptr, Network::recurrent},
      {"recurrent cell: the state's gradient cut", "disconnected", "my_cell", cell_inputs(), cell,
       [](const Rule& b) -> Gradients {
         return {zeros({3, 4}, float64), b.exact(1), b.exact(2)};
       },
       nullptr, Network::recurrent},
      {"recurrent cell: the last unit's weights get nothing", "only where", "my_cell", cell_inputs(), cell,
       [](const Rule& b) -> Gradients {
         const Tensor g = b.exact(1);
         return {b.exact(0), cat({narrow(g, 0, 0, 3), zeros({1, 4}, float64)}, 0), b.exact(2)};
       },
       nullptr, Network::recurrent},
      {"gru update: z and 1 - z exchanged",
       "sign",
       "my_update",
       {normal({3, 4}), normal({4})},
       [](Arguments x) { return sigmoid(x[1]) * tanh(x[0]) + (1 - sigmoid(x[1])) * x[0]; },
       [](const Rule& b) -> Gradients {
         return {b.exact(0), -b.exact(1)};
       },
       nullptr,
       Network::recurrent},
      {"lstm cell: the forget gate's path only",
       "accumulation",
       "my_lstm_cell",
       {normal({3, 4})},
       [](Arguments x) { return sigmoid(x[0]) * x[0] + sigmoid(x[0] * 2) * tanh(x[0]); },
       [](const Rule& b) -> Gradients {
         const Tensor s = sigmoid(b.input(0));
         return {b.grad() * s * (b.input(0) * (1 - s) + 1)};
       },
       nullptr,
       Network::recurrent},
      {"recurrent cell: squared for tanh's slope", "missing term", "my_cell", cell_inputs(), cell,
       [](const Rule& b) -> Gradients {
         const Tensor da = b.grad() * 1;
         return {matmul(da, b.input(1)), matmul(turned_back(da), b.input(0)), sum(da, 0)};
       },
       nullptr, Network::recurrent},
  };
}

}  // namespace cotangent::corpus
