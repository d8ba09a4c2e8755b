#pragma once
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// y[i] = x[0] + ... + x[i] along `dim`. Integers and bools are summed in int64, float32 in float64.
///   dx[i] = dy[i] + ... + dy[n-1]
Tensor cumsum(const Tensor& x, int64_t dim);

}  // namespace cotangent
