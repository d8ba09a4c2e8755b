// Times what a training script spends its time on, and counts what it asks of the system. One line a workload: median
// and best milliseconds, then page faults and allocations of memory from the system for each step once warm.
//   bench_training [NAME...]
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <vector>

#include <cotangent/cotangent.hpp>

namespace ct = cotangent;
using ct::Tensor;

namespace {

int g_count;
char** g_names;

bool wanted(const char* name) {
  for (int i = 1; i < g_count; ++i)
    if (std::strcmp(g_names[i], name) == 0) return true;
  return g_count == 1;
}

long page_faults() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

template <class Step>
void measure(const char* name, Step step) {
  using Clock = std::chrono::steady_clock;
  for (int i = 0; i < 10; ++i) step();
  std::vector<double> times;
  times.reserve(1 << 20);
  std::fill_n(std::back_inserter(times), times.capacity(), 0.0);  // touched, so that it faults no pages below
  times.clear();
  const auto start = Clock::now();
  const long faults = page_faults();
  const long allocations = ct::memory_stats().system_allocations;
  double spent = 0;
  while ((spent < 1 || times.size() < 5) && times.size() < times.capacity()) {
    const auto begin = Clock::now();
    step();
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    spent = std::chrono::duration<double>(Clock::now() - start).count();
  }
  const double steps = static_cast<double>(times.size());
  const double more_faults = static_cast<double>(page_faults() - faults) / steps;
  const double more_allocations = static_cast<double>(ct::memory_stats().system_allocations - allocations) / steps;
  std::sort(times.begin(), times.end());
  std::printf("%-20s %10.4f ms  best %10.4f  n=%zu  page faults %.3f  system allocations %.3f\n", name,
              times[times.size() / 2], times.front(), times.size(), more_faults, more_allocations);
}

void overhead_add() {  // 100 adds of (8,), no graph
  const Tensor a = ct::randn({8}), b = ct::randn({8});
  ct::NoGrad guard;
  measure("overhead_add", [&] {
    for (int i = 0; i < 100; ++i) a + b;
  });
}

void overhead_chain() {  // 100 nodes of x * a + b on (16,): 200 ops forward, 200 backward
  Tensor x = ct::randn({16}).requires_grad_(), a = ct::randn({16}).requires_grad_(),
         b = ct::randn({16}).requires_grad_();
  const Tensor g = ct::ones({16});
  measure("overhead_chain", [&] {
    for (Tensor* t : {&x, &a, &b}) t->set_grad(Tensor());
    Tensor y = x;
    for (int i = 0; i < 100; ++i) y = y * a + b;
    y.backward(g);
  });
}

void overhead_tiny_mlp() {  // 2-16-16-1, batch 4, MSE, SGD: one training step
  ct::nn::Sequential model(ct::nn::Linear(2, 16), ct::nn::Tanh(), ct::nn::Linear(16, 16), ct::nn::Tanh(),
                           ct::nn::Linear(16, 1));
  const Tensor x = ct::randn({4, 2}), y = ct::randn({4, 1});
  ct::optim::SGD optimizer(model.parameters(), {.lr = 0.01});
  measure("overhead_tiny_mlp", [&] {
    optimizer.zero_grad();
    ct::mse_loss(model(x), y).backward();
    optimizer.step();
  });
}

void classify(const char* name, ct::nn::Sequential model, int64_t batch) {
  const Tensor x = ct::randn({batch, 1, 28, 28}), y = ct::randint(0, 10, {batch});
  ct::optim::AdamW optimizer(model.parameters(), {.lr = 1e-3});
  measure(name, [&] {
    optimizer.zero_grad();
    ct::cross_entropy(model(x), y).backward();
    optimizer.step();
  });
}

void train_mlp() {  // 784-256-128-10, batch 128
  namespace nn = ct::nn;
  classify("train_mlp",
           nn::Sequential(nn::Flatten(), nn::Linear(784, 256), nn::ReLU(), nn::Linear(256, 128), nn::ReLU(),
                          nn::Linear(128, 10)),
           128);
}

void train_cnn() {  // two 3x3 convolutions with pooling, batch 64
  namespace nn = ct::nn;
  classify("train_cnn",
           nn::Sequential(nn::Conv2d(1, 32, 3, {.padding = 1}), nn::ReLU(), nn::MaxPool2d(2),
                          nn::Conv2d(32, 64, 3, {.padding = 1}), nn::ReLU(), nn::MaxPool2d(2), nn::Flatten(),
                          nn::Linear(3136, 128), nn::ReLU(), nn::Linear(128, 10)),
           64);
}

}  // namespace

int main(int count, char** names) {
  g_count = count, g_names = names;
  if (wanted("overhead_add")) overhead_add();
  if (wanted("overhead_chain")) overhead_chain();
  if (wanted("overhead_tiny_mlp")) overhead_tiny_mlp();
  if (wanted("train_mlp")) train_mlp();
  if (wanted("train_cnn")) train_cnn();
}
