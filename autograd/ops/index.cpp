#include <cotangent/autograd/ops/index.hpp>

#include <algorithm>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index_internal.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>

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
                  return {pick_sum(b.grad(), b.shape(0), p.at, b.input(1), p.index_shape, p.skip)};
                });
}

Tensor pick_sum(const Tensor& g, const Shape& shape, raw::IndexedDims at, const Tensor& index, const Shape& index_shape,
                int64_t skip) {
  return record("index_sum", {g, index}, raw::pick_sum(g, shape, at, index, skip), Keep::input(1),
                Places{at, index_shape, skip}, [](const Backward& b, const Places& p) -> Gradients {
                  const Tensor y = pick("index_select", b.grad(), p.at, b.input(1), p.index_shape);
                  if (p.skip < 0) return {y};
                  Shape lines = p.index_shape;  // (outer.., index.., inner..) with a mask of (index..)
                  for (int d = p.at.first + p.at.count; d < b.grad().rank(); ++d) lines.push_back(1);
                  return {masked_fill(y, reshape(b.input(1) == p.skip, lines), 0)};
                });
}

Tensor scatter_sum(const Tensor& g, const Shape& shape, int dim, const Tensor& index) {
  const Tensor y = zeros(shape, g.dtype());
  raw::scatter_add_into(y, dim, index, g);
  return record("scatter_sum", {g, index}, y, Keep::input(1), dim,
                [](const Backward& b, int d) -> Gradients { return {gather(b.grad(), d, b.input(1))}; });
}

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

Tensor indexed_part(const char* op, const Tensor& x, const Tensor& index, const Tensor& src) {
  bool fits = src.rank() == index.rank();
  for (int i = 0; fits && i < src.rank(); ++i) fits = index.shape()[i] <= src.shape()[i];
  if (!fits)
    fail<ShapeError>("[{}] the index has shape {} for src {}; it must be at most as large", op, index.shape(),
                     src.shape());
  if (src.dtype() != x.dtype())
    fail<DTypeError>("[{}] x is {} and src {}; convert one with to()", op, x.dtype(), src.dtype());
  Tensor part = src;
  for (int i = 0; i < src.rank(); ++i)
    if (index.shape()[i] < src.shape()[i]) part = narrow(part, i, 0, index.shape()[i]);
  return part;
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
  if (is_low_precision(x.dtype())) return in_float32<to>(index_add, x, dim, index, src);
  const Tensor places = raw::checked_index("index_add", index, x.shape()[d], d);
  return x + detail::pick_sum(src, x.shape(), {d, 1}, places, {index.numel()});
}

// ---- one index an element ----

Tensor gather(const Tensor& x, int64_t dim, const Tensor& index) {
  const int d = detail::checked_elements("gather", x, dim, index);
  const Tensor places = raw::checked_index("gather", index, x.rank() ? x.shape()[d] : 1, d);
  return record("gather", {x, places}, raw::gather(x, d, places), Keep::input(1), d,
                [](const Backward& b, int along) -> Gradients {
                  return {detail::scatter_sum(b.grad(), b.shape(0), along, b.input(1))};
                });
}

Tensor take_along_dim(const Tensor& x, const Tensor& index, int64_t dim) {
  const int d = checked_dim("take_along_dim", dim, x.rank());
  if (index.rank() != x.rank())
    fail<ShapeError>("[take_along_dim] the index has shape {} for x {}; it must have the same rank", index.shape(),
                     x.shape());
  Shape from = x.shape(), at = index.shape();
  if (x.rank() > 0) from[d] = at[d] = 1;
  Shape both = broadcast_shapes("take_along_dim", from, at);
  from = at = both;
  if (x.rank() > 0) from[d] = x.shape()[d], at[d] = index.shape()[d];
  return gather(expand(x, from), dim, expand(index, at));
}

Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src) {
  const int d = detail::checked_elements("scatter_add", x, dim, index);
  const Tensor part = detail::indexed_part("scatter_add", x, index, src);
  const Tensor places = raw::checked_index("scatter_add", index, x.rank() ? x.shape()[d] : 1, d);
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

Tensor nonzero(const Tensor& x) {
  const Tensor flat = raw::nonzero(x.dtype() == boolean ? x : raw::cast(x, boolean));
  const Tensor y = empty({flat.numel(), x.rank()}, int64);
  for (int64_t i = 0; i < flat.numel(); ++i) {
    int64_t rest = flat.data<int64_t>()[i];
    int64_t* place = y.data<int64_t>() + i * x.rank();
    for (int d = x.rank() - 1; d >= 0; --d) place[d] = rest % x.shape()[d], rest /= x.shape()[d];
  }
  return y;
}

Tensor one_hot(const Tensor& index, int64_t classes) {
  if (classes < -1)
    fail<ValueError>("[one_hot] {} classes; there must be 0 or more, or -1 for the largest index + 1", classes);
  if (classes == -1) {
    const auto values = index.to_vector<int64_t>();
    if (values.empty())
      fail<ValueError>("[one_hot] the number of classes does not follow from an empty index of shape {}; give it",
                       index.shape());
    classes = std::clamp<int64_t>(*std::max_element(values.begin(), values.end()), 0, INT64_MAX - 1) + 1;
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

}  // namespace cotangent
