#pragma once
// Convolutions without history, in one to three spatial dimensions: a product, and its two adjoints. Each of the three
// is linear in both operands, and the other two are its derivatives, so they are closed under differentiation.
#include <cotangent/tensor/spatial.hpp>
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// How the kernel moves over the source. Fewer than three spatial dimensions are the last ones.
struct ConvGeometry {
  int dims = 2;
  int64_t stride[3] = {1, 1, 1};
  int64_t padding[3] = {0, 0, 0};
  int64_t extra[3] = {0, 0, 0};  ///< padding at the end beyond that at the beginning; below 0, elements left out
  int64_t dilation[3] = {1, 1, 1};
  int64_t groups = 1;
  MemoryFormat format = MemoryFormat::contiguous;  ///< of the input, the result and their gradients
};

/// Checks the options; errors name `op`.
ConvGeometry conv_geometry(const char* op, int dims, const Spatial& stride, const Spatial& padding,
                           const Spatial& dilation, int64_t groups);
/// Sets the padding by which a kernel of w's size keeps the size of its input; needs a stride of 1.
void pad_to_same(const char* op, const Shape& w, ConvGeometry& geometry);

/// The shape of conv(x, w), after checking that both and the bias (if defined) go together.
Shape conv_shape(const char* op, const Tensor& x, const Tensor& w, const Tensor& bias, const ConvGeometry& geometry);
/// The shape of a transposed convolution of x (N, C, ...) with w (C, O/groups, ...). Where the output_padding has room
/// for a further step, geometry.extra leaves it out, so that the convolution of the result has x's shape.
Shape conv_transpose_shape(const char* op, const Tensor& x, const Tensor& w, const Tensor& bias, ConvGeometry& geometry,
                           const Dims& output_padding);

/// y[n, o, p] = bias[o] + sum over c and k of w[o, c, k] * x[n, c, p * stride - padding + k * dilation], where x is 0
/// outside. x (N, C, ...), w (O, C/groups, ...), bias (O) or undefined. The operands fit: conv_shape has checked them.
/// With 3 x 3 taps and many channels (Winograd's algorithm), an infinity in x makes its neighbours NaN. The result lies
/// in the geometry's format, as that of the next does; x and w may lie in any order.
Tensor conv(const char* op, const Tensor& x, const Tensor& w, const Tensor& bias, const ConvGeometry& geometry);
/// The adjoint of x -> conv(x, w): from g, shaped like y, to x's shape. `bias` is added to each channel, if defined.
Tensor conv_input_grad(const char* op, const Tensor& g, const Tensor& w, const Tensor& bias, const Shape& x_shape,
                       const ConvGeometry& geometry);
/// The adjoint of w -> conv(x, w): from g, shaped like y, to w's shape. Summed over the images in chunks that depend on
/// the shapes alone.
Tensor conv_weight_grad(const char* op, const Tensor& g, const Tensor& x, const Shape& w_shape,
                        const ConvGeometry& geometry);

struct ConvGradients {
  Tensor x, w;
};
/// Both adjoints at once, which may take less than one after the other. The memory of x, if nobody else holds it, is
/// used for its gradient.
ConvGradients conv_grads(const char* op, const Tensor& g, Tensor x, const Tensor& w, const ConvGeometry& geometry);

}  // namespace cotangent::raw
