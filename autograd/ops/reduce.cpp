#include <cotangent/autograd/ops/reduce.hpp>

#include <algorithm>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/index_internal.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/reduce_internal.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>
#include <cotangent/tensor/reduce.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent {

namespace detail {

Tensor finish_reduction(const Tensor& y, uint32_t dims, bool keepdim) {
  if (keepdim) return y;
  Shape shape;
  for (int d = 0; d < y.rank(); ++d)
    if (!(dims >> d & 1u)) shape.push_back(y.shape()[d]);
  return reshape(y, shape);
}

Dims listed(uint32_t dims, int rank) {
  Dims list;
  for (int d = 0; d < std::max(rank, 1); ++d)
    if (dims >> d & 1u) list.push_back(d);
  return list;
}

}  // namespace detail

using detail::finish_reduction;

Tensor sum(const Tensor& x, const DimList& dims, bool keepdim) {
  COTANGENT_AUTOCAST(sum, x, dims, keepdim);
  const uint32_t mask = checked_dims("sum", dims, x.rank());
  const Tensor y = record("sum", {x}, raw::sum("sum", x, mask), Keep::nothing(), NoAttributes{},
                          [](const Backward& b, NoAttributes) -> Gradients { return {expand(b.grad(), b.shape(0))}; });
  return finish_reduction(y, mask, keepdim);
}

Tensor mean(const Tensor& x, const DimList& dims, bool keepdim) {
  COTANGENT_AUTOCAST(mean, x, dims, keepdim);
  if (!x.is_floating())
    fail<DTypeError>("[mean] takes a floating tensor, got {}; convert it with to(float32)", x.dtype());
  const uint32_t mask = checked_dims("mean", dims, x.rank());
  const double n = static_cast<double>(raw::reduced_count(x.shape(), mask));
  const Tensor y =
      record("mean", {x}, raw::mean("mean", x, mask), Keep::nothing(), n,
             [](const Backward& b, double count) -> Gradients { return {expand(b.grad() / count, b.shape(0))}; });
  return finish_reduction(y, mask, keepdim);
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const int skip = x.rank() - shape.rank();
  Dims dims;
  for (int d = 0; d < x.rank(); ++d)
    if (d < skip || (shape[d - skip] == 1 && x.shape()[d] != 1)) dims.push_back(d);
  const Tensor y = dims.empty() ? x : sum(x, dims, true);
  return reshape(y, shape);
}

// ---- product ----

namespace {

// For each element the product of the others along `dim`, from those before and those after it.
Tensor product_of_others(const Tensor& x, int dim) {
  const int64_t n = x.shape()[dim];
  Tensors y;
  Tensor before = ones_like(narrow(x, dim, 0, 1)), after = before;
  for (int64_t i = 0; i < n; ++i) {
    y.push_back(before);
    before = before * narrow(x, dim, i, 1);
  }
  for (int64_t i = n - 1; i >= 0; --i) {
    y[static_cast<size_t>(i)] = y[static_cast<size_t>(i)] * after;
    after = after * narrow(x, dim, i, 1);
  }
  return cat(y, dim);
}

// The same without history: y / x, except where there are zeros.
Tensor product_of_others_now(const Tensor& x, const Tensor& y, int dim) {
  const Tensor zero = x == 0;
  if (!any(zero).item<bool>()) return y / x;
  const Tensor zeros = sum(zero, dim, true), filled = masked_fill(x, zero, 1), rest = prod(filled, dim, true);
  return where(zero, masked_fill(rest, zeros > 1, 0), masked_fill(rest, zeros > 0, 0) / filled);
}

Tensor prod_along(const Tensor& x, int dim) {
  return record("prod", {x}, raw::prod("prod", x, 1u << dim), Keep::input(0) | Keep::output(), dim,
                [](const Backward& b, int d) -> Gradients {
                  const Tensor& v = b.input(0);
                  if (v.numel() == 0 || v.rank() == 0) return {expand(b.grad(), b.shape(0))};
                  if (b.creates_graph()) return {b.grad() * product_of_others(v, d)};
                  return {b.grad() * product_of_others_now(v, b.output(), d)};
                });
}

}  // namespace

Tensor prod(const Tensor& x, const DimList& dims, bool keepdim) {
  COTANGENT_AUTOCAST(prod, x, dims, keepdim);
  const uint32_t mask = checked_dims("prod", dims, x.rank());
  if (is_low_precision(x.dtype())) return in_float32<to>(prod, x, dims, keepdim);
  const Dims reduced = detail::listed(mask, x.rank());
  if (reduced.size() == 1) return finish_reduction(prod_along(x, static_cast<int>(reduced[0])), mask, keepdim);
  // several dimensions become one
  Dims order = detail::listed(~mask & ((1u << x.rank()) - 1), x.rank());
  Shape shape;
  for (int64_t d : order) shape.push_back(x.size(d));
  const int last = shape.rank();
  for (int64_t d : reduced) order.push_back(d);
  shape.push_back(raw::reduced_count(x.shape(), mask));
  const Tensor y = prod_along(reshape(permute(x, order), shape), last);
  shape = x.shape();
  for (int64_t d : reduced) shape[static_cast<int>(d)] = 1;
  return finish_reduction(reshape(y, shape), mask, keepdim);
}

// ---- extremes ----

namespace {

// Equal shares for all elements that are as large, or for all that are NaN.
Gradients shared_out(const Backward& b, uint32_t mask) {
  const Tensor& x = b.input(0);
  const Tensor chosen = to(x == b.output() || isnan(x), x.dtype());
  return {chosen * (b.grad() / sum(chosen, detail::listed(mask, x.rank()), true))};
}

Extreme with_indices(const char* op, const Tensor& x, raw::ValuesAndIndices r, int dim, bool keepdim) {
  Tensor y[] = {std::move(r.values), std::move(r.indices)};
  record_all(op, {x}, y, Keep::output(1), dim, [](const Backward& b, int d) -> Gradients {
    if (b.shape(0).rank() == 0) return {b.grad()};
    return {detail::scatter_sum(b.grad(), b.shape(0), d, b.output(1))};
  });
  return {finish_reduction(y[0], 1u << dim, keepdim), finish_reduction(y[1], 1u << dim, keepdim)};
}

}  // namespace

static Tensor extreme(const char* op, Tensor (*find)(const char*, const Tensor&, uint32_t), const Tensor& x,
                      const DimList& dims, bool keepdim) {
  const uint32_t mask = checked_dims(op, dims, x.rank());
  const Tensor y = record(op, {x}, find(op, x, mask), Keep::input(0) | Keep::output(), mask,
                          [](const Backward& b, uint32_t m) { return shared_out(b, m); });
  return finish_reduction(y, mask, keepdim);
}
Tensor amax(const Tensor& x, const DimList& dims, bool keepdim) { return extreme("amax", raw::amax, x, dims, keepdim); }
Tensor amin(const Tensor& x, const DimList& dims, bool keepdim) { return extreme("amin", raw::amin, x, dims, keepdim); }
Tensor max(const Tensor& x) { return extreme("max", raw::amax, x, {}, false); }
Tensor min(const Tensor& x) { return extreme("min", raw::amin, x, {}, false); }

Extreme max(const Tensor& x, int64_t dim, bool keepdim) {
  const int d = checked_dim("max", dim, x.rank());
  return with_indices("max", x, raw::max_along("max", x, d), d, keepdim);
}
Extreme min(const Tensor& x, int64_t dim, bool keepdim) {
  const int d = checked_dim("min", dim, x.rank());
  return with_indices("min", x, raw::min_along("min", x, d), d, keepdim);
}

Tensor argmax(const Tensor& x, int64_t dim, bool keepdim) {
  const int d = checked_dim("argmax", dim, x.rank());
  return finish_reduction(raw::max_along("argmax", x, d).indices, 1u << d, keepdim);
}
Tensor argmin(const Tensor& x, int64_t dim, bool keepdim) {
  const int d = checked_dim("argmin", dim, x.rank());
  return finish_reduction(raw::min_along("argmin", x, d).indices, 1u << d, keepdim);
}
Tensor argmax(const Tensor& x) {
  return finish_reduction(raw::max_along("argmax", raw::reshape("argmax", x, {x.numel()}), 0).indices, 1, false);
}
Tensor argmin(const Tensor& x) {
  return finish_reduction(raw::min_along("argmin", raw::reshape("argmin", x, {x.numel()}), 0).indices, 1, false);
}

// ---- truth ----

Tensor all(const Tensor& x, const DimList& dims, bool keepdim) {
  const uint32_t mask = checked_dims("all", dims, x.rank());
  return finish_reduction(raw::all("all", x, mask), mask, keepdim);
}
Tensor any(const Tensor& x, const DimList& dims, bool keepdim) {
  const uint32_t mask = checked_dims("any", dims, x.rank());
  return finish_reduction(raw::any("any", x, mask), mask, keepdim);
}

}  // namespace cotangent
