// Reading and writing by indices, joining and cutting.
#include "corpus.hpp"

namespace cotangent::corpus {
namespace {

// Rows of g written to the rows `index` of a (n, d) tensor of zeros; of several the last wins.
Tensor written(const Tensor& g, const Tensor& index, int64_t n) {
  const int64_t m = index.numel();
  const Tensor rows = contiguous(index);
  Tensor keep = zeros({m, 1}, float64);
  for (int64_t i = 0; i < m; ++i) {
    bool last = true;
    for (int64_t j = i + 1; j < m; ++j) last = last && rows.data<int64_t>()[j] != rows.data<int64_t>()[i];
    if (last) keep[i].fill_(1);
  }
  return index_add(zeros({n, g.shape()[-1]}, float64), 0, index, g * keep);
}

}  // namespace

Faults index_faults() {
  return {
      {"embedding: the last of equal indices wins",
       "accumulation",
       "my_embedding",
       {normal({4, 3}), values({5}, {1, 0, 1, 3, 1}, int64)},
       [](Arguments x) { return embedding(x[0], x[1]); },
       [](const Rule& b) -> Gradients { return {written(b.grad(), b.input(1), 4)}; },
       nullptr,
       Network::mlp},
      {"index_select: the last of equal indices wins",
       "accumulation",
       "my_index_select",
       {normal({3, 2}), values({4}, {2, 2, 0, 1}, int64)},
       [](Arguments x) { return index_select(x[0], 0, x[1]); },
       [](const Rule& b) -> Gradients { return {written(b.grad(), b.input(1), 3)}; },
       nullptr,
       Network::mlp},
      {"repeated rows: one of the two",
       "accumulation",
       "my_repeat",
       {normal({2, 3})},
       [](Arguments x) {
         return cat({x[0], x[0]}, 0);
       },
       [](const Rule& b) -> Gradients { return {narrow(b.grad(), 0, 0, 2) * 1}; },
       nullptr,
       Network::mlp},
      {"sliding windows: each element's last window",
       "accumulation",
       "my_unfold",
       {normal({6})},
       [](Arguments x) { return unfold(x[0], 0, 3, 1) * 1; },
       [](const Rule& b) -> Gradients {
         return {cat({select(b.grad(), 1, 0), slice(b.grad()[3], 0, 1, 3)}, 0)};
       },
       nullptr,
       Network::mlp},
      {"two outputs: the second one's gradient forgotten",
       "accumulation",
       "my_split",
       {normal({3, 4})},
       [](Arguments x) { return square(x[0]) + exp(x[0]); },
       nullptr,
       [](Arguments x) {
         Tensors both;
         {
           NoGrad guard;
           both = {square(x[0]), exp(x[0])};
         }
         record_all("my_split", {x[0]}, both, Keep::input(0), NoAttributes{},
                    [](const Backward& b, NoAttributes) -> Gradients { return {b.grad(0) * b.input(0) * 2}; });
         return both[0] + both[1];
       },
       Network::mlp},

      {"index_select: the first row gets nothing",
       "only where",
       "my_index_select",
       {normal({3, 2}), values({4}, {2, 2, 0, 1}, int64)},
       [](Arguments x) { return index_select(x[0], 0, x[1]); },
       [](const Rule& b) -> Gradients {
         return {cat({zeros({1, 2}, float64), narrow(b.exact(0), 0, 1, 2)}, 0)};
       },
       nullptr,
       Network::mlp},
      {"where: both sides get the whole gradient",
       "only where",
       "my_where",
       {normal({3, 4}), normal({3, 4}), booleans({3, 4})},
       [](Arguments x) { return where(x[2], x[0], x[1]); },
       [](const Rule& b) -> Gradients {
         return {b.grad(), b.grad()};
       },
       nullptr,
       Network::mlp},
      {"scatter that overwrites: what was overwritten keeps its gradient",
       "only where",
       "my_write_row",
       {normal({3, 4}), normal({4})},
       [](Arguments x) {
         return cat({unsqueeze(x[1], 0), narrow(x[0], 0, 1, 2)}, 0);
       },
       [](const Rule& b) -> Gradients {
         return {b.grad(), b.grad()[0]};
       },
       nullptr,
       Network::mlp},
      {"slice with a step: one row too far at the end",
       "only where",
       "my_slice",
       {normal({6, 2})},
       [](Arguments x) { return slice(square(x[0]), 0, 0, 5, 2) * 1; },
       [](const Rule& b) -> Gradients {
         const Tensor g = b.exact(0);
         return {cat({narrow(g, 0, 0, 4), narrow(g, 0, 3, 1), narrow(g, 0, 4, 1)}, 0)};
       },
       nullptr,
       Network::mlp},
      {"topk: a gradient for the k + 1st",
       "only where",
       "my_topk",
       {distinct({3, 4})},
       [](Arguments x) { return topk(x[0], 2, 1).values; },
       [](const Rule& b) -> Gradients {
         const SortResult r = topk(b.input(0), 3, 1);
         const Tensor three = cat({b.grad(), narrow(b.grad(), 1, 1, 1)}, 1);
         return {scatter_add(zeros({3, 4}, float64), 1, r.indices, three)};
       },
       nullptr,
       Network::mlp},
      {"tril: the diagonal gets nothing",
       "only where",
       "my_tril",
       {normal({4, 4})},
       [](Arguments x) { return tril(x[0]); },
       [](const Rule& b) -> Gradients { return {tril(b.grad(), -1)}; },
       nullptr,
       Network::mlp},

      {"cat: the gradients in the wrong order",
       "layout",
       "my_cat",
       {normal({2, 3}), normal({2, 3})},
       [](Arguments x) {
         return cat({x[0], x[1]}, 0);
       },
       [](const Rule& b) -> Gradients {
         return {narrow(b.grad(), 0, 2, 2) * 1, narrow(b.grad(), 0, 0, 2) * 1};
       },
       nullptr,
       Network::mlp},
      {"stack: along the other dimension",
       "layout",
       "my_stack",
       {normal({2, 2}), normal({2, 2})},
       [](Arguments x) {
         return stack({x[0], x[1]}, 0);
       },
       [](const Rule& b) -> Gradients {
         return {select(b.grad(), 1, 0) * 1, select(b.grad(), 1, 1) * 1};
       },
       nullptr,
       Network::mlp},
      {"interleaving: even and odd exchanged",
       "layout",
       "my_interleave",
       {normal({3, 4})},
       [](Arguments x) {
         return reshape(stack({narrow(x[0], 1, 0, 2), narrow(x[0], 1, 2, 2)}, 2), {3, 4});
       },
       [](const Rule& b) -> Gradients {
         return {cat({slice(b.grad(), 1, 1, 4, 2), slice(b.grad(), 1, 0, 4, 2)}, 1)};
       },
       nullptr,
       Network::recurrent},

      {"index_add: scaled by the count of an index",
       "factor",
       "my_index_add",
       {normal({3, 2}), normal({4, 2}), values({4}, {0, 0, 2, 2}, int64)},
       [](Arguments x) { return index_add(x[0], 0, x[2], x[1]); },
       [](const Rule& b) -> Gradients {
         return {b.grad(), index_select(b.grad(), 0, b.input(2)) * 2};
       },
       nullptr,
       Network::mlp},
      {"gather: the sign of what is taken away",
       "sign",
       "my_minus_gathered",
       {normal({3, 4}), values({3, 1}, {2, 0, 3}, int64)},
       [](Arguments x) { return -gather(x[0], 1, x[1]); },
       [](const Rule& b) -> Gradients {
         return {scatter_add(zeros({3, 4}, float64), 1, b.input(1), b.grad())};
       },
       nullptr,
       Network::mlp},
  };
}

}  // namespace cotangent::corpus
