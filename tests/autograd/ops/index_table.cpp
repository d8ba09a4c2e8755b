// The op table of autograd/ops/index.hpp.

#include <cmath>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/index_internal.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

// The result of index_select by selects, of index_add by adds to selects.
Tensor selected(const Tensor& x, int64_t dim, const std::vector<int64_t>& index) {
  Shape shape = x.shape();
  shape[checked_dim("selected", dim, x.rank())] = static_cast<int64_t>(index.size());
  Tensor y = zeros(shape, x.dtype());
  for (size_t i = 0; i < index.size(); ++i) y.select(dim, static_cast<int64_t>(i)) = x.select(dim, index[i]);
  return y;
}
Tensor added(const Tensor& x, int64_t dim, const std::vector<int64_t>& index, const Tensor& src) {
  const Tensor y = clone(x);
  for (size_t i = 0; i < index.size(); ++i) y.select(dim, index[i]).add_(src.select(dim, static_cast<int64_t>(i)));
  return y;
}
Tensor at(const Tensor& x, int64_t i, int64_t j) { return x.select(0, i).select(0, j); }

// gather (and scatter_add, given src) in matrices, element by element.
Tensor gathered(const Tensor& x, int dim, const Tensor& index) {
  const Tensor y = zeros(index.shape(), x.dtype());
  for (int64_t i = 0; i < index.size(0); ++i)
    for (int64_t j = 0; j < index.size(1); ++j) {
      const int64_t k = at(index, i, j).item<int64_t>();
      at(y, i, j).copy_(dim == 0 ? at(x, k, j) : at(x, i, k));
    }
  return y;
}
Tensor scattered(const Tensor& x, int dim, const Tensor& index, const Tensor& src) {
  const Tensor y = clone(x);
  for (int64_t i = 0; i < index.size(0); ++i)
    for (int64_t j = 0; j < index.size(1); ++j) {
      const int64_t k = at(index, i, j).item<int64_t>();
      (dim == 0 ? at(y, k, j) : at(y, i, k)).add_(at(src, i, j));
    }
  return y;
}

OpInfo index_select_info() {
  return {.name = "index_select",
          .samples = {{{normal({4, 3}), values({3}, {2, 0, 2}, int64)},
                       [](Arguments x) -> Results { return index_select(x[0], 0, x[1]); },
                       [](Arguments x) -> Results {
                         return selected(x[0], 0, {2, 0, 2});
                       }},
                      {{normal({2, 3, 2}), values({2}, {1, 1}, int32)},
                       [](Arguments x) -> Results { return index_select(x[0], -2, x[1]); },
                       [](Arguments x) -> Results {
                         return selected(x[0], 1, {1, 1});
                       }},
                      {{normal({2, 3}), values({4}, {2, 0, 1, 2}, uint8)},
                       [](Arguments x) -> Results { return index_select(x[0], 1, x[1]); },
                       [](Arguments x) -> Results {
                         return selected(x[0], 1, {2, 0, 1, 2});
                       }},
                      {{normal({1}), values({}, {0}, int64)},
                       [](Arguments x) -> Results { return index_select(x[0], 0, x[1]); },
                       [](Arguments x) -> Results { return selected(x[0], 0, {0}); }}},
          .errors = {{{normal({4, 3}), values({2}, {1, 3}, int64)},
                      [](Arguments x) -> Results { return index_select(x[0], 1, x[1]); },
                      "[index_select] index 3, at position 1 of the index, is out of range for dimension 1 of size 3"},
                     {{normal({4}), values({1}, {-1}, int64)},
                      [](Arguments x) -> Results { return index_select(x[0], 0, x[1]); },
                      "it must be from 0 to 3"},
                     {{normal({4}), normal({1})},
                      [](Arguments x) -> Results { return index_select(x[0], 0, x[1]); },
                      "an index must be int64, int32 or uint8, got float64"},
                     {{normal({4}), integers({2, 2}, 0, 3)},
                      [](Arguments x) -> Results { return index_select(x[0], 0, x[1]); },
                      "it must have rank 1"}},
          .recorded_as = {"index_select", "index_sum"}};
}

OpInfo index_add_info() {
  return {.name = "index_add",
          .samples = {{{normal({3, 2}), values({4}, {2, 0, 2, 2}, int64), normal({4, 2})},
                       [](Arguments x) -> Results { return index_add(x[0], 0, x[1], x[2]); },
                       [](Arguments x) -> Results {
                         return added(x[0], 0, {2, 0, 2, 2}, x[2]);
                       }},
                      {{normal({2, 3}), values({2}, {1, 1}, int64), normal({2, 2})},
                       [](Arguments x) -> Results { return index_add(x[0], -1, x[1], x[2]); },
                       [](Arguments x) -> Results {
                         return added(x[0], 1, {1, 1}, x[2]);
                       }}},
          .errors = {{{normal({3, 2}), integers({2}, 0, 2), normal({3, 2})},
                      [](Arguments x) -> Results { return index_add(x[0], 0, x[1], x[2]); },
                      "src has shape (3, 2) for x (3, 2) and an index of shape (2,); it must be (2, 2)"}},
          .recorded_as = {"add", "index_sum"}};
}

OpInfo gather_info() {
  return {
      .name = "gather",
      .samples = {{{normal({3, 4}), values({3, 2}, {3, 0, 1, 1, 2, 0}, int64)},
                   [](Arguments x) -> Results { return gather(x[0], 1, x[1]); },
                   [](Arguments x) -> Results { return gathered(x[0], 1, x[1]); }},
                  {{normal({3, 4}), values({2, 3}, {2, 0, 1, 2, 2, 0}, int64)},
                   [](Arguments x) -> Results { return gather(x[0], -2, x[1]); },
                   [](Arguments x) -> Results { return gathered(x[0], 0, x[1]); }},
                  {{normal({2, 2, 2}), values({2, 2, 1}, {1, 0, 0, 1}, int64)},
                   [](Arguments x) -> Results { return gather(x[0], 2, x[1]); },
                   [](Arguments x) -> Results { return where(x[1] == 1, slice(x[0], 2, 1, 2), slice(x[0], 2, 0, 1)); }},
                  {{normal({}), values({}, {0}, int64)},
                   [](Arguments x) -> Results { return gather(x[0], 0, x[1]); },
                   [](Arguments x) -> Results { return clone(x[0]); }}},
      .errors = {{{normal({3, 4}), values({1, 1}, {4}, int64)},
                  [](Arguments x) -> Results { return gather(x[0], 1, x[1]); },
                  "[gather] index 4, at position 0 of the index, is out of range for dimension 1 of size 4"},
                 {{normal({3, 4}), integers({4, 1}, 0, 2)},
                  [](Arguments x) -> Results { return gather(x[0], 1, x[1]); },
                  "the index has shape (4, 1) for x (3, 4)"}},
      .recorded_as = {"gather", "scatter_sum"}};
}

OpInfo scatter_add_info() {
  return {.name = "scatter_add",
          .samples = {{{normal({3, 4}), values({3, 2}, {3, 0, 1, 1, 2, 0}, int64), normal({3, 2})},
                       [](Arguments x) -> Results { return scatter_add(x[0], 1, x[1], x[2]); },
                       [](Arguments x) -> Results { return scattered(x[0], 1, x[1], x[2]); }},
                      {{normal({3, 2}), values({4, 2}, {2, 0, 1, 2, 2, 0, 2, 2}, int64), normal({5, 3})},
                       [](Arguments x) -> Results { return scatter_add(x[0], 0, x[1], x[2]); },
                       [](Arguments x) -> Results { return scattered(x[0], 0, x[1], x[2]); }}},
          .errors = {{{normal({3, 4}), integers({3, 2}, 0, 2), normal({2, 2})},
                      [](Arguments x) -> Results { return scatter_add(x[0], 1, x[1], x[2]); },
                      "the index has shape (3, 2) for src (2, 2); it must be at most as large"}},
          .recorded_as = {"scatter_add", "slice"}};
}

OpInfo embedding_info() {
  return {.name = "embedding",
          .samples = {{{normal({4, 3}), values({2, 2}, {3, 0, 3, 1}, int64)},
                       [](Arguments x) -> Results { return embedding(x[0], x[1]); },
                       [](Arguments x) -> Results {
                         return selected(x[0], 0, {3, 0, 3, 1}).reshape({2, 2, 3});
                       }},
                      {{normal({3, 2}), values({}, {1}, int64)},
                       [](Arguments x) -> Results { return embedding(x[0], x[1]); },
                       [](Arguments x) -> Results { return clone(x[0][1]); }}},
          .errors = {{{normal({4, 3}), values({1}, {4}, int64)},
                      [](Arguments x) -> Results { return embedding(x[0], x[1]); },
                      "[embedding] index 4, at position 0 of the index, is out of range for dimension 0 of size 4"},
                     {{normal({4, 3}), values({1}, {0}, int64)},
                      [](Arguments x) -> Results { return embedding(x[0], x[1], 4); },
                      "padding_idx 4 is out of range for 4 rows"},
                     {{normal({4}), values({1}, {0}, int64)},
                      [](Arguments x) -> Results { return embedding(x[0], x[1]); },
                      "it must be (rows, features)"}},
          .recorded_as = {"embedding", "index_sum", "index_select"}};
}

}  // namespace

COTANGENT_OP_TABLE(index) {
  return {
      index_select_info(),
      index_add_info(),
      gather_info(),
      scatter_add_info(),
      embedding_info(),
      {.name = "take_along_dim",
       .samples = {{{normal({3, 4}), values({3, 2}, {3, 0, 1, 1, 2, 0}, int64)},
                    [](Arguments x) -> Results { return take_along_dim(x[0], x[1], 1); },
                    [](Arguments x) -> Results { return gathered(x[0], 1, x[1]); }},
                   {{normal({3, 2}), values({1, 2}, {2, 0}, int64)},
                    [](Arguments x) -> Results { return take_along_dim(x[0], x[1], 0); },
                    [](Arguments x) -> Results { return gathered(x[0], 0, x[1]); }},
                   {{normal({1, 3}), values({2, 2}, {2, 0, 1, 1}, int64)},
                    [](Arguments x) -> Results { return take_along_dim(x[0], x[1], -1); },
                    [](Arguments x) -> Results {
                      return gathered(expand(x[0], {2, 3}), 1, x[1]);
                    }}},
       .errors = {{{normal({3, 4}), integers({3}, 0, 2)},
                   [](Arguments x) -> Results { return take_along_dim(x[0], x[1], 1); },
                   "[take_along_dim] the index has shape (3,) for x (3, 4); it must have the same rank"}},
       .recorded_as = {"gather", "scatter_sum", "expand"}},
      {.name = "nonzero",
       .samples = {{{values({2, 3}, {0, 2, 0, -1, NAN, 0})},
                    [](Arguments x) -> Results { return nonzero(x[0]); },
                    [](Arguments) -> Results {
                      return tensor({{0, 1}, {1, 0}, {1, 1}}, int64);
                    }},
                   {{values({2}, {0, 1}, boolean)},
                    [](Arguments x) -> Results { return nonzero(x[0]); },
                    [](Arguments) -> Results { return tensor({{1}}, int64); }},
                   {{values({}, {3}, int64)},
                    [](Arguments x) -> Results { return nonzero(x[0]); },
                    [](Arguments) -> Results {
                      return empty({1, 0}, int64);
                    }}},
       .orders = 0},
      {.name = "one_hot",
       .samples = {{{values({2, 2}, {2, 0, 1, 2}, int64)},
                    [](Arguments x) -> Results { return one_hot(x[0]); },
                    [](Arguments x) -> Results { return to(unsqueeze(x[0], 2) == arange(3), int64); }},
                   {{values({2}, {1, 0}, uint8)},
                    [](Arguments x) -> Results { return one_hot(x[0], 5); },
                    [](Arguments x) -> Results { return to(unsqueeze(x[0], 1) == arange(5), int64); }}},
       .errors = {{{values({1}, {3}, int64)}, [](Arguments x) -> Results { return one_hot(x[0], 3); }, "index 3"},
                  {{values({1}, {-1}, int64)}, [](Arguments x) -> Results { return one_hot(x[0]); }, "index -1"},
                  {{integers({0}, 0, 1)}, [](Arguments x) -> Results { return one_hot(x[0]); }, "from an empty index"}},
       .orders = 0},
      {"tril",
       {{{normal({3, 4})},
         [](Arguments x) -> Results { return tril(x[0]); },
         [](Arguments x) -> Results { return where(arange(4) <= arange(3).unsqueeze(1), x[0], 0); }},
        {{normal({2, 3, 2})},
         [](Arguments x) -> Results { return tril(x[0], -1); },
         [](Arguments x) -> Results { return where(arange(2) <= arange(3).unsqueeze(1) - 1, x[0], 0); }},
        {{normal({2, 3})},
         [](Arguments x) -> Results { return tril(x[0], 10); },
         [](Arguments x) -> Results { return clone(x[0]); }}},
       {{{normal({3})}, [](Arguments x) -> Results { return tril(x[0]); }, "at least two dimensions"}}},
      {"triu",
       {{{normal({3, 4})},
         [](Arguments x) -> Results { return triu(x[0]); },
         [](Arguments x) -> Results { return where(arange(4) >= arange(3).unsqueeze(1), x[0], 0); }},
        {{normal({2, 3, 2})},
         [](Arguments x) -> Results { return triu(x[0], 1); },
         [](Arguments x) -> Results { return where(arange(2) >= arange(3).unsqueeze(1) + 1, x[0], 0); }}},
       {{{normal({3})}, [](Arguments x) -> Results { return triu(x[0]); }, "at least two dimensions"}}},
  };
}

}  // namespace cotangent
