#pragma once
// Reductions without history. `dims` is a mask of dimensions (checked_dims); the result keeps them with size 1. Work is
// cut in chunks that depend on the shape alone, so that results are the same, bit for bit, for any number of threads.
// Low-precision floats compute in float32.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// The sum; integers and bools are summed in int64.
Tensor sum(const char* op, const Tensor& x, uint32_t dims);
/// The sum divided by the number of elements; NaN for none.
Tensor mean(const char* op, const Tensor& x, uint32_t dims);
/// The sum of squares of a floating tensor.
Tensor sum_squares(const char* op, const Tensor& x, uint32_t dims);
/// The product; integers and bools are multiplied in int64.
Tensor prod(const char* op, const Tensor& x, uint32_t dims);
/// The largest or smallest element: NaN if there is one. A ShapeError if there is no element to choose.
Tensor amax(const char* op, const Tensor& x, uint32_t dims);
Tensor amin(const char* op, const Tensor& x, uint32_t dims);
/// bool: whether all or any elements are true.
Tensor all(const char* op, const Tensor& x, uint32_t dims);
Tensor any(const char* op, const Tensor& x, uint32_t dims);

struct ValuesAndIndices {
  Tensor values, indices;
};
/// The largest (smallest) element along `dim` and the int64 index at which it stands first. NaN counts as largest
/// (smallest).
ValuesAndIndices max_along(const char* op, const Tensor& x, int dim);
ValuesAndIndices min_along(const char* op, const Tensor& x, int dim);

struct Deviation {
  Tensor mean, squares;
  Tensor rest;  ///< what rounding took from the mean; undefined where that is nothing beside the deviations
};
/// The mean, and the sum of (x - mean)^2.
Deviation deviation(const char* op, const Tensor& x, uint32_t dims);

struct LogSumExp {
  Tensor result;
  Tensor shift, sum;  ///< the maximum, or 0 where it is infinite, and sum(exp(x - shift))
};
/// log(sum(exp(x))): -infinity where all elements are.
LogSumExp logsumexp(const char* op, const Tensor& x, uint32_t dims);

/// The number of elements that `dims` reduces to one.
int64_t reduced_count(const Shape& shape, uint32_t dims);

}  // namespace cotangent::raw
