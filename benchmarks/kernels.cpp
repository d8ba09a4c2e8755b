// One op, or a few, forward and backward in float32.
#include "bench.hpp"

namespace bench {
namespace {

template <class Optimizer, class Options>
Step optimizer_step(const Options& options) {  // of 10 million parameters
  Tensors parameters;
  for (int i = 0; i < 50; ++i) {
    parameters.push_back(leaf({200'000}));
    parameters.back().set_grad(ct::randn({200'000}));
  }
  return [optimizer = std::make_shared<Optimizer>(parameters, options)] { optimizer->step(); };
}

Step attention(const std::vector<int64_t>& s) {
  const Shape shape{s[0], s[1], s[2], s[3]};
  const Tensor q = leaf(shape), k = leaf(shape), v = leaf(shape);
  return forward_backward({q, k, v}, [=] { return ct::scaled_dot_product_attention(q, k, v, {.causal = true}); });
}

/// Of a convolution's result of n elements, each of which sums `depth` products.
double conv_flops(double n, double depth) { return 3 * 2 * n * depth; }

}  // namespace

std::vector<Workload> kernels() {
  return {
      {"matmul_512",
       [](const auto&) {
         const Tensor a = leaf({512, 512}), b = leaf({512, 512});
         return forward_backward({a, b}, [=] { return ct::matmul(a, b); });
       },
       {.flops = matmul_flops(512, 512, 512)}},
      {"matmul_batched",  // 64 products of 64x64
       [](const auto&) {
         const Tensor a = leaf({64, 64, 64}), b = leaf({64, 64, 64});
         return forward_backward({a, b}, [=] { return ct::matmul(a, b); });
       },
       {.flops = 64 * matmul_flops(64, 64, 64)}},
      {"elementwise_chain",  // 1M elements, five ops
       [](const auto&) {
         const Tensor a = leaf({1 << 20}), b = leaf({1 << 20}), c = leaf({1 << 20});
         return forward_backward({a, b, c}, [=] { return ct::tanh(a * b + c) * ct::sigmoid(a); });
       },
       {.bytes = floats(11 * (1 << 20))}},
      {"bias_broadcast",
       [](const auto&) {
         const Tensor a = leaf({4096, 1024}), b = leaf({1024});
         return forward_backward({a, b}, [=] { return a + b; });
       },
       {.bytes = floats(4 * 4096 * 1024)}},
      {"permute_copy",
       [](const auto&) {
         const Tensor a = leaf({64, 128, 16, 32});
         return forward_backward({a}, [=] { return a.permute({0, 2, 3, 1}).contiguous(); });
       },
       {.bytes = floats(4 * 64 * 128 * 16 * 32)}},
      {"reduce_mean_dim",
       [](const auto&) {
         const Tensor a = leaf({256, 64, 256});
         return forward_backward({a}, [=] { return ct::mean(a, 1); });
       },
       {.bytes = floats(2 * 256 * 64 * 256)}},
      {"gelu",
       [](const auto&) {
         const Tensor a = leaf({1024, 1024});
         return forward_backward({a}, [=] { return ct::gelu(a); });
       },
       {.bytes = floats(5 * 1024 * 1024)}},
      {"silu",
       [](const auto&) {
         const Tensor a = leaf({1024, 1024});
         return forward_backward({a}, [=] { return ct::silu(a); });
       },
       {.bytes = floats(5 * 1024 * 1024)}},
      {"softmax",
       [](const auto&) {
         const Tensor a = leaf({4096, 512});
         return forward_backward({a}, [=] { return ct::softmax(a, -1); });
       },
       {.bytes = floats(5 * 4096 * 512)}},
      {"layer_norm",
       [](const auto&) {
         const Tensor a = leaf({4096, 512}), w = leaf({512}), b = leaf({512});
         return forward_backward({a, w, b}, [=] { return ct::layer_norm(a, {512}, w, b); });
       },
       {.bytes = floats(5 * 4096 * 512)}},
      {"batch_norm",
       [](const auto&) {
         const Tensor a = leaf({32, 64, 28, 28}), w = leaf({64}), b = leaf({64});
         return forward_backward({a, w, b}, [=] { return ct::batch_norm(a, {}, {}, w, b, true); });
       },
       {.bytes = floats(5 * 32 * 64 * 28 * 28)}},
      {"cross_entropy",
       [](const auto&) {
         const Tensor a = leaf({1024, 8192}), y = ct::randint(0, 8192, {1024});
         return forward_backward({a}, [=] { return ct::cross_entropy(a, y); });
       },
       {.bytes = floats(3 * 1024 * 8192)}},
      {"embedding",
       [](const auto&) {
         const Tensor w = leaf({20000, 256}), i = ct::randint(0, 20000, {4096});
         return forward_backward({w}, [=] { return ct::embedding(w, i); });
       },
       {.bytes = floats(20000 * 256 + 3 * 4096 * 256)}},
      {"conv3x3",
       [](const auto&) {
         const Tensor x = leaf({32, 64, 28, 28}), w = leaf({64, 64, 3, 3}), b = leaf({64});
         return forward_backward({x, w, b}, [=] { return ct::conv2d(x, w, b, {.padding = 1}); });
       },
       {.flops = conv_flops(32 * 64 * 28 * 28, 64 * 9)}},
      {"conv1x1",
       [](const auto&) {
         const Tensor x = channels_last({32, 128, 14, 14}).requires_grad_();
         const Tensor w = leaf({128, 128, 1, 1}), b = leaf({128});
         return forward_backward({x, w, b}, [=] { return ct::conv2d(x, w, b); });
       },
       {.flops = conv_flops(32 * 128 * 14 * 14, 128)}},
      {"conv_depthwise",
       [](const auto&) {
         const Tensor x = leaf({32, 128, 28, 28}), w = leaf({128, 1, 3, 3}), b = leaf({128});
         return forward_backward({x, w, b}, [=] { return ct::conv2d(x, w, b, {.padding = 1, .groups = 128}); });
       },
       {.flops = conv_flops(32 * 128 * 28 * 28, 9), .bytes = floats(5 * 32 * 128 * 28 * 28)}},
      {"conv_transpose",
       [](const auto&) {
         const Tensor x = leaf({32, 64, 14, 14}), w = leaf({64, 32, 4, 4}), b = leaf({32});
         return forward_backward({x, w, b}, [=] { return ct::conv_transpose2d(x, w, b, {.stride = 2, .padding = 1}); });
       },
       {.flops = conv_flops(32 * 64 * 14 * 14, 32 * 16)}},
      {"max_pool",
       [](const auto&) {
         const Tensor x = leaf({32, 64, 28, 28});
         return forward_backward({x}, [=] { return ct::max_pool2d(x, 2); });
       },
       {.bytes = floats(2.5 * 32 * 64 * 28 * 28)}},
      {"upsample_bilinear",
       [](const auto&) {
         const Tensor x = leaf({8, 32, 64, 64});
         return forward_backward(
             {x}, [=] { return ct::interpolate(x, {.scale_factor = 2, .mode = ct::Interpolation::bilinear}); });
       },
       {.bytes = floats(10 * 8 * 32 * 64 * 64)}},
      {"pixel_shuffle",
       [](const auto&) {
         const Tensor x = leaf({8, 128, 64, 64});
         return forward_backward({x}, [=] { return ct::pixel_shuffle(x, 2); });
       },
       {.bytes = floats(4 * 8 * 128 * 64 * 64)}},
      {"attention_1k", attention, {.flops = attention_flops(2 * 8, 1024, 64, true)}, {2, 8, 1024, 64}},
      {"attention_4k", attention, {.flops = attention_flops(1 * 4, 4096, 64, true)}, {1, 4, 4096, 64}},
      {"lstm",  // 64 steps, batch 32, 128 features to 128
       [](const auto&) {
         auto m = std::make_shared<ct::nn::LSTM>(128, 128);
         const Tensor x = leaf({64, 32, 128});
         Tensors leaves = m->parameters();
         leaves.push_back(x);
         return forward_backward(leaves, [=] { return (*m)(x).output; });
       },
       {.flops = matmul_flops(64 * 32, 4 * 128, 128 + 128)}},
      {"adamw_10m",
       [](const auto&) { return optimizer_step<ct::optim::AdamW>(ct::optim::AdamWOptions{.lr = 1e-3}); },
       {.bytes = floats(7 * 10e6)}},
      {"sgd_momentum_10m",
       [](const auto&) { return optimizer_step<ct::optim::SGD>(ct::optim::SGDOptions{.lr = 1e-3, .momentum = 0.9}); },
       {.bytes = floats(5 * 10e6)}},
      {"hessian_vector",  // double backward through an MLP: H v of 64-256-256-1 at batch 128
       [](const auto&) -> Step {
         auto m = std::make_shared<ct::nn::Sequential>(
             ct::nn::Linear(64, 256), ct::nn::Tanh(), ct::nn::Linear(256, 256), ct::nn::Tanh(), ct::nn::Linear(256, 1));
         Tensors parameters = m->parameters(), v;
         for (const Tensor& p : parameters) v.push_back(ct::randn(p.shape()));
         return [=, x = ct::randn({128, 64}), y = ct::randn({128, 1})] {
           const Tensors g = ct::grad({ct::mse_loss((*m)(x), y)}, parameters, {.create_graph = true});
           Tensor dot = ct::sum(g[0] * v[0]);
           for (size_t i = 1; i < g.size(); ++i) dot = dot + ct::sum(g[i] * v[i]);
           ct::grad({dot}, parameters);
         };
       }},
  };
}

}  // namespace bench
