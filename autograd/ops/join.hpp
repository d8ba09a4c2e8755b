#pragma once
// Joining tensors and cutting them up. dy is the gradient of the result.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// Tensors one after another along `dim`, in their common dtype: `cat({a, b}, 1)`.
///   (.., n1, ..), (.., n2, ..), ... -> (.., n1 + n2 + ..., ..);   each gets its part of dy
/// A ShapeError if they differ in another dimension. Channels-last tensors give a channels-last result.
Tensor cat(std::span<const Tensor> xs, int64_t dim = 0);
Tensor cat(std::initializer_list<Tensor> xs, int64_t dim = 0);
/// Tensors of one shape along a new dimension `dim`, in their common dtype.
///   N of (a, b) -> (N, a, b);   tensor i gets dy at index i of `dim`
Tensor stack(std::span<const Tensor> xs, int64_t dim = 0);
Tensor stack(std::initializer_list<Tensor> xs, int64_t dim = 0);

/// x cut along `dim` into views of `size`, the last of which may be shorter.   dx = the gradients joined
Tensors split(const Tensor& x, int64_t size, int64_t dim = 0);
/// Into views of these sizes. A ShapeError if they do not sum to the size of `dim`.
Tensors split(const Tensor& x, std::span<const int64_t> sizes, int64_t dim = 0);
Tensors split(const Tensor& x, std::initializer_list<int64_t> sizes, int64_t dim = 0);
/// x cut along `dim` into `count` views, as even as a split by ceil(size / count) gives them: there may be fewer.
Tensors chunk(const Tensor& x, int64_t count, int64_t dim = 0);
/// x[0], x[1], ... along `dim`, which goes: views.   dx = the gradients stacked
Tensors unbind(const Tensor& x, int64_t dim = 0);

/// x with the order along `dims` reversed: a copy.   dx = dy reversed
Tensor flip(const Tensor& x, std::span<const int64_t> dims);
Tensor flip(const Tensor& x, std::initializer_list<int64_t> dims);
Tensor flip(const Tensor& x, int64_t dim);

}  // namespace cotangent
