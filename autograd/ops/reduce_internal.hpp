// Private: the last step of every reduction.
#pragma once
#include <cotangent/autograd/ops/reduce.hpp>

namespace cotangent::detail {

/// y, whose reduced dimensions have size 1, with or without them.
Tensor finish_reduction(const Tensor& y, uint32_t dims, bool keepdim);
/// The dimensions of a mask.
Dims listed(uint32_t dims, int rank);

}  // namespace cotangent::detail
