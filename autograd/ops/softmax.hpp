#pragma once
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// exp(x) / sum(exp(x)) along `dim`: non-negative and summing to one. Shifted by the maximum, so that it never
/// overflows; a slice that is all -infinity gives NaN. Integers are converted to default_dtype().
///   x (..., n, ...) -> the same shape;   dx = y (dy - sum(dy y))
Tensor softmax(const Tensor& x, int64_t dim);
/// softmax(-x): the largest share goes to the smallest element.
Tensor softmin(const Tensor& x, int64_t dim);
/// log(softmax(x)) = x - log(sum(exp(x))) along `dim`, without underflow.
///   x (..., n, ...) -> the same shape;   dx = dy - exp(y) sum(dy)
Tensor log_softmax(const Tensor& x, int64_t dim);

}  // namespace cotangent
