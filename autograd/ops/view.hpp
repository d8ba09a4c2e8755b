#pragma once
// Views: other geometries of the same memory. All are differentiable, and in-place writes through a view reach its
// base.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// x repeated along dimensions of size 1, and along new ones in front. -1 keeps a size.
///   x (.., 1, ..) -> (.., n, ..);   dx = dy summed over the repeated dimensions. A ShapeError if a size is neither 1
///   nor n.
Tensor expand(const Tensor& x, const Shape& shape);
/// The same under NumPy's name.
Tensor broadcast_to(const Tensor& x, const Shape& shape);

/// The dimensions in another order: dimension i of the result is dimension dims[i] of x.   dx = dy in the inverse order
Tensor permute(const Tensor& x, std::span<const int64_t> dims);
Tensor permute(const Tensor& x, std::initializer_list<int64_t> dims);
/// Two dimensions exchanged.
Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1);
/// The transpose of a matrix; x itself for rank 0 and 1.
Tensor t(const Tensor& x);

/// Without the dimensions of size 1 (all, or `dim` if its size is 1).
Tensor squeeze(const Tensor& x);
Tensor squeeze(const Tensor& x, int64_t dim);
/// With a new dimension of size 1 at `dim`.
Tensor unsqueeze(const Tensor& x, int64_t dim);

/// The same elements in row-major order under another shape; one size may be -1. A view where the strides allow it,
/// else a view of a copy.   dx = dy in x's shape. A ShapeError if the number of elements differs.
Tensor reshape(const Tensor& x, const Shape& shape);
/// reshape that is a view or a ShapeError, never a copy.
Tensor view(const Tensor& x, const Shape& shape);
/// Dimensions start_dim to end_dim (inclusive) as one.
Tensor flatten(const Tensor& x, int64_t start_dim = 0, int64_t end_dim = -1);
/// Dimension `dim` cut into `sizes`, one of which may be -1.
Tensor unflatten(const Tensor& x, int64_t dim, const Shape& sizes);

/// The elements at `index` of dimension `dim`, without that dimension. Negative indices count from the end.
///   dx = dy at that index, 0 elsewhere. An IndexError when out of range.
Tensor select(const Tensor& x, int64_t dim, int64_t index);
/// Python's start:stop:step along `dim`: negative bounds count from the end, bounds are clipped, step > 0.
Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t stop, int64_t step = 1);
/// `length` elements from `start` along `dim`; an IndexError when they are not all there.
Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length);
/// The diagonal of dimensions dim1 and dim2 as a new last dimension; offset > 0 lies above the main one.
Tensor diagonal(const Tensor& x, int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1);
/// Windows of `size` every `step` along `dim`, as a new last dimension: (.., n, ..) -> (.., (n - size)/step + 1, ..,
/// size).
///   dx = the sum over the windows that hold an element
Tensor unfold(const Tensor& x, int64_t dim, int64_t size, int64_t step);

/// The elements at x[offset + sum(i * strides)] of a dense tensor's memory. For the library: views are made by the
/// functions above.   dx = the sum over the places that refer to an element
Tensor as_strided(const Tensor& x, const Shape& shape, const Strides& strides, int64_t offset);

}  // namespace cotangent
