// What is made of products beyond the plain ones: a vector, odd sizes, feed-forward blocks, a stack of LSTMs.
#include "bench.hpp"

namespace bench {
namespace {

/// Of a sequence of products of `rows` rows by weights of so many elements, with the gradients of all of them.
double layers_flops(double rows, double weights) { return matmul_flops(rows, weights, 1); }

template <bool transposed>
Step matrix_vector(const std::vector<int64_t>& s) {
  const Tensor a = leaf({s[0], s[0]}), x = leaf({s[0]});
  return forward_backward({a, x}, [=] { return ct::matmul(transposed ? a.t() : a, x); });
}
/// The matrix is read twice, and its gradient is written.
double matrix_vector_bytes(double n) { return floats(3 * n * n); }

}  // namespace

std::vector<Workload> products() {
  return {
      {"matrix_vector", matrix_vector<false>, {.bytes = matrix_vector_bytes(4096)}, {4096}},
      {"matrix_vector_t", matrix_vector<true>, {.bytes = matrix_vector_bytes(4096)}, {4096}},
      {"matmul_odd",  // no size is a multiple of anything
       [](const auto&) {
         const Tensor a = leaf({487, 331}), b = leaf({331, 613});
         return forward_backward({a, b}, [=] { return ct::matmul(a, b); });
       },
       {.flops = matmul_flops(487, 331, 613)}},
      {"feed_forward_gelu",  // 4096 rows, 256 to 1024 to 256
       [](const auto&) {
         auto up = std::make_shared<ct::nn::Linear>(256, 1024), down = std::make_shared<ct::nn::Linear>(1024, 256);
         const Tensor x = leaf({4096, 256});
         return forward_backward({x, up->weight, up->bias, down->weight, down->bias},
                                 [=] { return (*down)(ct::gelu((*up)(x))); });
       },
       {.flops = layers_flops(4096, 2 * 256 * 1024)}},
      {"feed_forward_swiglu",  // 4096 rows of 256, gated 683
       [](const auto&) {
         using ct::nn::Linear;
         auto gate = std::make_shared<Linear>(256, 683, ct::nn::LinearOptions{.bias = false}),
              up = std::make_shared<Linear>(256, 683, ct::nn::LinearOptions{.bias = false}),
              down = std::make_shared<Linear>(683, 256, ct::nn::LinearOptions{.bias = false});
         const Tensor x = leaf({4096, 256});
         return forward_backward({x, gate->weight, up->weight, down->weight},
                                 [=] { return (*down)(ct::silu((*gate)(x)) * (*up)(x)); });
       },
       {.flops = layers_flops(4096, 3 * 256 * 683)}},
      {"lstm_2x256",  // 64 steps, batch 32
       [](const auto&) {
         auto m = std::make_shared<ct::nn::LSTM>(256, 256, ct::nn::RecurrentOptions{.num_layers = 2});
         const Tensor x = leaf({64, 32, 256});
         Tensors leaves = m->parameters();
         leaves.push_back(x);
         return forward_backward(leaves, [=] { return (*m)(x).output; });
       },
       {.flops = layers_flops(64 * 32, 2 * 4 * 256 * (256 + 256))}},
  };
}

}  // namespace bench
