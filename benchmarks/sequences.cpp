// What goes from token to token: linear recurrences and the layers made of them, at a batch of 8, 2048 tokens, and a
// width of 256. torch_sequences.py holds PyTorch's ways, of which there are several for one of ours: a loop of ops, and
// doubling (Hillis and Steele), which torch.compile fuses.
#include "bench.hpp"

namespace bench {
namespace {

using Sizes = std::vector<int64_t>;

constexpr double kNumbers = double(kBatch * kSteps * kWidth);

Step scan(const Sizes&) {
  const Tensor a = ct::sigmoid(ct::randn({kBatch, kSteps, kWidth})).detach().requires_grad_(),
               b = leaf({kBatch, kSteps, kWidth});
  return forward_backward({a, b}, [=] { return ct::linear_scan(a, b, 1); });
}
Step scan_constant(const Sizes&) {
  const Tensor a = ct::sigmoid(ct::randn({kWidth})).detach().requires_grad_(), b = leaf({kBatch, kSteps, kWidth});
  return forward_backward({a, b}, [=] { return ct::linear_scan(a, b, 1); });
}
Step scan_last(const Sizes&) {
  const Tensor a = ct::sigmoid(ct::randn({kBatch, kWidth, kSteps})).detach().requires_grad_(),
               b = leaf({kBatch, kWidth, kSteps});
  return forward_backward({a, b}, [=] { return ct::linear_scan(a, b, 2); });
}
Step scan_pairs(const Sizes&) {
  const Tensor a = ct::complex::polar(ct::full({kWidth / 2}, 0.9), ct::randn({kWidth / 2})).detach().requires_grad_(),
               b = leaf({kBatch, kSteps, kWidth / 2, 2});
  return forward_backward({a, b}, [=] { return ct::complex::linear_scan(a, b, 1); });
}
/// Step by step, in the library's own ops.
Step scan_in_ops(const Sizes&) {
  const Tensor a = ct::sigmoid(ct::randn({kBatch, kSteps, kWidth})).detach().requires_grad_(),
               b = leaf({kBatch, kSteps, kWidth});
  return forward_backward({a, b}, [=] {
    const Tensors factors = ct::unbind(a, 1), terms = ct::unbind(b, 1);
    Tensors h{terms[0]};
    for (size_t t = 1; t < terms.size(); ++t) h.push_back(factors[t] * h[t - 1] + terms[t]);
    return ct::stack(h, 1);
  });
}

Step s4(const Sizes&) {
  const auto layer = std::make_shared<ct::nn::S4>(kWidth, ct::nn::S4Options{.length = kSteps});
  const Tensor x = leaf({kBatch, kSteps, kWidth});
  Tensors leaves = layer->parameters();
  leaves.push_back(x);
  return forward_backward(leaves, [=] { return (*layer)(x); });
}

/// A layer of sequences, with the gradients of its parameters.
template <class Layer>
Step layer(const Sizes&) {
  auto m = std::make_shared<Layer>(kWidth);
  const Tensor x = leaf({kBatch, kSteps, kWidth});
  Tensors leaves = m->parameters();
  leaves.push_back(x);
  return forward_backward(leaves, [=] { return (*m)(x); });
}

template <auto f>
Step of_sequence(const Sizes&) {
  const Tensor x = leaf({kBatch, kSteps, kWidth});
  return forward_backward({x}, [=] { return f(x); });
}

}  // namespace

std::vector<Workload> sequences() {
  const Work both{.bytes = floats(8 * kNumbers)}, one{.bytes = floats(4 * kNumbers)};
  return {{"scan", scan, both},
          {"scan_by_doubling", scan, both},
          {"scan_in_ops", scan_in_ops, both},
          {"scan_constant", scan_constant, {.bytes = floats(5 * kNumbers)}},
          {"scan_last_dim", scan_last, both},
          {"scan_pairs", scan_pairs, {.bytes = floats(5 * kNumbers)}},
          {"scan_pairs_by_doubling", scan_pairs, {.bytes = floats(5 * kNumbers)}},
          {"s4", s4, {.flops = matmul_flops(kBatch * kSteps, kWidth, 2 * kWidth)}},
          {"s4_compiled", s4, {.flops = matmul_flops(kBatch * kSteps, kWidth, 2 * kWidth)}},
          {"cumprod", of_sequence<[](const Tensor& x) { return ct::cumprod(x, 1); }>, one},
          {"logcumsumexp", of_sequence<[](const Tensor& x) { return ct::logcumsumexp(x, 1); }>, one},
          {"cummax", of_sequence<[](const Tensor& x) { return ct::cummax(x, 1).values; }>, one},
          {"min_gru", layer<ct::nn::MinGRU>},
          {"min_lstm", layer<ct::nn::MinLSTM>},
          {"lru", layer<ct::nn::LRU>},
          {"lru_compiled", layer<ct::nn::LRU>},
          {"s4d", layer<ct::nn::S4D>},
          {"s4d_compiled", layer<ct::nn::S4D>}};
}

}  // namespace bench
