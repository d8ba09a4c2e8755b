#pragma once
// Padding and rolling, without history.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// A tensor of `shape` whose elements from before[d] >= 0 on, along each dimension d, are those of x; `value`
/// elsewhere.
Tensor pad(const Tensor& x, const Dims& before, const Shape& shape, const Scalar& value);
/// A copy in which element i of dimension d stands at (i + shifts[d]) mod n, for shifts from 0 to n - 1.
Tensor roll(const Tensor& x, const Dims& shifts);

}  // namespace cotangent::raw
