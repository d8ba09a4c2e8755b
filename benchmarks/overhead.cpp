// Tiny tensors, where the library and not the arithmetic is timed.
#include "bench.hpp"

namespace bench {

std::vector<Workload> overhead() {
  return {
      {"overhead_add",  // 100 adds of (8,), no graph
       [](const auto&) -> Step {
         return [a = ct::randn({8}), b = ct::randn({8})] {
           const ct::NoGrad guard;
           for (int i = 0; i < 100; ++i) a + b;
         };
       }},
      {"overhead_chain",  // 100 nodes of x * a + b on (16,): 200 ops forward, 200 backward
       [](const auto&) -> Step {
         return [x = leaf({16}), a = leaf({16}), b = leaf({16}), g = ct::ones({16})] {
           for (const Tensor* t : {&x, &a, &b}) t->set_grad(Tensor());
           Tensor y = x;
           for (int i = 0; i < 100; ++i) y = y * a + b;
           y.backward(g);
         };
       }},
      {"overhead_tiny_mlp",  // 2-16-16-1, batch 4, MSE, SGD: one training step
       [](const auto&) -> Step {
         ct::nn::Sequential model(ct::nn::Linear(2, 16), ct::nn::Tanh(), ct::nn::Linear(16, 16), ct::nn::Tanh(),
                                  ct::nn::Linear(16, 1));
         ct::optim::SGD optimizer(model.parameters(), {.lr = 0.01});
         return training_step(
             std::move(model), std::move(optimizer),
             [x = ct::randn({4, 2}), y = ct::randn({4, 1})](ct::nn::Sequential& m) { return ct::mse_loss(m(x), y); });
       }},
  };
}

}  // namespace bench
