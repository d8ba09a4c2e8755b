#pragma once
// Pooling over one, two or three spatial dimensions: x (N, C, spatial...), or without N, and then the result lacks it
// too. Along a dimension of size L the result has floor((L + 2 padding - dilation (kernel - 1) - 1) / stride) + 1
// windows; under ceil_mode the quotient is rounded up, and a last window that would start in the padding is dropped.
// Errors: a ShapeError for a rank that does not fit or a window larger than the padded input; a ValueError for options
// out of range; a DTypeError unless x is floating.
#include <cotangent/tensor/spatial.hpp>
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

struct MaxPoolOptions {
  Spatial stride = {};  ///< the kernel size when left out
  Spatial padding = 0;  ///< of -infinity; half the kernel size at most
  Spatial dilation = 1;
  bool ceil_mode = false;
};
struct MaxPool {
  Tensor values;
  Tensor indices;  ///< int64, of the shape of values: which element of its flat plane (h * W + w) was the largest;
                   ///< -1 for a window that lies wholly in the padding, whose value is -infinity
};

/// The largest element of each window. NaN wins; of equal ones the first.   dx = dy at the largest element, else 0
Tensor max_pool1d(const Tensor& x, const Spatial& kernel_size, const MaxPoolOptions& options = {});
Tensor max_pool2d(const Tensor& x, const Spatial& kernel_size, const MaxPoolOptions& options = {});
Tensor max_pool3d(const Tensor& x, const Spatial& kernel_size, const MaxPoolOptions& options = {});
MaxPool max_pool1d_with_indices(const Tensor& x, const Spatial& kernel_size, const MaxPoolOptions& options = {});
MaxPool max_pool2d_with_indices(const Tensor& x, const Spatial& kernel_size, const MaxPoolOptions& options = {});
MaxPool max_pool3d_with_indices(const Tensor& x, const Spatial& kernel_size, const MaxPoolOptions& options = {});

struct MaxUnpoolOptions {
  Spatial stride = {};     ///< the kernel size when left out
  Spatial padding = 0;     ///< of the pooling
  Shape output_size = {};  ///< which of the input sizes of that pooling is meant, less than a stride away from
                           ///< (L - 1) stride - 2 padding + kernel, which it is when left out; may begin with N and C
};

/// The partial inverse of max_pool: each element goes to the place its index names, the others are 0.
///   x and indices (N, C, L) -> (N, C, L'), or both without N;   dx = dy at the indices
/// A place can hold one element only, so an index that occurs twice in a plane, as overlapping windows give it, is a
/// ValueError. An IndexError for one beyond the plane.
Tensor max_unpool1d(const Tensor& x, const Tensor& indices, const Spatial& kernel_size,
                    const MaxUnpoolOptions& options = {});
Tensor max_unpool2d(const Tensor& x, const Tensor& indices, const Spatial& kernel_size,
                    const MaxUnpoolOptions& options = {});
Tensor max_unpool3d(const Tensor& x, const Tensor& indices, const Spatial& kernel_size,
                    const MaxUnpoolOptions& options = {});

struct AvgPoolOptions {
  Spatial stride = {};  ///< the kernel size when left out
  Spatial padding = 0;  ///< of zeros; half the kernel size at most
  bool ceil_mode = false;
  bool count_include_pad = true;  ///< the mean counts the padding as cells
  int64_t divisor_override = 0;   ///< divide by this instead, unless 0
};

/// The mean of each window.   dx = dy / cells, added up over the windows that hold an element
Tensor avg_pool1d(const Tensor& x, const Spatial& kernel_size, const AvgPoolOptions& options = {});
Tensor avg_pool2d(const Tensor& x, const Spatial& kernel_size, const AvgPoolOptions& options = {});
Tensor avg_pool3d(const Tensor& x, const Spatial& kernel_size, const AvgPoolOptions& options = {});

/// The mean over `output_size` windows that cover the input: window i is [floor(i L / o), ceil((i + 1) L / o)). An
/// output size of 1 is global average pooling.
Tensor adaptive_avg_pool1d(const Tensor& x, const Spatial& output_size);
Tensor adaptive_avg_pool2d(const Tensor& x, const Spatial& output_size);
Tensor adaptive_avg_pool3d(const Tensor& x, const Spatial& output_size);

/// The largest element of each of these windows, and its index. NaN wins; of equal ones the first.
Tensor adaptive_max_pool1d(const Tensor& x, const Spatial& output_size);
Tensor adaptive_max_pool2d(const Tensor& x, const Spatial& output_size);
Tensor adaptive_max_pool3d(const Tensor& x, const Spatial& output_size);
MaxPool adaptive_max_pool1d_with_indices(const Tensor& x, const Spatial& output_size);
MaxPool adaptive_max_pool2d_with_indices(const Tensor& x, const Spatial& output_size);
MaxPool adaptive_max_pool3d_with_indices(const Tensor& x, const Spatial& output_size);

}  // namespace cotangent
