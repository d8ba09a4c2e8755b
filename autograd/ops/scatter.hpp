#pragma once
// Writing at places that a tensor of indices names, one for each element; the ways of gather in autograd/ops/index.hpp,
// which also has scatter_add. For dim = 1 element src[i][j] goes to [i][index[i][j]], and so on. The index has x's
// rank, and is at most as large as src, and as x in the dimensions other than `dim`. Indices count from 0. dy is the
// gradient of the result.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// x with x[i][index[i][j]] = src[i][j] for dim = 1. Where an index comes twice, the last one stays.
///   dx = dy, 0 at the indices;   dsrc = dy at the index, 0 for those that were written over
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src);
/// The same with one number.
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Scalar& value);

/// How values that go to one place become one.
enum class ScatterReduce : uint8_t { sum, prod, mean, amax, amin };

/// x with the reduction of x[i][k] and all src[i][j] whose index[i][j] is k at [i][k], for dim = 1; without
/// `include_self` of those alone, and of x[i][k] where there are none. A NaN among them gives NaN.
///   sum, mean: dx and dsrc are dy at the place, for mean over the count;   prod: dy times the product of the others;
///   amax, amin: dy, in equal parts where several values are the extreme one
/// Means of integers are rounded down. The second derivative of prod takes memory for as many values at each place as
/// the fullest has.
Tensor scatter_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src, ScatterReduce reduce,
                      bool include_self = true);

}  // namespace cotangent
