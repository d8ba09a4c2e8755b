#pragma once
// Running sums, products and extremes along a dimension, without history.
#include <cotangent/tensor/reduce.hpp>

namespace cotangent::raw {

/// y[i] = x[0] + ... + x[i] along dim, or x[i] + ... + x[n-1] in reverse. Integers and bools give int64; float32 is
/// summed in float64, low-precision floats in float32.
Tensor cumsum(const Tensor& x, int dim, bool reverse = false);
/// The same of products, from the first element on.
Tensor cumprod(const Tensor& x, int dim);
/// The largest (smallest) of x[0], ..., x[i], and the int64 index at which it stands last. NaN counts as largest
/// (smallest).
ValuesAndIndices cummax(const Tensor& x, int dim);
ValuesAndIndices cummin(const Tensor& x, int dim);

}  // namespace cotangent::raw
