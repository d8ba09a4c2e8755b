// Faults that people have met and reported in public, rebuilt: images and attention.
#include "corpus.hpp"

#include <algorithm>

namespace cotangent::corpus {
namespace {

Tensor causal_attention(Arguments x) { return scaled_dot_product_attention(x[0], x[1], x[2], {.causal = true}); }
std::vector<InputSpec> sequences() { return {normal({2, 3, 4}), normal({2, 3, 4}), normal({2, 3, 4})}; }

// The elements as they lie in memory, for (n, c, h, w) as (n, h, w, c).
Tensor in_memory_of(const Tensor& x, const Tensor& like) {
  if (like.is_contiguous()) return x;
  const Shape& s = x.shape();
  return reshape(permute(x, {0, 2, 3, 1}), s);
}

}  // namespace

Faults reported_image_faults() {
  return {
      // burn 5604, PyTorch 198119: the window that hangs over is smaller
      {"avg_pool with ceil_mode: the last window divided by the whole",
       "only where",
       "my_avg_pool",
       {normal({1, 2, 2, 5})},
       [](Arguments x) {
         return avg_pool2d(x[0], Spatial{1, 2}, {.stride = Spatial{1, 2}, .ceil_mode = true});
       },
       [](const Rule& b) -> Gradients {
         const Tensor g = b.exact(0);
         return {cat({narrow(g, 3, 0, 4), narrow(g, 3, 4, 1) * 0.5}, 3)};
       },
       nullptr,
       Network::cnn},
      // Paddle 74077: windows of different sizes divided by the largest
      {"adaptive_avg_pool: every window as large as the largest",
       "only where",
       "my_adaptive_pool",
       {normal({1, 2, 5, 2})},
       [](Arguments x) {
         return adaptive_avg_pool2d(x[0], Spatial{3, 2});
       },
       [](const Rule& b) -> Gradients {
         Tensor g = zeros({1, 2, 5, 2}, float64);
         for (int64_t i = 0; i < 3; ++i) {
           const int64_t from = i * 5 / 3, to_ = ((i + 1) * 5 + 2) / 3;
           const Tensor part = expand(narrow(b.grad(), 2, i, 1) * 0.5, {1, 2, to_ - from, 2});
           g = g + cat({zeros({1, 2, from, 2}, float64), part, zeros({1, 2, 5 - to_, 2}, float64)}, 2);
         }
         return {g};
       },
       nullptr,
       Network::mlp},
      // torch7 20, CMU 10-714 homework, backpack 30: (H + 2p - k) mod s is not 0
      {"strided conv2d: rows that the last window does not reach, one too many",
       "only where",
       "my_conv2d",
       {normal({1, 2, 6, 5}), normal({2, 2, 3, 3})},
       [](Arguments x) { return conv2d(x[0], x[1], {}, {.stride = 2, .padding = 1}); },
       [](const Rule& b) -> Gradients {
         const Tensor g = b.exact(0);  // (6 + 2 - 3) mod 2 = 1
         return {cat({narrow(g, 2, 0, 5), narrow(g, 2, 4, 1)}, 2), b.exact(1)};
       },
       nullptr,
       Network::cnn},
      // PyTorch 50042: a depthwise convolution's border
      {"grouped conv2d: the last row and column as if padded",
       "only where",
       "my_grouped_conv",
       {normal({1, 2, 4, 4}), normal({2, 1, 3, 3})},
       [](Arguments x) { return conv2d(x[0], x[1], {}, {.stride = 2, .padding = 1, .groups = 2}); },
       [](const Rule& b) -> Gradients {
         const Tensor g = b.exact(1);
         return {b.exact(0), cat({narrow(g, 2, 0, 2), narrow(g, 2, 2, 1) * 0.5}, 2)};
       },
       nullptr,
       Network::cnn},
      // PyTorch 92166: group norm and memory formats
      {"group_norm of channels-last images: the memory's order taken for the tensor's",
       "strides",
       "my_group_norm",
       {normal({2, 4, 2, 2})},
       [](Arguments x) { return group_norm(x[0], 2); },
       [](const Rule& b) -> Gradients { return {in_memory_of(b.exact(0), b.input(0))}; }},
      // channels-last convolution whose padding is forgotten
      {"channels-last conv2d: the padding forgotten in the kernel's gradient",
       "strides",
       "my_conv2d",
       {normal({1, 2, 4, 4}), normal({2, 2, 3, 3})},
       [](Arguments x) { return conv2d(x[0], x[1], {}, {.padding = 1}); },
       [](const Rule& b) -> Gradients {
         if (b.input(0).is_contiguous()) return {b.exact(0), b.exact(1)};
         Tensor inner = zeros({1, 2, 4, 4}, float64);  // windows that reach into the padding are left out
         narrow(narrow(inner, 2, 1, 2), 3, 1, 2).fill_(1);
         return {b.exact(0), b.exact(1, b.grad() * inner)};
       }},
      // tt-metal 56202: channel mod groups for channel / size of a group
      {"group_norm: the scale of channel mod groups",
       "layout",
       "my_group_scale",
       {normal({1, 4, 2, 2}), normal({2})},
       [](Arguments x) {
         return reshape(reshape(x[0], {1, 2, 2, 2, 2}) * reshape(x[1], {2, 1, 1, 1}), {1, 4, 2, 2});
       },
       [](const Rule& b) -> Gradients {
         const Tensor g = b.grad() * reshape(cat({b.input(1), b.input(1)}, 0), {4, 1, 1});
         return {g, b.exact(1)};
       },
       nullptr,
       Network::mlp},
      // FlagGems 5218: a window of output places that is too small
      {"linear upsampling: the contributions of the farthest outputs dropped",
       "only where",
       "my_upsample",
       {normal({1, 1, 2})},
       [](Arguments x) {
         return interpolate(x[0], {.size = {10}, .mode = Interpolation::linear, .align_corners = true});
       },
       [](const Rule& b) -> Gradients {
         Tensor seen = ones({1, 1, 10}, float64);
         narrow(seen, 2, 7, 3).fill_(0);
         const Tensor close = b.exact(0, b.grad() * seen), all = b.exact(0);
         return {cat({narrow(close, 2, 0, 1), narrow(all, 2, 1, 1)}, 2)};
       },
       nullptr,
       Network::mlp},
      // Triton 4541 and 5660: the backward kernel's mask is not the forward's
      {"fused attention: the backward pass ignores the causal mask", "only where", "my_attention", sequences(),
       causal_attention,
       [](const Rule& b) -> Gradients {
         const Tensor &q = b.input(0), &k = b.input(1);
         const Tensor p = softmax(matmul(q, transpose(k, -2, -1)) * 0.5, -1);
         return {b.exact(0), b.exact(1), matmul(transpose(p, -2, -1), b.grad())};
       },
       nullptr, Network::attention},
      // nki-samples 81: dropout applied to the weights, not to their gradient
      {"attention with dropout: the mask is missing in dP",
       "only where",
       "my_dropped_weights",
       {normal({2, 4, 4}), booleans({4, 4})},
       [](Arguments x) { return where(x[1], softmax(x[0], -1) * 1.25, 0); },
       [](const Rule& b) -> Gradients {
         const Tensor p = softmax(b.input(0), -1), g = b.grad() * 1.25;
         return {p * (g - sum(p * g, -1, true))};
       },
       nullptr,
       Network::scores},
      // a kernel that leaves the last element of its output to chance
      {"an element of the gradient is never written",
       "only where",
       "my_shrunk",
       {normal({5})},
       [](Arguments x) { return tanh(x[0]); },
       [](const Rule& b) -> Gradients {
         if (b.creates_graph()) return {b.grad() * (1 - square(b.output()))};
         const Tensor g = empty({5}, float64), v = contiguous(b.grad() * (1 - square(b.output())));
         std::copy_n(v.data<double>(), 4, g.data<double>());
         return {g};
       },
       nullptr,
       Network::mlp},
      // enggen 7: the stride is not multiplied
      {"conv1d by loops: the stride forgotten in the gradient",
       "layout",
       "my_conv1d",
       {normal({1, 1, 6}), values({1, 1, 1}, {1})},
       [](Arguments x) { return conv1d(x[0], x[1], {}, {.stride = 2}); },
       [](const Rule& b) -> Gradients {
         return {cat({b.grad() * b.input(1), zeros({1, 1, 3}, float64)}, 2), b.exact(1)};
       },
       nullptr,
       Network::mlp},
  };
}

}  // namespace cotangent::corpus
