#pragma once
// Views without history: the geometry and its errors. Every function shares the memory of x.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

Tensor expand(const char* op, const Tensor& x, const Shape& shape);
Tensor permute(const char* op, const Tensor& x, std::span<const int64_t> dims);
Tensor transpose(const char* op, const Tensor& x, int64_t dim0, int64_t dim1);
Tensor select(const char* op, const Tensor& x, int64_t dim, int64_t index);
/// Python's slice: negative bounds count from the end, bounds are clipped, step > 0.
Tensor slice(const char* op, const Tensor& x, int64_t dim, int64_t start, int64_t stop, int64_t step);
Tensor squeeze(const char* op, const Tensor& x, uint32_t dims);
Tensor unsqueeze(const char* op, const Tensor& x, int64_t dim);
/// x with another shape without a copy; undefined when the strides do not allow it. One size may be -1.
Tensor try_view(const char* op, const Tensor& x, const Shape& shape);
/// try_view, else of a contiguous copy.
Tensor reshape(const char* op, const Tensor& x, const Shape& shape);
Tensor diagonal(const char* op, const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2);
/// Windows of `size` every `step` along dim, as a new last dimension.
Tensor unfold(const char* op, const Tensor& x, int64_t dim, int64_t size, int64_t step);

/// Whether two indices of x may refer to the same memory. Exact for what the views above make of a dense tensor.
bool overlaps(const Tensor& x);
/// place += g, where several indices of `place` may share memory.
void add_overlapping(const Tensor& g, const Tensor& place);

}  // namespace cotangent::raw
