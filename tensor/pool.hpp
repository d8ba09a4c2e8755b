#pragma once
// Pooling without history, over one to three spatial dimensions.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// The windows along one dimension. The regular kind starts every `stride` from -padding, with `kernel` elements
/// `dilation` apart; the adaptive kind cuts the input into `out` parts of nearly equal length, which may overlap by one
/// element.
struct PoolWindow {
  int64_t in = 1, out = 1, kernel = 1, stride = 1, padding = 0, dilation = 1;
  bool adaptive = false;

  int64_t first(int64_t o) const {  // the first element inside the input
    if (adaptive) return o * in / out;
    const int64_t start = o * stride - padding;
    return start >= 0 ? start : start + (-start + dilation - 1) / dilation * dilation;
  }
  int64_t last(int64_t o) const {  // one past the last
    if (adaptive) return ((o + 1) * in + out - 1) / out;
    const int64_t end = o * stride - padding + (kernel - 1) * dilation + 1;
    return end < in ? end : in;
  }
  /// A dilation beyond the input can step over it, so that a window lies wholly in the padding.
  bool can_be_empty() const { return !adaptive && dilation > in; }
  /// Elements that the mean is taken over; the padding counts or does not.
  int64_t cells(int64_t o, bool count_padding) const {
    if (adaptive || !count_padding) return last(o) - first(o);
    const int64_t start = o * stride - padding, end = start + kernel;
    return (end < in + padding ? end : in + padding) - start;
  }
};

/// x (N, C, spatial...): the windows of its spatial dimensions, with those that are missing in front.
struct Pooling {
  PoolWindow window[3];
  bool count_padding = true;
  double divisor = 0;                              ///< 0: the number of cells
  MemoryFormat format = MemoryFormat::contiguous;  ///< of x, the result and their gradients
};

/// The largest element of each window and its index in the flat plane, in int32 or int64. NaN wins; of equal ones the
/// first. Indices are in row-major order, whatever the format. A window without elements gives -infinity and -1.
struct MaxPoolResult {
  Tensor values, indices;
};
MaxPoolResult max_pool(const char* op, const Tensor& x, const Shape& result, const Pooling& pooling);
/// g goes back to the indices, from -1 nowhere: a tensor of x's shape.
Tensor max_pool_backward(const char* op, const Tensor& g, const Tensor& indices, const Shape& x_shape,
                         const Pooling& pooling);
/// That no index of a plane of `size` elements, the last dimensions of (N, C, ...), occurs twice or lies beyond it.
void check_distinct(const char* op, const Tensor& indices, int64_t size);
/// The mean of each window, and its adjoint.
Tensor avg_pool(const char* op, const Tensor& x, const Shape& result, const Pooling& pooling);
Tensor avg_pool_backward(const char* op, const Tensor& g, const Shape& x_shape, const Pooling& pooling);

}  // namespace cotangent::raw
