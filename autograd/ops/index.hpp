#pragma once
// Reading and adding at places that a tensor of indices names. Indices are int64, int32 or uint8 and count from 0; one
// that is out of range is an IndexError which names it, the dimension and its size. dy is the gradient of the result,
// and all gradients are the same for any number of threads. `x.index({...})` and `index_put_` are in
// tensor/indexing.hpp.
#include <optional>

#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// The slices of x at `index` (of rank 1 or 0) along `dim`.
///   (.., n, ..), (m) -> (.., m, ..);   dx = dy added at the indices, 0 elsewhere
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index);
/// x with slice i of `src` added to the slice index[i] of `dim`.
///   (.., n, ..), (m), (.., m, ..) -> (.., n, ..);   dx = dy, dsrc = dy at the indices
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src);

/// An element for each element of the index: y[i][j] = x[i][index[i][j]] for dim = 1, and so on. The index has x's
/// rank, and is at most as large in the other dimensions; y has its shape.   dx = dy added at the indices, 0 elsewhere
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index);
/// gather with an index (and an x) that broadcasts in the other dimensions, as what argsort or argmax with keepdim
/// gives.
Tensor take_along_dim(const Tensor& x, const Tensor& index, int64_t dim);
/// The reverse: x with x[i][index[i][j]] += src[i][j] for dim = 1, and so on. The index is at most as large as src, and
/// in the other dimensions as x.   dx = dy, dsrc = dy gathered at the index
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src);

/// The rows of a table.   weight (V, D), indices (..) -> (.., D);   dweight = dy added at the indices, 0 elsewhere
/// The row `padding_idx` (from -V; none by default) is looked up as the others but gets no gradient.
Tensor embedding(const Tensor& weight, const Tensor& indices, std::optional<int64_t> padding_idx = {});

/// The places of all elements but 0, in row-major order: int64 of shape (count, rank), without a gradient. NaN counts.
Tensor nonzero(const Tensor& x);

/// 1 at the index, 0 elsewhere, as int64 and without a gradient: (..) -> (.., classes). The number of classes is the
/// largest index + 1 unless given.
Tensor one_hot(const Tensor& index, int64_t classes = -1);

/// x on and below (tril) or above (triu) the given diagonal of its last two dimensions, 0 elsewhere. A diagonal above 0
/// lies above the main one.   dx = dy in the same part
Tensor tril(const Tensor& x, int64_t diagonal = 0);
Tensor triu(const Tensor& x, int64_t diagonal = 0);

}  // namespace cotangent
