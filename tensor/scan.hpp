#pragma once
// Running sums along a dimension, without history.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// y[i] = x[0] + ... + x[i] along dim, or x[i] + ... + x[n-1] in reverse. Integers and bools give int64; float32 is
/// summed in float64, low-precision floats in float32.
Tensor cumsum(const Tensor& x, int dim, bool reverse = false);

}  // namespace cotangent::raw
