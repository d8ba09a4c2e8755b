#pragma once
// Reading and writing at index tensors, without history. Indices are int64 tensors that checked_index has passed.
#include <cotangent/tensor/elementwise.hpp>

namespace cotangent::raw {

/// The index as dense int64, after a look at each value: an IndexError unless all are from 0 to size - 1. With `wrap`
/// they may also count from the end, from -size.
Tensor checked_index(const char* op, const Tensor& index, int64_t size, int dim, bool wrap = false);

/// The dimensions first to first + count - 1 of a tensor, which an index sees as one, in row-major order.
struct IndexedDims {
  int first = 0;
  int count = 1;
};
/// How many places an index may name.
int64_t indexed_size(const Shape& shape, IndexedDims at);

/// x at the indices: (outer.., indexed.., inner..) -> (outer.., index_shape.., inner..).
Tensor pick(const Tensor& x, IndexedDims at, const Tensor& index, const Shape& index_shape);
/// The adjoint of pick: zeros of `shape` with g added at the indices, but nothing at the index `skip`.
Tensor pick_sum(const Tensor& g, const Shape& shape, IndexedDims at, const Tensor& index, int64_t skip = -1);
/// Writes values, of the shape that pick gives, to x at the indices. For an index given twice the last one stays.
void put(const Tensor& x, IndexedDims at, const Tensor& index, const Tensor& values);
/// For each index whether it is the last of its value; undefined when no value comes twice.
Tensor last_of_each(const Tensor& index, int64_t size);

/// y[.., k, ..] = x[.., index[.., k, ..], ..] along dim; y has the index's shape.
Tensor gather(const Tensor& x, int dim, const Tensor& index);
/// y[.., index[.., k, ..], ..] += g[.., k, ..] along dim, in the order of k.
void scatter_add_into(const Tensor& y, int dim, const Tensor& index, const Tensor& g);
/// y[.., index[.., k, ..], ..] = g[.., k, ..] along dim, in the order of k.
void scatter_into(const Tensor& y, int dim, const Tensor& index, const Tensor& g);
/// y = its largest (or smallest) value and those of g that the index sends there. A NaN stays.
void scatter_extreme_into(const Tensor& y, int dim, const Tensor& index, const Tensor& g, bool largest);
/// y[.., index[.., k, ..], ..] op= g[.., k, ..] in the order of k, for add and mul.   -> of g's shape: what stood there
/// before each
Tensor scatter_before(const Tensor& y, int dim, const Tensor& index, const Tensor& g, Binary op);

/// The positions, in row-major order, where a bool tensor is true.
Tensor nonzero(const Tensor& mask);
/// (..) -> (.., classes), int64.
Tensor one_hot(const Tensor& index, int64_t classes);
/// x where column - row <= diagonal (lower) or >= diagonal (upper) in its last two dimensions, 0 elsewhere.
Tensor triangle(const Tensor& x, int64_t diagonal, bool lower);

}  // namespace cotangent::raw
