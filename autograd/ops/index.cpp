#include <cotangent/autograd/ops/index.hpp>

#include <algorithm>

#include <cotangent/autograd/op_info.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index_internal.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {

namespace detail {
namespace {
struct Places {
  raw::IndexedDims at;
  Shape index_shape;
  int64_t skip;
};
}  // namespace

Tensor pick(const char* op, const Tensor& x, raw::IndexedDims at, const Tensor& index, const Shape& index_shape,
            int64_t skip) {
  return record(op, {x, index}, raw::pick(x, at, index, index_shape), Keep::input(1), Places{at, index_shape, skip},
                [](const Backward& b, const Places& p) -> Gradients {
                  return {pick_sum(b.grad(), b.shape(0), p.at, b.input(1), p.index_shape, p.skip), Tensor()};
                });
}

Tensor pick_sum(const Tensor& g, const Shape& shape, raw::IndexedDims at, const Tensor& index, const Shape& index_shape,
                int64_t skip) {
  return record("index_sum", {g, index}, raw::pick_sum(g, shape, at, index, skip), Keep::input(1),
                Places{at, index_shape, skip}, [](const Backward& b, const Places& p) -> Gradients {
                  const Tensor y = pick("index_select", b.grad(), p.at, b.input(1), p.index_shape);
                  if (p.skip < 0) return {y, Tensor()};
                  Shape lines = p.index_shape;  // (outer.., index.., inner..) with a mask of (index..)
                  for (int d = p.at.first + p.at.count; d < b.grad().rank(); ++d) lines.push_back(1);
                  return {masked_fill(y, reshape(b.input(1) == p.skip, lines), 0), Tensor()};
                });
}

Tensor scatter_sum(const Tensor& g, const Shape& shape, int dim, const Tensor& index) {
  const Tensor y = zeros(shape, g.dtype());
  raw::scatter_add_into(y, dim, index, g);
  return record("scatter_sum", {g, index}, y, Keep::input(1), dim, [](const Backward& b, int d) -> Gradients {
    return {gather(b.grad(), d, b.input(1)), Tensor()};
  });
}
}  // namespace detail

Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index) {
  if (x.rank() == 0) fail<ShapeError>("[index_select] a tensor of rank 0 has no dimension to select from");
  const int d = checked_dim("index_select", dim, x.rank());
  if (index.rank() > 1)
    fail<ShapeError>("[index_select] the index has shape {}; it must have rank 1 (or use x.index({{...}}))",
                     index.shape());
  const Tensor places = raw::checked_index("index_select", index, x.shape()[d], d);
  return detail::pick("index_select", x, {d, 1}, places, {index.numel()});
}

Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src) {
  if (x.rank() == 0) fail<ShapeError>("[index_add] a tensor of rank 0 has no dimension to add along");
  const int d = checked_dim("index_add", dim, x.rank());
  Shape expected = x.shape();
  expected[d] = index.numel();
  if (index.rank() > 1 || src.shape() != expected)
    fail<ShapeError>(
        "[index_add] src has shape {} for x {} and an index of shape {}; it must be {}, with an index of rank 1",
        src.shape(), x.shape(), index.shape(), expected);
  if (src.dtype() != x.dtype())
    fail<DTypeError>("[index_add] x is {} and src {}; convert one with to()", x.dtype(), src.dtype());
  const Tensor places = raw::checked_index("index_add", index, x.shape()[d], d);
  return x + detail::pick_sum(src, x.shape(), {d, 1}, places, {index.numel()});
}

// ---- one index an element ----

namespace {

int checked_elements(const char* op, const Tensor& x, int64_t dim, const Tensor& index) {
  const int d = checked_dim(op, dim, x.rank());
  bool fits = index.rank() == x.rank();
  for (int i = 0; fits && i < x.rank(); ++i) fits = i == d || index.shape()[i] <= x.shape()[i];
  if (!fits)
    fail<ShapeError>(
        "[{}] the index has shape {} for x {}; it must have the same rank, and be at most as large except in dimension "
        "{}",
        op, index.shape(), x.shape(), d);
  return d;
}

}  // namespace

Tensor gather(const Tensor& x, int64_t dim, const Tensor& index) {
  const int d = checked_elements("gather", x, dim, index);
  const Tensor places = raw::checked_index("gather", index, x.rank() ? x.shape()[d] : 1, d);
  return record("gather", {x, places}, raw::gather(x, d, places), Keep::input(1), d,
                [](const Backward& b, int along) -> Gradients {
                  return {detail::scatter_sum(b.grad(), b.shape(0), along, b.input(1)), Tensor()};
                });
}

Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src) {
  const int d = checked_elements("scatter_add", x, dim, index);
  bool fits = src.rank() == index.rank();
  for (int i = 0; fits && i < src.rank(); ++i) fits = index.shape()[i] <= src.shape()[i];
  if (!fits)
    fail<ShapeError>("[scatter_add] the index has shape {} for src {}; it must be at most as large", index.shape(),
                     src.shape());
  if (src.dtype() != x.dtype())
    fail<DTypeError>("[scatter_add] x is {} and src {}; convert one with to()", x.dtype(), src.dtype());
  const Tensor places = raw::checked_index("scatter_add", index, x.rank() ? x.shape()[d] : 1, d);
  Tensor part = src;
  for (int i = 0; i < src.rank(); ++i)
    if (index.shape()[i] < src.shape()[i]) part = narrow(part, i, 0, index.shape()[i]);
  const Tensor y = raw::clone(x);
  raw::scatter_add_into(y, d, places, part);
  return record("scatter_add", {x, places, part}, y, Keep::input(1), d, [](const Backward& b, int along) -> Gradients {
    return {b.grad(), Tensor(), b.needs(2) ? gather(b.grad(), along, b.input(1)) : Tensor()};
  });
}

// ---- tables, classes, triangles ----

Tensor embedding(const Tensor& weight, const Tensor& indices, std::optional<int64_t> padding_idx) {
  if (weight.rank() != 2)
    fail<ShapeError>("[embedding] the weight has shape {}; it must be (rows, features)", weight.shape());
  const int64_t rows = weight.shape()[0];
  int64_t skip = -1;
  if (padding_idx) {
    skip = *padding_idx < 0 ? *padding_idx + rows : *padding_idx;
    if (skip < 0 || skip >= rows)
      fail<IndexError>("[embedding] padding_idx {} is out of range for {} rows", *padding_idx, rows);
  }
  return detail::pick("embedding", weight, {0, 1}, raw::checked_index("embedding", indices, rows, 0), indices.shape(),
                      skip);
}

Tensor one_hot(const Tensor& index, int64_t classes) {
  if (classes < -1)
    fail<ValueError>("[one_hot] {} classes; there must be 0 or more, or -1 for the largest index + 1", classes);
  if (classes == -1) {
    const auto values = index.to_vector<int64_t>();
    if (values.empty())
      fail<ValueError>("[one_hot] the number of classes does not follow from an empty index of shape {}; give it",
                       index.shape());
    classes = std::max<int64_t>(*std::max_element(values.begin(), values.end()), 0) + 1;
  }
  return raw::one_hot(raw::checked_index("one_hot", index, classes, index.rank()), classes);
}

namespace {

struct Triangle {
  int64_t diagonal;
  bool lower;
};
Tensor triangle(const char* op, const Tensor& x, Triangle part) {
  if (x.rank() < 2)
    fail<ShapeError>("[{}] shape {} has no matrices; at least two dimensions are needed", op, x.shape());
  return record(
      op, {x}, raw::triangle(x, part.diagonal, part.lower), Keep::nothing(), part,
      [](const Backward& b, Triangle p) -> Gradients { return {triangle(p.lower ? "tril" : "triu", b.grad(), p)}; });
}

}  // namespace

Tensor tril(const Tensor& x, int64_t diagonal) { return triangle("tril", x, {diagonal, true}); }
Tensor triu(const Tensor& x, int64_t diagonal) { return triangle("triu", x, {diagonal, false}); }

// ---- op table ----

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
