// The op table of autograd/ops/conv.hpp.
#include <cotangent/autograd/ops/conv.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/conv/conv.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

// Loops over every output, tap and channel, in three dimensions. x (N, C, D, H, W), w (O, C/groups, kd, kh, kw), all
// contiguous float64; `steps` holds stride, padding and dilation of each dimension.
struct Loops {
  int64_t stride[3], padding[3], dilation[3], groups = 1, output_padding[3] = {0, 0, 0};
};

Tensor dense(const Tensor& x) { return clone(contiguous(x.detach())); }
// With dimensions of size 1 before the spatial ones, up to three.
Tensor in_3d(const Tensor& x) {
  Shape shape = x.shape();
  while (shape.rank() < 5) shape.insert(2, 1);
  return reshape(dense(x), shape);
}

// Visits all (output, input, weight) triples of a convolution of x-like with w-like giving y-like.
template <class F>
void triples(const Tensor& x, const Tensor& w, const Tensor& y, const Loops& l, F f) {
  const Shape &xs = x.shape(), &ws = w.shape(), &ys = y.shape();
  const int64_t per_group = ws[0] / l.groups;
  int64_t iy = 0;
  for (int64_t n = 0; n < ys[0]; ++n)
    for (int64_t o = 0; o < ys[1]; ++o)
      for (int64_t p0 = 0; p0 < ys[2]; ++p0)
        for (int64_t p1 = 0; p1 < ys[3]; ++p1)
          for (int64_t p2 = 0; p2 < ys[4]; ++p2, ++iy)
            for (int64_t c = 0; c < ws[1]; ++c)
              for (int64_t k0 = 0; k0 < ws[2]; ++k0)
                for (int64_t k1 = 0; k1 < ws[3]; ++k1)
                  for (int64_t k2 = 0; k2 < ws[4]; ++k2) {
                    const int64_t z = p0 * l.stride[0] - l.padding[0] + k0 * l.dilation[0],
                                  h = p1 * l.stride[1] - l.padding[1] + k1 * l.dilation[1],
                                  v = p2 * l.stride[2] - l.padding[2] + k2 * l.dilation[2];
                    if (z < 0 || z >= xs[2] || h < 0 || h >= xs[3] || v < 0 || v >= xs[4]) continue;
                    const int64_t channel = o / per_group * ws[1] + c;
                    f(iy, (((n * xs[1] + channel) * xs[2] + z) * xs[3] + h) * xs[4] + v,
                      (((o * ws[1] + c) * ws[2] + k0) * ws[3] + k1) * ws[4] + k2);
                  }
}

Shape reduced(Shape shape, int dims) {
  while (shape.rank() > dims + 2) shape.erase(2);
  return shape;
}

Tensor with_bias(Tensor y, std::span<const Tensor> arguments) {
  if (arguments.size() < 3) return y;
  Shape shape = Dims::filled(y.rank(), 1);
  shape[1] = y.shape()[1];
  return y + reshape(dense(arguments[2]), shape);
}

Tensor loop_conv(Arguments arguments, int dims, const Loops& l) {
  const Tensor x = in_3d(arguments[0]), w = in_3d(arguments[1]);
  Shape shape{x.shape()[0], w.shape()[0]};
  for (int d = 0; d < 3; ++d)
    shape.push_back((x.shape()[2 + d] + 2 * l.padding[d] - l.dilation[d] * (w.shape()[2 + d] - 1) - 1) / l.stride[d] +
                    1);
  const Tensor y = detail::make_tensor(shape, float64);
  double* out = y.data<double>();
  for (int64_t i = 0; i < y.numel(); ++i) out[i] = 0;
  triples(x, w, y, l,
          [&](int64_t iy, int64_t ix, int64_t iw) { out[iy] += x.data<double>()[ix] * w.data<double>()[iw]; });
  return with_bias(reshape(y, reduced(shape, dims)), arguments);
}

Tensor loop_conv_transpose(Arguments arguments, int dims, const Loops& l) {
  const Tensor x = in_3d(arguments[0]), w = in_3d(arguments[1]);
  Shape shape{x.shape()[0], w.shape()[1] * l.groups};
  for (int d = 0; d < 3; ++d)
    shape.push_back((x.shape()[2 + d] - 1) * l.stride[d] - 2 * l.padding[d] + l.dilation[d] * (w.shape()[2 + d] - 1) +
                    l.output_padding[d] + 1);
  const Tensor y = detail::make_tensor(shape, float64);
  double* out = y.data<double>();
  for (int64_t i = 0; i < y.numel(); ++i) out[i] = 0;
  triples(y, w, x, l,
          [&](int64_t ix, int64_t iy, int64_t iw) { out[iy] += x.data<double>()[ix] * w.data<double>()[iw]; });
  return with_bias(reshape(y, reduced(shape, dims)), arguments);
}

Tensor last(const Tensor& x) { return contiguous(x, MemoryFormat::channels_last); }

}  // namespace

COTANGENT_OP_TABLE(conv) {
  const std::vector<const char*> recorded = {"conv", "conv_input_grad", "conv_weight_grad"};
  std::vector<OpInfo> ops = {
      {"conv1d",
       {{{normal({2, 2, 5}), normal({3, 2, 3}), normal({3})},
         [](Arguments x) -> Results { return conv1d(x[0], x[1], x[2]); },
         [](Arguments x) -> Results {
           return loop_conv(x, 1, {{1, 1, 1}, {0, 0, 0}, {1, 1, 1}});
         }},
        {{normal({1, 4, 6}), normal({4, 2, 2})},
         [](Arguments x) -> Results {
           return conv1d(x[0], x[1], Tensor(), {.stride = 2, .padding = 1, .dilation = 2, .groups = 2});
         },
         [](Arguments x) -> Results {
           return loop_conv(x, 1, {{1, 1, 2}, {0, 0, 1}, {1, 1, 2}, 2});
         }},
        {{values({1, 1, 3}, {1, 2, 3}), values({1, 1, 2}, {1, 10})},  // the odd zero stands on the right
         [](Arguments x) -> Results { return conv1d(x[0], x[1], Tensor(), {.padding = Padding::same}); },
         [](Arguments) -> Results {
           return tensor({{{21, 32, 3}}}, float64);
         }}},
       {{{normal({2, 3}), normal({3, 2, 3})},
         [](Arguments x) -> Results {
           return conv1d(x[0], x[1], Tensor(), {.padding = {1, 1}});
         },
         "[conv1d] padding (1, 1) has 2 numbers"},
        {{normal({1, 1, 3}), normal({1, 1, 2})},
         [](Arguments x) -> Results { return conv1d(x[0], x[1], Tensor(), {.stride = 2, .padding = Padding::same}); },
         "[conv1d] padding same goes with stride 1, got 2"}}},
      {"conv2d",
       {{{normal({2, 2, 3, 4}), normal({2, 2, 2, 3}), normal({2})},
         [](Arguments x) -> Results { return conv2d(x[0], x[1], x[2]); },
         [](Arguments x) -> Results {
           return loop_conv(x, 2, {{1, 1, 1}, {0, 0, 0}, {1, 1, 1}});
         }},
        {{normal({1, 2, 3, 4}), normal({5, 2, 3, 3}), normal({5})},
         [](Arguments x) -> Results { return conv2d(x[0], x[1], x[2], {.padding = 1}); },
         [](Arguments x) -> Results {
           return loop_conv(x, 2, {{1, 1, 1}, {0, 1, 1}, {1, 1, 1}});
         }},
        {{normal({1, 1, 4, 6}), normal({4, 1, 2, 3})},
         [](Arguments x) -> Results {
           return conv2d(x[0], x[1], Tensor(), {.stride = {2, 3}, .padding = {1, 2}, .dilation = {2, 1}});
         },
         [](Arguments x) -> Results {
           return loop_conv(x, 2, {{1, 2, 3}, {0, 1, 2}, {1, 2, 1}});
         }},
        {{normal({1, 2, 3, 3}), normal({4, 1, 2, 2}), normal({4})},  // depthwise
         [](Arguments x) -> Results { return conv2d(x[0], x[1], x[2], {.stride = 2, .padding = 1, .groups = 2}); },
         [](Arguments x) -> Results {
           return loop_conv(x, 2, {{1, 2, 2}, {0, 1, 1}, {1, 1, 1}, 2});
         }},
        {{normal({2, 3, 2, 2}), normal({4, 3, 1, 1}), normal({4})},  // a matrix product
         [](Arguments x) -> Results { return conv2d(x[0], x[1], x[2]); },
         [](Arguments x) -> Results {
           return loop_conv(x, 2, {{1, 1, 1}, {0, 0, 0}, {1, 1, 1}});
         }},
        {{normal({2, 3, 2, 2}), normal({4, 3, 1, 1}), normal({4})},
         [](Arguments x) -> Results { return conv2d(last(x[0]), x[1], x[2]); },
         [](Arguments x) -> Results {
           return loop_conv(x, 2, {{1, 1, 1}, {0, 0, 0}, {1, 1, 1}});
         }},
        {{normal({2, 1, 3, 4}), normal({2, 1, 2, 3}), normal({2})},  // gathered
         [](Arguments x) -> Results {
           return conv2d(last(x[0]), x[1], x[2], {.stride = {1, 2}, .padding = 1});
         },
         [](Arguments x) -> Results {
           return loop_conv(x, 2, {{1, 1, 2}, {0, 1, 1}, {1, 1, 1}});
         }},
        {{normal({2, 5, 3, 4}), normal({5, 1, 3, 3}), normal({5})},  // one channel a group
         [](Arguments x) -> Results { return conv2d(last(x[0]), x[1], x[2], {.padding = 1, .groups = 5}); },
         [](Arguments x) -> Results {
           return loop_conv(x, 2, {{1, 1, 1}, {0, 1, 1}, {1, 1, 1}, 5});
         }},
        {{normal({1, 4, 4, 5}), normal({4, 1, 2, 3}), normal({4})},
         [](Arguments x) -> Results {
           return conv2d(last(x[0]), x[1], x[2], {.stride = {2, 1}, .padding = {0, 2}, .dilation = 2, .groups = 4});
         },
         [](Arguments x) -> Results {
           return loop_conv(x, 2, {{1, 2, 1}, {0, 0, 2}, {1, 2, 2}, 4});
         }},
        {{normal({1, 4, 3, 3}), normal({2, 2, 2, 2}), normal({2})},  // in planes
         [](Arguments x) -> Results { return conv2d(last(x[0]), x[1], x[2], {.groups = 2}); },
         [](Arguments x) -> Results {
           return loop_conv(x, 2, {{1, 1, 1}, {0, 0, 0}, {1, 1, 1}, 2});
         }},
        {{normal({1, 2, 4, 4}), normal({2, 1, 3, 2}), normal({2})},
         [](Arguments x) -> Results {
           return conv2d(x[0], x[1], x[2], {.padding = Padding::same, .dilation = {1, 2}, .groups = 2});
         },
         [](Arguments x) -> Results {
           return loop_conv(x, 2, {{1, 1, 1}, {0, 1, 1}, {1, 1, 2}, 2});
         }},
        {{normal({1, 1, 1, 1}), normal({4, 1, 1, 1})},
         [](Arguments x) -> Results { return conv2d(x[0], x[1], Tensor(), {.stride = 2, .padding = 1}); },
         [](Arguments x) -> Results {
           return loop_conv(x, 2, {{1, 2, 2}, {0, 1, 1}, {1, 1, 1}});
         }},
        {{normal({0, 2, 3, 3}), normal({4, 2, 2, 2})},
         [](Arguments x) -> Results { return conv2d(x[0], x[1]); },
         [](Arguments x) -> Results {
           return loop_conv(x, 2, {{1, 1, 1}, {0, 0, 0}, {1, 1, 1}});
         }}},
       {{{normal({1, 3, 4, 4}), normal({2, 2, 3, 3})},
         [](Arguments x) -> Results { return conv2d(x[0], x[1]); },
         "[conv2d] input (1, 3, 4, 4) has 3 channels, but weight (2, 2, 3, 3) with groups 1 takes 2"},
        {{normal({1, 2, 4, 4}), normal({3, 1, 3, 3})},
         [](Arguments x) -> Results { return conv2d(x[0], x[1], Tensor(), {.groups = 2}); },
         "[conv2d] the first dimension of weight (3, 1, 3, 3) must be a multiple of groups 2"},
        {{normal({1, 1, 2, 4}), normal({1, 1, 3, 3})},
         [](Arguments x) -> Results { return conv2d(x[0], x[1]); },
         "[conv2d] the kernel of weight (1, 1, 3, 3) reaches over 3 elements, but input (1, 1, 2, 4) has 2 with its "
         "padding"},
        {{normal({4, 4}), normal({1, 1, 3, 3})},
         [](Arguments x) -> Results { return conv2d(x[0], x[1]); },
         "[conv2d] input (4, 4) and weight (1, 1, 3, 3) must both have 4 dimensions: (N, C, H, W) and (O, C/groups, "
         "kh, kw)"},
        {{normal({1, 1, 3, 3}), normal({1, 1, 3, 3})},
         [](Arguments x) -> Results { return conv2d(x[0], x[1], Tensor(), {.stride = 0}); },
         "[conv2d] stride (0, 0); it must be at least 1"},
        {{normal({1, 1, 3, 3}), normal({1, 1, 3, 3})},
         [](Arguments x) -> Results {
           return conv2d(x[0], x[1], Tensor(), {.padding = {0, -1}});
         },
         "[conv2d] padding (0, -1); it must be at least 0"},
        {{normal({1, 1, 3, 3}), normal({1, 1, 3, 3})},
         [](Arguments x) -> Results { return conv2d(x[0], x[1], Tensor(), {.groups = 0}); },
         "[conv2d] groups 0; it must be at least 1"},
        {{normal({1, 1, 3, 3}), normal({2, 1, 3, 3}), normal({3})},
         [](Arguments x) -> Results { return conv2d(x[0], x[1], x[2]); },
         "[conv2d] bias has shape (3,); with weight (2, 1, 3, 3) it must be (2,)"},
        {{integers({1, 1, 3, 3}, 0, 3), integers({1, 1, 3, 3}, 0, 3)},
         [](Arguments x) -> Results { return conv2d(x[0], x[1]); },
         "[conv2d] takes floating tensors, got int64"}}},
      {"conv3d",
       {{{normal({1, 1, 2, 3, 3}), normal({4, 1, 2, 2, 1}), normal({4})},
         [](Arguments x) -> Results {
           return conv3d(x[0], x[1], x[2], {.padding = {1, 0, 0}});
         },
         [](Arguments x) -> Results {
           return loop_conv(x, 3, {{1, 1, 1}, {1, 0, 0}, {1, 1, 1}});
         }},
        {{normal({1, 2, 2, 3, 2}), normal({2, 1, 1, 2, 2})},
         [](Arguments x) -> Results {
           return conv3d(x[0], x[1], Tensor(), {.stride = {2, 1, 2}, .padding = 1, .groups = 2});
         },
         [](Arguments x) -> Results {
           return loop_conv(x, 3, {{2, 1, 2}, {1, 1, 1}, {1, 1, 1}, 2});
         }}},
       {{{normal({1, 1, 3, 3}), normal({1, 1, 3, 3})},
         [](Arguments x) -> Results { return conv3d(x[0], x[1]); },
         "[conv3d] input (1, 1, 1, 3, 3) and weight (1, 1, 3, 3) must both have 5 dimensions"}}},
      {"conv_transpose1d",
       {{{normal({2, 2, 3}), normal({2, 3, 3}), normal({3})},
         [](Arguments x) -> Results {
           return conv_transpose1d(x[0], x[1], x[2], {.stride = 2, .padding = 1, .output_padding = 1});
         },
         [](Arguments x) -> Results {
           return loop_conv_transpose(x, 1, {{1, 1, 2}, {0, 0, 1}, {1, 1, 1}, 1, {0, 0, 1}});
         }},
        {{normal({2, 2, 3}), normal({2, 3, 2}), normal({3})},  // the last two results are the bias alone
         [](Arguments x) -> Results {
           return conv_transpose1d(x[0], x[1], x[2], {.output_padding = 2, .dilation = 3});
         },
         [](Arguments x) -> Results {
           return loop_conv_transpose(x, 1, {{1, 1, 1}, {0, 0, 0}, {1, 1, 3}, 1, {0, 0, 2}});
         }}}},
      {"conv_transpose2d",
       {{{normal({1, 2, 2, 3}), normal({2, 4, 2, 2}), normal({4})},
         [](Arguments x) -> Results { return conv_transpose2d(x[0], x[1], x[2]); },
         [](Arguments x) -> Results {
           return loop_conv_transpose(x, 2, {{1, 1, 1}, {0, 0, 0}, {1, 1, 1}});
         }},
        {{normal({2, 3, 2, 2}), normal({3, 4, 1, 1}), normal({4})},
         [](Arguments x) -> Results { return conv_transpose2d(last(x[0]), x[1], x[2]); },
         [](Arguments x) -> Results {
           return loop_conv_transpose(x, 2, {{1, 1, 1}, {0, 0, 0}, {1, 1, 1}});
         }},
        {{normal({1, 4, 3, 2}), normal({4, 1, 2, 3}), normal({4})},  // one channel a group
         [](Arguments x) -> Results { return conv_transpose2d(last(x[0]), x[1], x[2], {.stride = 2, .groups = 4}); },
         [](Arguments x) -> Results {
           return loop_conv_transpose(x, 2, {{1, 2, 2}, {0, 0, 0}, {1, 1, 1}, 4});
         }},
        {{normal({1, 4, 2, 3}), normal({4, 1, 2, 2}), normal({2})},
         [](Arguments x) -> Results {
           return conv_transpose2d(
               last(x[0]), x[1], x[2],
               {.stride = {2, 1}, .padding = {0, 1}, .output_padding = {3, 1}, .groups = 2, .dilation = {5, 2}});
         },
         [](Arguments x) -> Results {
           return loop_conv_transpose(x, 2, {{1, 2, 1}, {0, 0, 1}, {1, 5, 2}, 2, {0, 3, 1}});
         }},
        {{normal({1, 4, 2, 2}), normal({4, 1, 2, 1}), normal({2})},
         [](Arguments x) -> Results {
           return conv_transpose2d(x[0], x[1], x[2], {.stride = {3, 2}, .groups = 2, .dilation = 2});
         },
         [](Arguments x) -> Results {
           return loop_conv_transpose(x, 2, {{1, 3, 2}, {0, 0, 0}, {1, 2, 2}, 2});
         }}},
       {{{normal({1, 2, 2, 2}), normal({3, 1, 2, 2})},
         [](Arguments x) -> Results { return conv_transpose2d(x[0], x[1]); },
         "[conv_transpose2d] input (1, 2, 2, 2) has 2 channels, but weight (3, 1, 2, 2) with groups 1 takes 3"},
        {{normal({1, 1, 2, 2}), normal({1, 1, 2, 2})},
         [](Arguments x) -> Results { return conv_transpose2d(x[0], x[1], Tensor(), {.output_padding = 1}); },
         "[conv_transpose2d] output_padding 1 must be smaller than the stride or the dilation (1 and 1)"},
        {{normal({1, 1, 1, 1}), normal({1, 1, 2, 2})},
         [](Arguments x) -> Results { return conv_transpose2d(x[0], x[1], Tensor(), {.padding = 1}); },
         "[conv_transpose2d] input (1, 1, 1, 1) and weight (1, 1, 2, 2) would give an output of size 0"}}},
      {"conv_transpose3d",
       {{{normal({1, 1, 2, 1, 2}), normal({1, 2, 2, 2, 1}), normal({2})},
         [](Arguments x) -> Results {
           return conv_transpose3d(x[0], x[1], x[2], {.stride = {1, 2, 2}, .padding = {1, 0, 0}});
         },
         [](Arguments x) -> Results {
           return loop_conv_transpose(x, 3, {{1, 2, 2}, {1, 0, 0}, {1, 1, 1}});
         }},
        {{normal({1, 1, 1, 2, 2}), normal({1, 1, 2, 2, 2})},
         [](Arguments x) -> Results {
           return conv_transpose3d(x[0], x[1], Tensor(),
                                   {.stride = {1, 2, 1}, .output_padding = {1, 0, 2}, .dilation = {2, 1, 3}});
         },
         [](Arguments x) -> Results {
           return loop_conv_transpose(x, 3, {{1, 2, 1}, {0, 0, 0}, {2, 1, 3}, 1, {1, 0, 2}});
         }}}},
  };
  for (OpInfo& info : ops) {
    info.recorded_as = recorded;
    info.recorded_as.push_back(info.name);
  }
  return ops;
}

}  // namespace cotangent
