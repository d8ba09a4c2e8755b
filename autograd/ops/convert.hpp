#pragma once
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// x in another dtype; x itself when it has it.   dx = dy in x's dtype; no gradient through integer dtypes
Tensor to(const Tensor& x, Dtype dtype);
/// A copy with its own memory.   dx = dy
Tensor clone(const Tensor& x);
/// x laid out densely in row-major or channels-last order; x itself when it is.   dx = dy
/// With one channel, or one pixel, x lies in both orders: then the result shares its memory, and its strides say which
/// was asked for, so that a network of images in grey can be channels-last, too.
Tensor contiguous(const Tensor& x, MemoryFormat format = MemoryFormat::contiguous);
/// A second tensor for the same memory, with a place of its own in the graph.   dx = dy
Tensor identity(const Tensor& x);

}  // namespace cotangent
