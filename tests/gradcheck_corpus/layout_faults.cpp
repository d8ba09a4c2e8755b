// Right values in the wrong places; products of matrices.
#include "corpus.hpp"

namespace cotangent::corpus {
namespace {

Tensor turned(const Tensor& x) { return transpose(x, -2, -1); }
Tensor rolled(const Tensor& x, int64_t by) {  // along the last dimension
  const int64_t n = x.shape()[-1];
  return cat({narrow(x, -1, n - by, by), narrow(x, -1, 0, n - by)}, -1);
}

}  // namespace

Faults layout_faults() {
  return {
      {"transpose: its gradient not transposed",
       "layout",
       "my_transpose",
       {normal({3, 3})},
       [](Arguments x) { return clone(transpose(x[0], 0, 1)); },
       [](const Rule& b) -> Gradients { return {b.grad() * 1}; },
       nullptr,
       Network::recurrent},
      {"matmul: the second gradient transposed",
       "layout",
       "my_matmul",
       {normal({3, 3}), normal({3, 3})},
       [](Arguments x) { return matmul(x[0], x[1]); },
       [](const Rule& b) -> Gradients {
         return {matmul(b.grad(), turned(b.input(1))), matmul(turned(b.grad()), b.input(0))};
       },
       nullptr,
       Network::mlp},
      {"linear: the weight's gradient transposed",
       "layout",
       "my_linear",
       {normal({5, 3}), normal({3, 3})},
       [](Arguments x) { return linear(x[0], x[1]); },
       [](const Rule& b) -> Gradients {
         return {matmul(b.grad(), b.input(1)), matmul(turned(b.input(0)), b.grad())};
       },
       nullptr,
       Network::mlp},
      {"flip: its gradient not flipped",
       "layout",
       "my_flip",
       {normal({3, 4})},
       [](Arguments x) { return flip(x[0], 1); },
       [](const Rule& b) -> Gradients { return {b.grad() * 1}; },
       nullptr,
       Network::recurrent},
      {"roll: its gradient rolled the same way",
       "layout",
       "my_roll",
       {normal({3, 5})},
       [](Arguments x) { return rolled(x[0], 1); },
       [](const Rule& b) -> Gradients { return {rolled(b.grad(), 1)}; },
       nullptr,
       Network::mlp},
      {"permute: the permutation for its inverse",
       "layout",
       "my_permute",
       {normal({3, 3, 3})},
       [](Arguments x) {
         return clone(permute(x[0], {1, 2, 0}));
       },
       [](const Rule& b) -> Gradients {
         return {permute(b.grad(), {1, 2, 0})};
       },
       nullptr,
       Network::mlp},
      {"pixel_shuffle: channels as r^2 c",
       "layout",
       "my_pixel_shuffle",
       {normal({1, 8, 2, 2})},
       [](Arguments x) { return pixel_shuffle(x[0], 2); },
       [](const Rule& b) -> Gradients {
         const Tensor g = pixel_unshuffle(b.grad(), 2);  // (1, c r^2, 2, 2)
         return {reshape(permute(reshape(g, {1, 2, 4, 2, 2}), {0, 2, 1, 3, 4}), {1, 8, 2, 2})};
       },
       nullptr,
       Network::cnn},
      {"conv1d: the kernel's gradient flipped",
       "layout",
       "my_conv1d",
       {normal({2, 2, 6}), normal({2, 2, 3})},
       [](Arguments x) { return conv1d(x[0], x[1]); },
       [](const Rule& b) -> Gradients {
         return {b.exact(0), flip(b.exact(1), 2)};
       },
       nullptr,
       Network::mlp},
      {"heads put together without a transpose",
       "layout",
       "my_merge_heads",
       {normal({2, 4, 3})},
       [](Arguments x) {
         return reshape(transpose(x[0], 0, 1), {4, 6});
       },
       [](const Rule& b) -> Gradients {
         return {reshape(b.grad(), {2, 4, 3})};
       },
       nullptr,
       Network::mlp},
      {"sort: the gradient in sorted order",
       "layout",
       "my_sort",
       {distinct({2, 6})},
       [](Arguments x) { return sort(x[0], 1).values; },
       [](const Rule& b) -> Gradients { return {b.grad() * 1}; },
       nullptr,
       Network::mlp},
      {"gather by a permutation: gathered again, not scattered",
       "layout",
       "my_gather",
       {normal({4}), values({4}, {1, 2, 3, 0}, int64)},
       [](Arguments x) { return gather(x[0], 0, x[1]); },
       [](const Rule& b) -> Gradients { return {gather(b.grad(), 0, b.input(1))}; },
       nullptr,
       Network::mlp},
      {"im2col: columns as k^2 c",
       "layout",
       "my_im2col",
       {normal({1, 2, 4, 4})},
       [](Arguments x) { return im2col(x[0], 2, {.stride = 2}); },
       [](const Rule& b) -> Gradients {
         const Tensor g = reshape(transpose(reshape(b.grad(), {1, 2, 4, 4}), 1, 2), {1, 8, 4});
         return {b.exact(0, g)};
       },
       nullptr,
       Network::cnn},
      {"lstm gates: g and o exchanged",
       "layout",
       "my_gates",
       {normal({3, 8})},
       [](Arguments x) {
         const Tensors g = chunk(x[0], 4, 1);
         return tanh(sigmoid(g[0]) * tanh(g[2])) * sigmoid(g[3]) * sigmoid(g[1]);
       },
       [](const Rule& b) -> Gradients {
         const Tensors g = chunk(b.exact(0), 4, 1);
         return {cat({g[0], g[1], g[3], g[2]}, 1)};
       },
       nullptr,
       Network::mlp},
      {"reshape in column-major order",
       "layout",
       "my_reshape",
       {normal({3, 4})},
       [](Arguments x) {
         return reshape(x[0], {4, 3}) * 1;
       },
       [](const Rule& b) -> Gradients {
         return {transpose(reshape(transpose(b.grad(), 0, 1), {4, 3}), 0, 1)};
       },
       nullptr,
       Network::mlp},

      {"linear: the bias of the first row only",
       "broadcast",
       "my_linear",
       {normal({4, 3}), normal({2, 3}), normal({2})},
       [](Arguments x) { return linear(x[0], x[1], x[2]); },
       [](const Rule& b) -> Gradients {
         return {b.exact(0), b.exact(1), b.grad()[0]};
       },
       nullptr,
       Network::mlp},
      {"linear: the bias averaged",
       "broadcast",
       "my_linear",
       {normal({4, 3}), normal({2, 3}), normal({2})},
       [](Arguments x) { return linear(x[0], x[1], x[2]); },
       [](const Rule& b) -> Gradients {
         return {b.exact(0), b.exact(1), mean(b.grad(), 0)};
       },
       nullptr,
       Network::mlp},
      {"batched matmul: a shared factor's gradient of the first one only",
       "broadcast",
       "my_bmm",
       {normal({3, 2, 4}), normal({4, 3})},
       [](Arguments x) { return matmul(x[0], x[1]); },
       [](const Rule& b) -> Gradients {
         return {b.exact(0), matmul(turned(b.input(0)[0]), b.grad()[0])};
       },
       nullptr,
       Network::mlp},
      {"outer: summed over the wrong side",
       "broadcast",
       "my_outer",
       {normal({4}), normal({4})},
       [](Arguments x) { return outer(x[0], x[1]); },
       [](const Rule& b) -> Gradients {
         return {sum(b.grad(), 0), matmul(turned(b.grad()), b.input(0))};
       },
       nullptr,
       Network::mlp},
      {"expand: the gradient of the first copy",
       "broadcast",
       "my_expand",
       {normal({1, 4})},
       [](Arguments x) {
         return expand(x[0], {3, 4}) * 1;
       },
       [](const Rule& b) -> Gradients { return {narrow(b.grad(), 0, 0, 1)}; },
       nullptr,
       Network::mlp},

      {"tied weights: only where they decode",
       "accumulation",
       "my_tied",
       {normal({3, 4}), normal({2, 4})},
       [](Arguments x) { return matmul(tanh(linear(x[0], x[1])), x[1]); },
       [](const Rule& b) -> Gradients {
         return {b.exact(0), matmul(turned(tanh(linear(b.input(0), b.input(1)))), b.grad())};
       },
       nullptr,
       Network::mlp},
      {"x x^T: one of the two factors",
       "accumulation",
       "my_gram",
       {normal({4, 3})},
       [](Arguments x) { return matmul(x[0], transpose(x[0], 0, 1)); },
       [](const Rule& b) -> Gradients { return {matmul(b.grad(), b.input(0))}; },
       nullptr,
       Network::mlp},
      {"recurrence: the weight's gradient of the last step",
       "accumulation",
       "my_recurrence",
       {normal({3, 2}), normal({2, 2})},
       [](Arguments x) {
         Tensor h = x[0];
         for (int t = 0; t < 3; ++t) h = tanh(matmul(h, x[1]));
         return h;
       },
       [](const Rule& b) -> Gradients {
         Tensor h = b.input(0);
         for (int t = 0; t < 2; ++t) h = tanh(matmul(h, b.input(1)));
         return {b.exact(0), matmul(turned(h), b.grad() * (1 - square(b.output())))};
       },
       nullptr,
       Network::mlp},
      {"einsum with a repeated operand: one of three",
       "accumulation",
       "my_cube",
       {between({3, 3}, 0.5, 1.5)},
       [](Arguments x) {
         return einsum("ij,ij,ij->ij", {x[0], x[0], x[0]});
       },
       [](const Rule& b) -> Gradients { return {b.grad() * square(b.input(0))}; }},
      {"diagonal: the trace's gradient on a row",
       "only where",
       "my_diagonal",
       {normal({4, 4})},
       [](Arguments x) { return diagonal(x[0] * x[0]) * 1; },
       [](const Rule& b) -> Gradients {
         const Tensor g = b.exact(0);
         return {cat({narrow(g, 0, 0, 3), zeros({1, 4}, float64)}, 0)};
       },
       nullptr,
       Network::mlp},
      {"triu: one diagonal too few",
       "only where",
       "my_triu",
       {normal({4, 4})},
       [](Arguments x) { return triu(x[0]); },
       [](const Rule& b) -> Gradients { return {triu(b.grad(), 1)}; },
       nullptr,
       Network::mlp},
      {"matmul: the last column of a block is left out",
       "only where",
       "my_matmul",
       {normal({4, 5}), normal({5, 5})},
       [](Arguments x) { return matmul(x[0], x[1]); },
       [](const Rule& b) -> Gradients {
         const Tensor g = b.exact(1);
         return {b.exact(0), cat({narrow(g, 1, 0, 4), zeros({5, 1}, float64)}, 1)};
       },
       nullptr,
       Network::mlp},
      {"addmm: alpha forgotten",
       "factor",
       "my_addmm",
       {normal({2, 3}), normal({2, 4}), normal({4, 3})},
       [](Arguments x) { return addmm(x[0], x[1], x[2], 1, 0.5); },
       [](const Rule& b) -> Gradients {
         return {b.grad(), b.exact(1) * 2, b.exact(2) * 2};
       },
       nullptr,
       Network::mlp},
  };
}

}  // namespace cotangent::corpus
