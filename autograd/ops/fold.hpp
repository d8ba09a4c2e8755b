#pragma once
// The patches of images as the columns of a matrix, and back: what PyTorch calls F.unfold and F.fold (nn/fold.hpp has
// the modules under these names). The function unfold of autograd/ops/view.hpp, as PyTorch's method of that name, gives
// windows along one dimension as a view instead.
#include <cotangent/tensor/spatial.hpp>
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// Each is one number, or one for the height and one for the width.
struct FoldOptions {
  Spatial dilation = 1;  ///< distance of a patch's elements in the image
  Spatial padding = 0;   ///< zeros around the image, on either side
  Spatial stride = 1;    ///< distance of the patches
};

/// The patches of x, each as a column: row c * kh * kw + u * kw + v of the result holds element (u, v) of the patches
/// of channel c, and its column oh * W' + ow the patch at (oh, ow). So a convolution is weight.reshape({O, -1}) times
/// the columns.
///   x (N, C, H, W) -> (N, C * kh * kw, H' * W'), or both without N; H' and W' as for a convolution;   dx = col2im(dy)
/// A ShapeError for a patch larger than the padded image; a ValueError for options out of range.
Tensor im2col(const Tensor& x, const Spatial& kernel_size, const FoldOptions& options = {});

/// The adjoint of im2col: each element of the image is the sum over the patches that hold it. So col2im(im2col(x)) is x
/// times the number of these patches, col2im(im2col(ones)).
///   columns (N, C * kh * kw, H' * W') -> (N, C, H, W), or both without N;   dcolumns = im2col(dy)
/// `output_size` is (H, W). A ShapeError for columns that no image of this size has.
Tensor col2im(const Tensor& columns, const Spatial& output_size, const Spatial& kernel_size,
              const FoldOptions& options = {});

}  // namespace cotangent
