// Convolution, pooling and resizing.
#include "corpus.hpp"

namespace cotangent::corpus {
namespace {

// g with its last row and column zero.
Tensor without_border(const Tensor& g) {
  const Shape& s = g.shape();
  const Tensor inner = narrow(narrow(g, 2, 0, s[2] - 1), 3, 0, s[3] - 1);
  const Tensor rows = cat({inner, zeros({s[0], s[1], 1, s[3] - 1}, float64)}, 2);
  return cat({rows, zeros({s[0], s[1], s[2], 1}, float64)}, 3);
}
// 1 in the even rows, 0 in the odd ones.
Tensor even_rows(const Shape& s) {
  Tensor m = zeros({s[2], 1}, float64);
  for (int64_t i = 0; i < s[2]; i += 2) m[i].fill_(1);
  return m;
}

}  // namespace

Faults image_faults() {
  return {
      {"avg_pool2d: not divided by the window",
       "factor",
       "my_avg_pool",
       {normal({2, 2, 4, 4})},
       [](Arguments x) { return avg_pool2d(x[0], 2); },
       [](const Rule& b) -> Gradients { return {b.exact(0) * 4}; },
       nullptr,
       Network::cnn},
      {"upsampling: divided by r^2",
       "factor",
       "my_upsample",
       {normal({1, 2, 3, 3})},
       [](Arguments x) { return interpolate(x[0], {.scale_factor = {2.0}}); },
       [](const Rule& b) -> Gradients { return {avg_pool2d(b.grad(), 2)}; },
       nullptr,
       Network::cnn},
      {"conv2d: the bias divided by the batch",
       "factor",
       "my_conv2d",
       {normal({2, 2, 4, 4}), normal({3, 2, 3, 3}), normal({3})},
       [](Arguments x) { return conv2d(x[0], x[1], x[2]); },
       [](const Rule& b) -> Gradients {
         return {b.exact(0), b.exact(1), mean(sum(b.grad(), {2, 3}), 0)};
       },
       nullptr,
       Network::cnn},
      {"global average pooling: the count forgotten",
       "factor",
       "my_global_pool",
       {normal({2, 3, 3, 3})},
       [](Arguments x) { return adaptive_avg_pool2d(x[0], 1); },
       [](const Rule& b) -> Gradients {
         return {expand(b.grad(), {2, 3, 3, 3}) * 1};
       },
       nullptr,
       Network::cnn},

      {"conv2d: the bias of the first image only",
       "broadcast",
       "my_conv2d",
       {normal({2, 2, 4, 4}), normal({3, 2, 3, 3}), normal({3})},
       [](Arguments x) { return conv2d(x[0], x[1], x[2]); },
       [](const Rule& b) -> Gradients {
         return {b.exact(0), b.exact(1), sum(b.grad()[0], {1, 2})};
       },
       nullptr,
       Network::cnn},
      {"channel scale: summed over the batch alone, then averaged",
       "broadcast",
       "my_channel_scale",
       {normal({2, 3, 3, 3}), normal({3, 1, 1})},
       [](Arguments x) { return x[0] * x[1]; },
       [](const Rule& b) -> Gradients {
         return {b.grad() * b.input(1), mean(sum(b.grad() * b.input(0), 0), {1, 2}, true)};
       },
       nullptr,
       Network::cnn},

      {"conv2d: the kernel's gradient flipped",
       "layout",
       "my_conv2d",
       {normal({1, 2, 4, 4}), normal({2, 2, 3, 3})},
       [](Arguments x) { return conv2d(x[0], x[1], {}, {.padding = 1}); },
       [](const Rule& b) -> Gradients {
         return {b.exact(0), flip(b.exact(1), {2, 3})};
       },
       nullptr,
       Network::cnn},
      {"conv2d: the kernel's channels exchanged",
       "layout",
       "my_conv2d",
       {normal({1, 3, 4, 4}), normal({3, 3, 2, 2})},
       [](Arguments x) { return conv2d(x[0], x[1]); },
       [](const Rule& b) -> Gradients {
         return {b.exact(0), transpose(b.exact(1), 0, 1)};
       },
       nullptr,
       Network::cnn},
      {"conv2d with a kernel of one size: height and width exchanged",
       "layout",
       "my_conv2d",
       {normal({1, 2, 4, 4}), normal({2, 2, 2, 2})},
       [](Arguments x) { return conv2d(x[0], x[1]); },
       [](const Rule& b) -> Gradients {
         return {transpose(b.exact(0), 2, 3), b.exact(1)};
       },
       nullptr,
       Network::mlp},
      {"padding: the gradient cut out one place off",
       "layout",
       "my_pad",
       {normal({1, 2, 4})},
       [](Arguments x) {
         const Tensor margin = zeros({1, 2, 1}, float64);
         return cat({margin, x[0], margin}, 2);
       },
       [](const Rule& b) -> Gradients { return {narrow(b.grad(), 2, 0, 4) * 1}; },
       nullptr,
       Network::mlp},
      {"channel shuffle: groups exchanged the same way again",
       "layout",
       "my_channel_shuffle",
       {normal({1, 6, 2, 2})},
       [](Arguments x) {
         return reshape(transpose(reshape(x[0], {1, 2, 3, 4}), 1, 2), {1, 6, 2, 2});
       },
       [](const Rule& b) -> Gradients {
         return {reshape(transpose(reshape(b.grad(), {1, 2, 3, 4}), 1, 2), {1, 6, 2, 2})};
       },
       nullptr,
       Network::cnn},

      {"overlapping max_pool: the last window wins",
       "accumulation",
       "my_max_pool",
       {distinct({1, 1, 1, 7})},
       [](Arguments x) {
         return max_pool2d(x[0], Spatial{1, 3}, {.stride = 1});
       },
       [](const Rule& b) -> Gradients {
         // each place keeps what the last window with its maximum there has written
         const Tensor g = zeros(b.input(0).shape(), float64);
         for (int64_t w = 0; w < 5; ++w)
           for (int64_t k = w; k < w + 3; ++k)
             if (b.input(0).data<double>()[k] == b.output().data<double>()[w])
               g.data<double>()[k] = contiguous(b.grad()).data<double>()[w];
         return {g};
       },
       nullptr,
       Network::mlp},
      {"overlapping avg_pool1d: = for +=",
       "accumulation",
       "my_avg_pool",
       {normal({1, 1, 6})},
       [](Arguments x) { return avg_pool1d(x[0], 3, {.stride = 1}); },
       [](const Rule& b) -> Gradients {
         const Tensor last = narrow(b.grad(), 2, 3, 1);
         return {cat({b.grad(), last, last}, 2) * (1.0 / 3)};
       },
       nullptr,
       Network::mlp},
      {"upsampling: one of the copies",
       "accumulation",
       "my_upsample",
       {normal({1, 2, 3, 3})},
       [](Arguments x) { return interpolate(x[0], {.scale_factor = {2.0}}); },
       [](const Rule& b) -> Gradients { return {slice(slice(b.grad(), 2, 0, 6, 2), 3, 0, 6, 2) * 1}; },
       nullptr,
       Network::cnn},
      {"conv1d: one tap of the kernel",
       "accumulation",
       "my_conv1d",
       {normal({1, 2, 5}), normal({2, 2, 3})},
       [](Arguments x) { return conv1d(x[0], x[1]); },
       [](const Rule& b) -> Gradients {
         const Tensor tap = conv_transpose1d(b.grad(), narrow(b.input(1), 2, 0, 1) * 1);
         return {cat({tap, zeros({1, 2, 2}, float64)}, 2), b.exact(1)};
       },
       nullptr,
       Network::mlp},
      {"col2im: overlapping patches, the gradient divided among them",
       "accumulation",
       "my_col2im",
       {normal({1, 4, 9})},
       [](Arguments x) {
         return col2im(x[0], {4, 4}, 2);
       },
       [](const Rule& b) -> Gradients {
         const Tensor count = col2im(ones({1, 4, 9}, float64), {4, 4}, 2);
         return {im2col(b.grad() / count, 2)};
       },
       nullptr,
       Network::mlp},

      {"conv2d: nothing at the lower and right border",
       "only where",
       "my_conv2d",
       {normal({1, 2, 4, 4}), normal({2, 2, 3, 3})},
       [](Arguments x) { return conv2d(x[0], x[1], {}, {.padding = 1}); },
       [](const Rule& b) -> Gradients {
         return {without_border(b.exact(0)), b.exact(1)};
       },
       nullptr,
       Network::cnn},
      {"avg_pool2d without counting the padding: border windows divided by 4",
       "only where",
       "my_avg_pool",
       {normal({1, 2, 4, 4})},
       [](Arguments x) { return avg_pool2d(x[0], 2, {.stride = 2, .padding = 1, .count_include_pad = false}); },
       [](const Rule& b) -> Gradients {
         const Tensor columns = expand(reshape(b.grad(), {2, 1, 9}), {2, 4, 9}) * 0.25;
         return {reshape(col2im(columns, {4, 4}, 2, {.padding = 1, .stride = 2}), {1, 2, 4, 4})};
       },
       nullptr,
       Network::cnn},
      {"strided conv1d: one phase of the stride gets nothing",
       "only where",
       "my_conv1d",
       {normal({1, 2, 7}), normal({2, 2, 3})},
       [](Arguments x) { return conv1d(x[0], x[1], {}, {.stride = 2}); },
       [](const Rule& b) -> Gradients {
         const Tensor odd = to(remainder(arange(7), 2) == 1, float64);
         return {b.exact(0) * odd, b.exact(1)};
       },
       nullptr,
       Network::mlp},
      {"conv_transpose2d: odd rows get nothing",
       "only where",
       "my_conv_transpose",
       {normal({1, 2, 4, 3}), normal({2, 2, 2, 2})},
       [](Arguments x) { return conv_transpose2d(x[0], x[1], {}, {.stride = 2}); },
       [](const Rule& b) -> Gradients {
         return {b.exact(0) * even_rows({1, 2, 4, 3}), b.exact(1)};
       },
       nullptr,
       Network::cnn},
      {"depthwise conv2d: the last channel gets nothing",
       "only where",
       "my_depthwise",
       {normal({1, 3, 4, 4}), normal({3, 1, 3, 3})},
       [](Arguments x) { return conv2d(x[0], x[1], {}, {.groups = 3}); },
       [](const Rule& b) -> Gradients {
         const Tensor g = b.exact(1);
         return {b.exact(0), cat({narrow(g, 0, 0, 2), zeros({1, 1, 3, 3}, float64)}, 0)};
       },
       nullptr,
       Network::cnn},
      {"bilinear upsampling: the last column too small",
       "only where",
       "my_bilinear",
       {normal({1, 1, 3, 4})},
       [](Arguments x) {
         return interpolate(x[0], {.size = {6, 8}, .mode = Interpolation::bilinear});
       },
       [](const Rule& b) -> Gradients {
         Tensor factor = ones({1, 1, 1, 4}, float64);
         factor.select(-1, 3).fill_(0.75);
         return {b.exact(0) * factor};
       },
       nullptr,
       Network::cnn},
      {"max_pool2d: a gradient for every element of the window",
       "only where",
       "my_max_pool",
       {distinct({1, 2, 4, 4})},
       [](Arguments x) { return max_pool2d(x[0], 2); },
       [](const Rule& b) -> Gradients { return {interpolate(b.grad(), {.scale_factor = {2.0}})}; },
       nullptr,
       Network::cnn},
  };
}

}  // namespace cotangent::corpus
