#pragma once
// Reductions without history. `dims` is a mask of dimensions (checked_dims); the result keeps them with size 1.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// In chunks that depend on the shape alone, so that the result is the same for any number of threads. Integers and
/// bools give int64.
Tensor sum(const char* op, const Tensor& x, uint32_t dims);

}  // namespace cotangent::raw
