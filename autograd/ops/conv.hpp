#pragma once
// Convolutions, in the sense of deep learning: the kernel is not flipped. x may lack its first dimension N, and then
// the result lacks it too. Two-dimensional results and gradients lie as x does: of channels-last x
// (`x.contiguous(MemoryFormat::channels_last)`) they are channels-last, and so a whole network is. Errors: a ShapeError
// for ranks, channels or a bias that do not go together, or a kernel that reaches beyond the padded input; a ValueError
// for options out of range; a DTypeError unless all operands are of one floating dtype.
#include <cotangent/tensor/spatial.hpp>
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// Each is one number, or one for each spatial dimension.
struct ConvOptions {
  Spatial stride = 1;    ///< step of the kernel over the input
  Padding padding = 0;   ///< zeros around the input, on either side; Padding::same (with stride 1) gives L' = L by
                         ///< dilation (k - 1) zeros, half of them on the left, the odd one on the right
  Spatial dilation = 1;  ///< distance of the kernel's elements in the input
  int64_t groups = 1;    ///< parts of the channels that do not see each other; groups = C is a depthwise convolution
};

/// y[n, o, p] = bias[o] + sum over c and k of weight[o, c, k] * x[n, c, p * stride - padding + k * dilation], where c
/// runs over the C/groups channels of o's group.
///   x (N, C, L), weight (O, C/groups, k), bias (O) or undefined -> (N, O, L'),
///   L' = floor((L + 2 padding - dilation (k - 1) - 1) / stride) + 1
///   dx = conv_transpose(dy, weight), dweight = x correlated with dy, dbias = dy summed over n and p
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias = Tensor(), const ConvOptions& options = {});
/// The same over two dimensions: x (N, C, H, W), weight (O, C/groups, kh, kw).
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = Tensor(), const ConvOptions& options = {});
/// The same over three: x (N, C, D, H, W), weight (O, C/groups, kd, kh, kw).
Tensor conv3d(const Tensor& x, const Tensor& weight, const Tensor& bias = Tensor(), const ConvOptions& options = {});

struct ConvTransposeOptions {
  Spatial stride = 1;
  Spatial padding = 0;         ///< of the convolution that this transposes: it takes rows away here
  Spatial output_padding = 0;  ///< which of the input sizes of that convolution is meant; below stride or dilation
  int64_t groups = 1;
  Spatial dilation = 1;
};

/// The transpose of a convolution as a linear map, with a bias: each element of x adds a copy of the kernel to the
/// result.
///   x (N, C, L), weight (C, O/groups, k), bias (O) or undefined -> (N, O, L'),
///   L' = (L - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1
///   dx = conv(dy, weight), dweight = dy correlated with x, dbias = dy summed over n and p
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias = Tensor(),
                        const ConvTransposeOptions& options = {});
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias = Tensor(),
                        const ConvTransposeOptions& options = {});
Tensor conv_transpose3d(const Tensor& x, const Tensor& weight, const Tensor& bias = Tensor(),
                        const ConvTransposeOptions& options = {});

}  // namespace cotangent
