// Private: convolutions of tensors that lie channels-last, so that pixels are rows of channels. The contracts are those
// of tensor/conv/conv.hpp.
#pragma once
#include <cotangent/tensor/conv/conv.hpp>

namespace cotangent::raw {

Tensor conv_rows(const char* op, const Tensor& x, const Tensor& w, const Tensor& bias, const ConvGeometry& geometry);
Tensor conv_rows_input_grad(const char* op, const Tensor& g, const Tensor& w, const Tensor& bias, const Shape& x_shape,
                            const ConvGeometry& geometry);
Tensor conv_rows_weight_grad(const char* op, const Tensor& g, const Tensor& x, const Shape& w_shape,
                             const ConvGeometry& geometry);
ConvGradients conv_rows_grads(const char* op, const Tensor& g, Tensor x, const Tensor& w, const ConvGeometry& geometry);

/// The same with one channel a group, kNarrowConv of them at least, for operands that are not empty.
Tensor conv_rows_depthwise(const Tensor& x, const Tensor& w, const Tensor& bias, const Shape& shape,
                           const ConvGeometry& geometry);
Tensor conv_rows_depthwise_input_grad(const Tensor& g, const Tensor& w, const Tensor& bias, const Shape& x_shape,
                                      const ConvGeometry& geometry);
Tensor conv_rows_depthwise_weight_grad(const Tensor& g, const Tensor& x, const Shape& w_shape,
                                       const ConvGeometry& geometry);
ConvGradients conv_rows_depthwise_grads(const Tensor& g, Tensor x, const Tensor& w, const ConvGeometry& geometry);

}  // namespace cotangent::raw
