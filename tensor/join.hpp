#pragma once
// Joining tensors, and reversing them, without history.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// Tensors of one dtype one after another along `dim`. Channels-last when all of them are.
Tensor cat(const char* op, std::span<const Tensor> xs, int64_t dim);
/// Tensors of one shape and dtype along a new dimension.
Tensor stack(const char* op, std::span<const Tensor> xs, int64_t dim);
/// A copy of x with the order along `dims` (a mask, see checked_dims) reversed.
Tensor flip(const Tensor& x, uint32_t dims);

}  // namespace cotangent::raw
