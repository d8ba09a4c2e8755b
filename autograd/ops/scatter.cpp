#include <cotangent/autograd/ops/scatter.hpp>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/index_internal.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/join.hpp>
#include <cotangent/tensor/precision_internal.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent {
namespace {

Tensor checked_places(const char* op, const Tensor& x, int dim, const Tensor& index) {
  return raw::checked_index(op, index, x.rank() ? x.shape()[dim] : 1, dim);
}

/// How many entries along dim come before each: 0, 1, 2, ..
Tensor order_along(const Shape& shape, int dim) {
  Shape line = Dims::filled(shape.rank(), 1);
  if (shape.rank() > 0) line[dim] = shape[dim];
  return expand(reshape(arange(line.product()), line), shape);
}

/// Of each entry of the index whether it is the last that goes to its place.
Tensor stays(const Shape& shape, int dim, const Tensor& index) {
  const Tensor order = order_along(index.shape(), dim), last = empty(shape, int64);
  raw::scatter_into(last, dim, index, order);
  return raw::gather(last, dim, index) == order;
}

Tensor written(const Tensor& x, int dim, const Tensor& index, const Tensor& src) {
  const Tensor y = raw::clone(x);
  raw::scatter_into(y, dim, index, src);
  return record("scatter", {x, index, src}, y, Keep::input(1), dim, [](const Backward& b, int d) -> Gradients {
    const Tensor &dy = b.grad(), &at = b.input(1);
    return {b.needs(0) ? scatter(dy, d, at, Scalar(0)) : Tensor(), Tensor(),
            b.needs(2) ? where(stays(dy.shape(), d, at), gather(dy, d, at), Scalar(0)) : Tensor()};
  });
}

}  // namespace

Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src) {
  const int d = detail::checked_elements("scatter", x, dim, index);
  const Tensor part = detail::indexed_part("scatter", x, index, src);
  return written(x, d, checked_places("scatter", x, d, index), part);
}

Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Scalar& value) {
  const int d = detail::checked_elements("scatter", x, dim, index);
  const Tensor number = raw::filled("scatter", {}, value, x.dtype());
  return written(x, d, checked_places("scatter", x, d, index), raw::expand("scatter", number, index.shape()));
}

// ---- reductions ----

namespace {

struct ExtremeAt {
  int dim;
  bool include_self;
};

Tensor scatter_extreme(const Tensor& x, int dim, const Tensor& index, const Tensor& src, bool largest,
                       bool include_self) {
  const Tensor y = raw::clone(x);
  if (!include_self) raw::scatter_into(y, dim, index, src);  // any one of them to begin with
  raw::scatter_extreme_into(y, dim, index, src, largest);
  return record("scatter_reduce", {x, index, src}, y, Keep::inputs(3) | Keep::output(), ExtremeAt{dim, include_self},
                [](const Backward& b, ExtremeAt p) -> Gradients {
                  const Tensor &at = b.input(1), &dy = b.grad(), top = b.output().detach();
                  const Tensor self =
                      to(p.include_self ? b.input(0).detach() == top
                                        : scatter(full(top.shape(), true, boolean), p.dim, at, Scalar(false)),
                         dy.dtype());
                  const Tensor hit = to(b.input(2).detach() == gather(top, p.dim, at), dy.dtype());
                  const Tensor part = dy / scatter_add(self, p.dim, at, hit);
                  return {part * self, Tensor(), b.needs(2) ? gather(part, p.dim, at) * hit : Tensor()};
                });
}

/// The products over a dimension of their own for what goes to one place, of which the op takes more memory than the
/// rest of it but has derivatives of any order.
Tensor products_by_place(std::span<const Tensor> in, const void* along) {
  const int dim = *static_cast<const int*>(along);
  const Tensor &x = in[0], &index = in[1], &src = in[2];
  const Tensor counts = zeros(x.shape(), int64);
  const Tensor rank = raw::scatter_before(counts, dim, index, ones(index.shape(), int64), raw::Binary::add);
  const int64_t most = counts.numel() > 0 ? amax(counts).item<int64_t>() : 0;
  if (x.rank() == 0) return x * src;
  Shape room = x.shape();
  room[dim] = Dims{room[dim], most}.product("scatter_reduce");
  const Tensor factors = scatter(ones(room, x.dtype()), dim, index * most + rank, src);
  return x * prod(unflatten(factors, dim, {x.shape()[dim], most}), dim + 1);
}

Tensor scatter_product(const Tensor& x, int dim, const Tensor& index, const Tensor& src) {
  const Tensor y = raw::clone(x);
  raw::scatter_before(y, dim, index, src, raw::Binary::mul);
  return record("scatter_reduce", {x, index, src}, y, Keep::inputs(3), dim, [](const Backward& b, int d) -> Gradients {
    if (b.creates_graph()) return b.through(&products_by_place, &d);
    // the product of all others: of those before an entry, and of those after it
    const Tensor &at = b.input(1), &factors = b.input(2), &dy = b.grad();
    const Tensor from_front = raw::clone(b.input(0)), from_end = ones(dy.shape(), dy.dtype());
    const Tensor before = raw::scatter_before(from_front, d, at, factors, raw::Binary::mul);
    const uint32_t line = at.rank() ? 1u << d : 0;
    const Tensor after = raw::flip(
        raw::scatter_before(from_end, d, raw::flip(at, line), raw::flip(factors, line), raw::Binary::mul), line);
    return {dy * from_end, Tensor(), b.needs(2) ? gather(dy, d, at) * before * after : Tensor()};
  });
}

Tensor scatter_mean(const Tensor& x, int dim, const Tensor& index, const Tensor& src, bool include_self) {
  const Tensor counts = full(x.shape(), include_self ? 1 : 0, int64);
  raw::scatter_add_into(counts, dim, index, ones(index.shape(), int64));
  const Tensor sum = scatter_add(x, dim, index, src), by = clamp(counts, 1);
  return x.is_floating() ? sum / to(by, x.dtype()) : floor_divide(sum, to(by, x.dtype()));
}

}  // namespace

Tensor scatter_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src, ScatterReduce reduce,
                      bool include_self) {
  const int d = detail::checked_elements("scatter_reduce", x, dim, index);
  const Tensor part = detail::indexed_part("scatter_reduce", x, index, src);
  if (x.dtype() == boolean) fail<DTypeError>("[scatter_reduce] x is bool; it must be of numbers");
  if (is_low_precision(x.dtype())) return in_float32<to>(scatter_reduce, x, dim, index, part, reduce, include_self);
  const Tensor places = checked_places("scatter_reduce", x, d, index);
  if (reduce == ScatterReduce::amax || reduce == ScatterReduce::amin)
    return scatter_extreme(x, d, places, part, reduce == ScatterReduce::amax, include_self);
  const Tensor start = include_self ? x : scatter(x, d, places, Scalar(reduce == ScatterReduce::prod ? 1 : 0));
  if (reduce == ScatterReduce::prod) return scatter_product(start, d, places, part);
  if (reduce == ScatterReduce::mean) return scatter_mean(start, d, places, part, include_self);
  return scatter_add(start, d, places, part);
}

}  // namespace cotangent
