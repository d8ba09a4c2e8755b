#pragma once
// Reductions along dimensions. `dims` empty means all; the reduced dimensions go, or stay with size 1 under `keepdim`.
// The variance, norm and logsumexp are in statistics.hpp. n is the number of elements that become one, y the
// result and dy its gradient. Results are the same, bit for bit, for any number of threads.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// The sum; integers and bools are summed in int64.   dx = dy, repeated
Tensor sum(const Tensor& x, const DimList& dims = {}, bool keepdim = false);
/// The mean of a floating tensor; NaN of none.   dx = dy / n, repeated
Tensor mean(const Tensor& x, const DimList& dims = {}, bool keepdim = false);
/// x summed over the dimensions along which `shape` would be repeated to give x's: the adjoint of expand.   dx = dy,
/// repeated
Tensor sum_to(const Tensor& x, const Shape& shape);
/// The product; integers and bools are multiplied in int64.   dx_i = dy times the product of the other elements, which
/// is right where some are 0, too
Tensor prod(const Tensor& x, const DimList& dims = {}, bool keepdim = false);

/// The largest and the smallest element: NaN if there is one. A ShapeError if there is none to choose.
///   dx = dy at the element; where several are as large, each gets an equal share
Tensor amax(const Tensor& x, const DimList& dims = {}, bool keepdim = false);
Tensor amin(const Tensor& x, const DimList& dims = {}, bool keepdim = false);

/// The chosen elements and where they stand (int64): the first place if there are several. NaN is chosen if there is
/// one.
struct Extreme {
  Tensor values, indices;
};
/// The largest and the smallest element along `dim`, with its index.   dx = dvalues at the index, 0 elsewhere
Extreme max(const Tensor& x, int64_t dim, bool keepdim = false);
Extreme min(const Tensor& x, int64_t dim, bool keepdim = false);
/// amax and amin of all elements.
Tensor max(const Tensor& x);
Tensor min(const Tensor& x);
/// Only the indices; of x in row-major order when `dim` is left out. No gradient.
Tensor argmax(const Tensor& x, int64_t dim, bool keepdim = false);
Tensor argmin(const Tensor& x, int64_t dim, bool keepdim = false);
Tensor argmax(const Tensor& x);
Tensor argmin(const Tensor& x);

/// Whether all or any elements are true (not 0), as bool: of none, all() is true and any() is not. No gradient.
Tensor all(const Tensor& x, const DimList& dims = {}, bool keepdim = false);
Tensor any(const Tensor& x, const DimList& dims = {}, bool keepdim = false);

}  // namespace cotangent
