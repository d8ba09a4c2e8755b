#pragma once
// The patches of images as columns, and their sum back into images, without history. Each is the other's adjoint.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// How patches of kernel[0] x kernel[1] elements cover an image, in the order height, width.
struct Folding {
  int64_t image[2] = {1, 1};      ///< its size
  int64_t positions[2] = {1, 1};  ///< of the patch
  int64_t kernel[2] = {1, 1}, stride[2] = {1, 1}, padding[2] = {0, 0}, dilation[2] = {1, 1};
};

/// (N, C, H, W) -> (N, C * kernel, positions): element (c, u, v) of each patch, 0 where it lies in the padding.
Tensor im2col(const char* op, const Tensor& x, const Folding& folding);
/// (N, C * kernel, positions) -> (N, C, H, W): the sum over the patches that hold an element.
Tensor col2im(const char* op, const Tensor& columns, const Folding& folding);

}  // namespace cotangent::raw
