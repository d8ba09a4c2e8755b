// The overhead workloads of overhead.cpp with PyTorch's C++ interface, which spares them Python. scripts/bench-vs-torch
// compiles it against the headers of an installed PyTorch, and talks to it as to `torch_peer.py --serve`.
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace {

using Step = std::function<void()>;

Step overhead_add() {
  return [a = torch::randn({8}), b = torch::randn({8})] {
    const torch::NoGradGuard guard;
    for (int i = 0; i < 100; ++i) a + b;
  };
}

Step overhead_chain() {
  const auto with_grad = torch::TensorOptions().requires_grad(true);
  return [x = torch::randn({16}, with_grad), a = torch::randn({16}, with_grad), b = torch::randn({16}, with_grad),
          g = torch::ones({16})] {
    for (const torch::Tensor* t : {&x, &a, &b}) t->mutable_grad() = torch::Tensor();
    torch::Tensor y = x;
    for (int i = 0; i < 100; ++i) y = y * a + b;
    y.backward(g);
  };
}

Step overhead_tiny_mlp() {
  namespace nn = torch::nn;
  nn::Sequential model(nn::Linear(2, 16), nn::Tanh(), nn::Linear(16, 16), nn::Tanh(), nn::Linear(16, 1));
  auto optimizer = std::make_shared<torch::optim::SGD>(model->parameters(), torch::optim::SGDOptions(0.01));
  return [=, x = torch::randn({4, 2}), y = torch::randn({4, 1})]() mutable {
    optimizer->zero_grad();
    torch::mse_loss(model->forward(x), y).backward();
    optimizer->step();
  };
}

const std::map<std::string, Step (*)()> kWorkloads{
    {"overhead_add", overhead_add}, {"overhead_chain", overhead_chain}, {"overhead_tiny_mlp", overhead_tiny_mlp}};

nlohmann::json measure(const Step& step, double min_time) {
  using Clock = std::chrono::steady_clock;
  for (int i = 0; i < 5; ++i) step();
  std::vector<double> times;  // milliseconds
  for (double spent = 0; spent < 1e3 * min_time || times.size() < 5; spent += times.back()) {
    const auto begin = Clock::now();
    step();
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  std::sort(times.begin(), times.end());
  return {{"median_ms", times[times.size() / 2]}, {"best_ms", times.front()}, {"n", times.size()}};
}

}  // namespace

int main(int, char** argv) {  // torch_peer --serve --threads N
  torch::set_num_threads(std::stoi(argv[3]));
  std::cout << nlohmann::json{{"torch", TORCH_VERSION}} << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    const nlohmann::json asked = nlohmann::json::parse(line);
    const auto found = kWorkloads.find(asked.at("name"));
    torch::manual_seed(0);
    const bool here = found != kWorkloads.end() && asked.at("mode") == "";
    std::cout << (here ? measure(found->second(), asked.at("min_time")) : nlohmann::json{{"error", "only in Python"}})
              << std::endl;
  }
}
