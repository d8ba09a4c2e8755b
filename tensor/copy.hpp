#pragma once
// Copies without history: into another dtype, layout or tensor.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// x as another dtype: always a new dense tensor. Floats to integers truncate; to bool is x != 0.
Tensor cast(const Tensor& x, Dtype dtype);
/// Copies x, broadcast and cast, into y.
void copy_into(const char* op, const Tensor& x, const Tensor& y);
/// A ValueError names `op` where y's dtype does not take the number.
void fill_into(const Tensor& y, const Scalar& value, const char* op = "fill_");
Tensor filled(const char* op, const Shape& shape, const Scalar& value, Dtype dtype);
/// A dense copy in row-major or channels-last order; x itself when it lies so already.
Tensor contiguous(const Tensor& x, MemoryFormat format = MemoryFormat::contiguous);
/// In which of both orders x lies, whole or as a part of what does. One channel or one pixel lies in both: then its
/// strides decide, as in_format sets them.
MemoryFormat memory_format(const Tensor& x);
/// contiguous(x, format), with the strides of the format also where x lies in both.
Tensor in_format(const Tensor& x, MemoryFormat format);
/// An uninitialised tensor; channels_last is for four dimensions.
Tensor empty_in_format(const Shape& shape, Dtype dtype, MemoryFormat format, const char* op = "tensor");
Tensor clone(const Tensor& x);
/// An uninitialised tensor with x's shape and its memory format; where x is dense, its order of dimensions in memory.
Tensor empty_like(const Tensor& x, Dtype dtype, const char* op = "tensor");
/// The same for a tensor of this shape and these strides.
Tensor empty_in_order(const Shape& shape, const Strides& strides, Dtype dtype, const char* op = "tensor");

/// x in the dtype that transcendental functions work on: itself when floating, else the default dtype.
Tensor to_floating(const Tensor& x);

}  // namespace cotangent::raw
