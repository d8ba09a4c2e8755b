#include <cotangent/autograd/ops/conv.hpp>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/conv/conv.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>

namespace cotangent {
namespace {

using raw::ConvGeometry;

// Three primitives, each linear in both operands; the derivatives of each are the other two.
Tensor record_conv(const char* op, const Tensor& x, const Tensor& w, const Tensor& bias, const ConvGeometry& geometry);
Tensor record_input_grad(const char* op, const Tensor& g, const Tensor& w, const Tensor& bias, const Shape& x_shape,
                         const ConvGeometry& geometry);
Tensor record_weight_grad(const Tensor& g, const Tensor& x, const Shape& w_shape, const ConvGeometry& geometry);

Tensor bias_grad(const Tensor& g) {
  Dims others{0};
  for (int d = 2; d < g.rank(); ++d) others.push_back(d);
  return sum(g, others);
}

Tensor record_conv(const char* op, const Tensor& x, const Tensor& w, const Tensor& bias, const ConvGeometry& geometry) {
  return record(
      op, {x, w, bias}, raw::conv(op, x, w, bias, geometry), Keep::inputs(2), geometry,
      [](const Backward& b, const ConvGeometry& c) -> Gradients {
        const Tensor& g = b.grad();
        if (b.needs(0) && b.needs(1) && !b.creates_graph()) {
          const raw::ConvGradients both = raw::conv_grads("conv", g, b.take_input(0), b.input(1), c);
          return {both.x, both.w, b.needs(2) ? bias_grad(g) : Tensor()};
        }
        const Tensor dw = b.needs(1) ? record_weight_grad(g, b.take_input(0), b.shape(1), c) : Tensor();
        return {b.needs(0) ? record_input_grad("conv_input_grad", g, b.input(1), Tensor(), b.shape(0), c) : Tensor(),
                dw, b.needs(2) ? bias_grad(g) : Tensor()};
      });
}

Tensor record_input_grad(const char* op, const Tensor& g, const Tensor& w, const Tensor& bias, const Shape& x_shape,
                         const ConvGeometry& geometry) {
  return record(op, {g, w, bias}, raw::conv_input_grad(op, g, w, bias, x_shape, geometry), Keep::inputs(2), geometry,
                [](const Backward& b, const ConvGeometry& c) -> Gradients {
                  const Tensor& v = b.grad();
                  const Tensor dw = b.needs(1) ? record_weight_grad(b.take_input(0), v, b.shape(1), c) : Tensor();
                  return {b.needs(0) ? record_conv("conv", v, b.input(1), Tensor(), c) : Tensor(), dw,
                          b.needs(2) ? bias_grad(v) : Tensor()};
                });
}

Tensor record_weight_grad(const Tensor& g, const Tensor& x, const Shape& w_shape, const ConvGeometry& geometry) {
  return record(
      "conv_weight_grad", {g, x}, raw::conv_weight_grad("conv_weight_grad", g, x, w_shape, geometry), Keep::inputs(2),
      geometry, [](const Backward& b, const ConvGeometry& c) -> Gradients {
        const Tensor& v = b.grad();
        return {b.needs(0) ? record_conv("conv", b.input(1), v, Tensor(), c) : Tensor(),
                b.needs(1) ? record_input_grad("conv_input_grad", b.input(0), v, Tensor(), b.shape(1), c) : Tensor()};
      });
}

Tensor forward(const char* op, int dims, const Tensor& x, const Tensor& weight, const Tensor& bias,
               const ConvOptions& options) {
  ConvGeometry geometry =
      raw::conv_geometry(op, dims, options.stride, options.padding, options.dilation, options.groups);
  if (options.padding.is_same()) raw::pad_to_same(op, weight.shape(), geometry);
  const Tensor batch = x.rank() == dims + 1 ? unsqueeze(x, 0) : x;
  geometry.format = raw::memory_format(batch);
  const Tensor y = record_conv(op, batch, weight, bias, geometry);
  return x.rank() == dims + 1 ? squeeze(y, 0) : y;
}

Tensor transposed(const char* op, int dims, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const ConvTransposeOptions& options) {
  ConvGeometry geometry =
      raw::conv_geometry(op, dims, options.stride, options.padding, options.dilation, options.groups);
  const Tensor batch = x.rank() == dims + 1 ? unsqueeze(x, 0) : x;
  geometry.format = raw::memory_format(batch);
  const Shape shape = raw::conv_transpose_shape(op, batch, weight, bias, geometry,
                                                options.output_padding.over(op, "output_padding", dims, 0));
  const Tensor y = record_input_grad(op, batch, weight, bias, shape, geometry);
  return x.rank() == dims + 1 ? squeeze(y, 0) : y;
}

}  // namespace

// The functions for one number of dimensions.
#define COTANGENT_CONVOLUTIONS(n)                                                                            \
  Tensor conv##n##d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options) { \
    COTANGENT_AUTOCAST(conv##n##d, x, weight, bias, options);                                                \
    return forward("conv" #n "d", n, x, weight, bias, options);                                              \
  }                                                                                                          \
  Tensor conv_transpose##n##d(const Tensor& x, const Tensor& weight, const Tensor& bias,                     \
                              const ConvTransposeOptions& options) {                                         \
    COTANGENT_AUTOCAST(conv_transpose##n##d, x, weight, bias, options);                                      \
    return transposed("conv_transpose" #n "d", n, x, weight, bias, options);                                 \
  }
COTANGENT_CONVOLUTIONS(1)
COTANGENT_CONVOLUTIONS(2)
COTANGENT_CONVOLUTIONS(3)

}  // namespace cotangent
