// Faults that people have met and reported in public, rebuilt: normalisation, losses, products, indices.
#include "corpus.hpp"

namespace cotangent::corpus {
namespace {

Tensor row_mean(const Tensor& x) { return mean(x, -1, true); }
Tensor rstd(const Tensor& x) { return rsqrt(row_mean(square(x - row_mean(x))) + 1e-5); }
Tensor normalized(const Tensor& x) { return (x - row_mean(x)) * rstd(x); }
Tensor norm_backward(const Tensor& g, const Tensor& x) {
  const Tensor h = normalized(x);
  return (g - row_mean(g) - h * row_mean(g * h)) * rstd(x);
}

Tensor cumprod(const Tensor& x) {  // of a vector
  Tensors ys{x[0]};
  for (int64_t i = 1; i < x.shape()[0]; ++i) ys.push_back(ys.back() * x[i]);
  return stack(ys);
}
Tensor determinant(const Tensor& a) {  // of a 3 x 3 matrix
  const auto e = [&](int64_t i, int64_t j) { return select(select(a, 0, i), 0, j); };
  return e(0, 0) * (e(1, 1) * e(2, 2) - e(1, 2) * e(2, 1)) - e(0, 1) * (e(1, 0) * e(2, 2) - e(1, 2) * e(2, 0)) +
         e(0, 2) * (e(1, 0) * e(2, 1) - e(1, 1) * e(2, 0));
}

}  // namespace

Faults reported_faults() {
  return {
      // FlagGems 5392: rows counted by the first dimension alone
      {"layer_norm of rank 3 as if of rank 2",
       "missing term",
       "my_layer_norm",
       {normal({2, 3, 4})},
       [](Arguments x) { return layer_norm(x[0], {4}); },
       [](const Rule& b) -> Gradients {
         const Tensor g = norm_backward(reshape(b.grad(), {2, 12}), reshape(b.input(0), {2, 12}));
         return {reshape(g, {2, 3, 4})};
       },
       nullptr,
       Network::attention},
      // tt-metal 53204
      {"layer_norm: the mean subtracted twice",
       "missing term",
       "my_layer_norm",
       {normal({3, 4})},
       [](Arguments x) { return layer_norm(x[0], {4}); },
       [](const Rule& b) -> Gradients {
         const Tensor h = normalized(b.input(0));
         return {(b.grad() - row_mean(b.grad()) * 2 - h * row_mean(b.grad() * h)) * rstd(b.input(0))};
       },
       nullptr,
       Network::mlp},
      // tt-metal 34760: only the last block counts
      {"layer_norm: the bias of the last block of rows",
       "broadcast",
       "my_layer_norm",
       {normal({4, 3}), normal({3}), normal({3})},
       [](Arguments x) { return layer_norm(x[0], {3}, x[1], x[2]); },
       [](const Rule& b) -> Gradients {
         return {b.exact(0), b.exact(1), sum(narrow(b.grad(), 0, 2, 2), 0)};
       },
       nullptr,
       Network::mlp},
      // llm.c 408: = for += in the gradients of weight and bias
      {"layer_norm: weight and bias of the last row",
       "broadcast",
       "my_layer_norm",
       {normal({3, 4}), normal({4}), normal({4})},
       [](Arguments x) { return layer_norm(x[0], {4}, x[1], x[2]); },
       [](const Rule& b) -> Gradients {
         return {b.exact(0), narrow(b.grad() * normalized(b.input(0)), 0, 2, 1).reshape({4}), b.grad()[2]};
       },
       nullptr,
       Network::mlp},
      // candle 3613: a fused op without a backward pass
      {"layer_norm: fused, without a rule",
       "disconnected",
       "",
       {normal({3, 4}), normal({4})},
       [](Arguments x) { return x[1] * layer_norm(x[0], {4}); },
       nullptr,
       [](Arguments x) {
         Tensor h;
         {
           NoGrad guard;
           h = layer_norm(x[0], {4});
         }
         return x[1] * h;
       },
       Network::mlp},
      // mamba 547: the size of a group taken for the whole
      {"grouped rms_norm: the mean over all groups",
       "missing term",
       "my_rms_norm",
       {normal({3, 6})},
       [](Arguments x) {
         return reshape(rms_norm(reshape(x[0], {3, 2, 3}), {3}), {3, 6});
       },
       [](const Rule& b) -> Gradients {
         const Tensor v = reshape(b.input(0), {3, 2, 3}), g = reshape(b.grad(), {3, 2, 3});
         const Tensor r = rsqrt(row_mean(square(v)) + 1e-6), h = v * r;
         return {reshape((g - h * mean(g * h, {1, 2}, true)) * r, {3, 6})};
       },
       nullptr,
       Network::mlp},
      // PyTorch 4355: ISRLU
      {"isrlu: without the incoming gradient",
       "not linear",
       "my_isrlu",
       {normal({4})},
       [](Arguments x) { return x[0] * rsqrt(1 + square(x[0])); },
       [](const Rule& b) -> Gradients {
         const Tensor r = rsqrt(1 + square(b.input(0)));
         return {r * square(r)};
       },
       nullptr,
       Network::mlp},
      // PyTorch 59477: the double backward of the sum had the mean's factor
      {"binary cross entropy, sum: the second order averaged",
       "order",
       "my_bce",
       {between({3, 2}, 0.2, 0.8), constant(between({3, 2}, 0, 1))},
       [](Arguments x) { return -sum(x[1] * log(x[0]) + (1 - x[1]) * log(1 - x[0])); },
       [](const Rule& b) -> Gradients {
         const Tensor v = b.input(0).detach() * (5.0 / 6) + b.input(0) * (1.0 / 6);
         return {b.grad() * (v - b.input(1)) / (v * (1 - v))};
       }},
      // nnabla 954, PyTorch 53711: rules for a zero in the input that are right to first order alone
      {"cumprod at a zero: no second order",
       "order",
       "my_cumprod",
       {values({4}, {1.5, 0, 2, 0.5})},
       [](Arguments x) { return cumprod(x[0]); },
       [](const Rule& b) -> Gradients {
         const Tensor g = b.exact(0);
         return {where(b.input(0) == 0, g.detach(), g)};
       }},
      // burn 3864: divides by the input
      {"cumprod at a zero: NaN",
       "domain",
       "my_cumprod",
       {values({4}, {1.5, 0, 2, 0.5})},
       [](Arguments x) { return cumprod(x[0]); },
       [](const Rule& b) -> Gradients { return {flip(cumsum(flip(b.grad() * b.output(), 0), 0), 0) / b.input(0)}; },
       nullptr,
       Network::none,
       {values({4}, {1.5, 1, 2, 0.5})}},
      // PyTorch 113969: an early exit with zeros, which have no history
      {"prod of two zeros: no second order",
       "order",
       "my_prod",
       {values({2, 4}, {1.5, 0, 2, 0, 1, 2, 0.5, 3})},
       [](Arguments x) { return prod(x[0], 1); },
       [](const Rule& b) -> Gradients {
         const Tensor zero_count = sum(to(b.input(0).detach() == 0, float64), 1, true);
         return {where(zero_count > 1, 0, b.exact(0))};
       }},
      // tinygrad 155
      {"pow: log of a negative base",
       "domain",
       "my_pow",
       {values({3}, {-1.5, 2, 0.5}), constant(values({3}, {2, 2, 2}))},
       [](Arguments x) { return pow(x[0], x[1]); },
       [](const Rule& b) -> Gradients { return {b.grad() * b.input(1) * exp(log(b.input(0)) * (b.input(1) - 1))}; },
       nullptr,
       Network::none,
       {values({3}, {1.5, 2, 0.5}), constant(values({3}, {2, 2, 2}))}},
      // TensorFlow 119477, PyTorch 58195: det(A) A^-T where A is (nearly) singular
      {"determinant: by an inverse that is cut off at small singular values",
       "only where",
       "my_det",
       {values({3, 3}, {1, 0.5, 0.2, 0.3, 0.002, 0.1, 0.4, 0.6, 0.7})},
       [](Arguments x) { return determinant(x[0]); },
       [](const Rule& b) -> Gradients {
         const Tensor g = b.exact(0);
         return {where(abs(g) < 0.1 * max(abs(g.detach())), 0, g)};
       }},
      // PyTorch 1631, MXNet 9172: repeated indices overwrite
      {"gather of one element twice: the last one",
       "accumulation",
       "my_gather",
       {normal({3}), values({4}, {0, 0, 2, 1}, int64)},
       [](Arguments x) { return gather(x[0], 0, x[1]); },
       [](const Rule& b) -> Gradients {
         return {scatter_add(zeros({3}, float64), 0, slice(b.input(1), 0, 1, 4) * 1, slice(b.grad(), 0, 1, 4) * 1)};
       },
       nullptr,
       Network::mlp},
      // AiDotNet.Tensors 894: gathered for scattered
      {"gather's gradient gathered",
       "layout",
       "my_gather",
       {normal({4}), values({4}, {2, 0, 3, 1}, int64)},
       [](Arguments x) { return gather(x[0], 0, x[1]); },
       [](const Rule& b) -> Gradients { return {gather(b.grad(), 0, b.input(1))}; },
       nullptr,
       Network::mlp},
      // Paddle 30604: what was overwritten keeps its gradient
      {"scatter: a gradient for what was overwritten",
       "only where",
       "my_scatter",
       {normal({3, 2}), normal({1, 2})},
       [](Arguments x) {
         return cat({narrow(x[0], 0, 0, 1), x[1], narrow(x[0], 0, 2, 1)}, 0);
       },
       [](const Rule& b) -> Gradients {
         return {b.grad() * 1, narrow(b.grad(), 0, 1, 1) * 1};
       },
       nullptr,
       Network::mlp},
      // burn 4063: the values of scatter
      {"scatter_add: zeros for what is scattered",
       "disconnected",
       "my_scatter_add",
       {normal({3, 2}), normal({2, 2}), values({2}, {2, 0}, int64)},
       [](Arguments x) { return index_add(x[0], 0, x[2], x[1]); },
       [](const Rule& b) -> Gradients {
         return {b.grad() * 1, zeros({2, 2}, float64)};
       },
       nullptr,
       Network::mlp},
      // TrenTorch 58: max() was never wired up
      {"max: no history",
       "disconnected",
       "",
       {distinct({3, 4})},
       [](Arguments x) { return x[0] - amax(x[0], 1, true); },
       nullptr,
       [](Arguments x) {
         const Tensor top = amax(x[0].detach(), 1, true);
         return x[0] - top;
       },
       Network::mlp},
      // a slice of a parameter that is also read whole
      {"a shared parameter of which a slice is read: the slice's gradient lost",
       "accumulation",
       "my_shared",
       {normal({3, 4}), normal({4, 4})},
       [](Arguments x) { return matmul(x[0], x[1]) + narrow(x[1], 0, 0, 1); },
       [](const Rule& b) -> Gradients {
         return {matmul(b.grad(), transpose(b.input(1), 0, 1)), matmul(transpose(b.input(0), 0, 1), b.grad())};
       },
       nullptr,
       Network::mlp},
      // PyTorch 61568, tt-metal 6598: softplus' threshold compared without beta
      {"softplus: the linear part too early",
       "only where",
       "my_softplus",
       {between({3, 4}, 0.1, 3)},
       [](Arguments x) { return softplus(x[0], 3); },
       [](const Rule& b) -> Gradients { return {where(b.input(0) > 1, b.grad(), b.grad() * sigmoid(b.input(0) * 3))}; },
       nullptr,
       Network::none},
      // ML-From-Scratch 73
      {"elu: f(x) + alpha for positive ones too",
       "only where",
       "my_elu",
       {distinct({3, 4})},
       [](Arguments x) { return elu(x[0], 1); },
       [](const Rule& b) -> Gradients { return {b.grad() * (b.output() + 1)}; },
       nullptr,
       Network::mlp},
      // DCNv2 8: not reentrant
      {"deformable convolution: an accumulator that is not cleared",
       "nondeterministic",
       "my_accumulator",
       {normal({3, 4})},
       [](Arguments x) { return square(x[0]); },
       [](const Rule& b) -> Gradients {
         static double rest = 0;
         rest += 1e-9;
         return {b.exact(0) * (1 + rest)};
       },
       nullptr,
       Network::mlp},
      // JAX 29485
      {"custom gradient of the documentation: g x for 2 g x",
       "factor",
       "my_custom",
       {normal({5})},
       [](Arguments x) { return square(x[0]); },
       [](const Rule& b) -> Gradients { return {b.grad() * b.input(0)}; },
       nullptr,
       Network::mlp},
  };
}

}  // namespace cotangent::corpus
