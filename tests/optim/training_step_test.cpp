// Whole training steps: they learn, and once warmed up they ask neither the heap nor the system for memory.
#include <cmath>
#include <cstdlib>
#include <new>

#include <catch2/catch.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/loss.hpp>
#include <cotangent/autograd/ops/pool.hpp>
#include <cotangent/nn/activation.hpp>
#include <cotangent/nn/container.hpp>
#include <cotangent/nn/conv.hpp>
#include <cotangent/nn/dropout.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/norm.hpp>
#include <cotangent/nn/pool.hpp>
#include <cotangent/nn/shape.hpp>
#include <cotangent/optim/adam.hpp>
#include <cotangent/optim/clip.hpp>
#include <cotangent/optim/sgd.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/memory/allocator.hpp>
#include <cotangent/tensor/random.hpp>

namespace {
thread_local int64_t heap_allocations = 0;
}

// The sanitizers bring an allocator of their own, and make every allocation one of the system: they do not count.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kCounted = false;
#else
constexpr bool kCounted = true;
void* operator new(size_t bytes) {
  ++heap_allocations;
  if (void* p = std::malloc(bytes)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
#endif

using namespace cotangent;

namespace {

template <class Step>
void check_no_allocations(Step step) {
  for (int i = 0; i < 5; ++i) step();
  const int64_t heap = heap_allocations, system = memory_stats().system_allocations;
  for (int i = 0; i < 10; ++i) step();
  CHECK(heap_allocations - heap == 0);
  if (kCounted) CHECK(memory_stats().system_allocations - system == 0);
}

}  // namespace

TEST_CASE("a warmed-up step of an MLP allocates nothing") {
  nn::Sequential net(nn::Linear(2, 16), nn::Tanh(), nn::Linear(16, 16), nn::Tanh(), nn::Linear(16, 1));
  optim::SGD optimizer(net.parameters(), {.lr = 0.01, .momentum = 0.9});
  const Tensor x = randn({4, 2}), y = randn({4, 1});
  check_no_allocations([&] {
    optimizer.zero_grad();
    mse_loss(net(x), y).backward();
    optimizer.step();
  });
}

TEST_CASE("a warmed-up step of a convolutional network allocates nothing") {
  nn::Sequential net(nn::Conv2d(1, 4, 3, {.padding = 1}), nn::BatchNorm2d(4), nn::ReLU(), nn::MaxPool2d(2),
                     nn::Flatten(), nn::Dropout(0.1), nn::Linear(64, 3));
  const Tensors parameters = net.parameters();
  optim::AdamW optimizer(parameters);
  const Tensor x = randn({5, 1, 8, 8}), y = tensor({0, 1, 2, 1, 0});
  check_no_allocations([&] {
    optimizer.zero_grad();
    cross_entropy(net(x), y).backward();
    optim::clip_grad_norm_(parameters, 1);
    optimizer.step();
  });
}

TEST_CASE("gradients of k parts of a batch add up to that of the batch") {
  nn::Sequential net(nn::Linear(3, 8), nn::Tanh(), nn::Linear(8, 2));
  net.to(float64);
  const Tensors parameters = net.parameters();
  const Tensor x = randn({12, 3}, float64), y = randn({12, 2}, float64);
  mse_loss(net(x), y).backward();
  Tensors whole;
  for (const Tensor& p : parameters) whole.push_back(p.grad());
  net.zero_grad();
  for (int64_t part = 0; part < 4; ++part)  // parts of the same size, each with its share of the mean
    (mse_loss(net(x.narrow(0, 3 * part, 3)), y.narrow(0, 3 * part, 3)) / 4).backward();
  for (size_t k = 0; k < parameters.size(); ++k) {
    const auto sum = parameters[k].grad().to_vector<double>(), expected = whole[k].to_vector<double>();
    for (size_t i = 0; i < sum.size(); ++i) CHECK(sum[i] == Approx(expected[i]).epsilon(1e-12).margin(1e-14));
  }
}

TEST_CASE("training brings the loss down") {
  manual_seed(1);
  nn::Sequential net(nn::Linear(2, 16), nn::Tanh(), nn::Linear(16, 2));
  optim::AdamW optimizer(net.parameters(), {.lr = 0.02});
  const Tensor x = randn({64, 2});  // the classes are the signs of x0 * x1, which no linear model tells apart
  const Tensor y = (x.select(1, 0) * x.select(1, 1) > 0).to(int64);
  double first = 0, last = 0;
  for (int step = 0; step < 300; ++step) {
    optimizer.zero_grad();
    const Tensor loss = cross_entropy(net(x), y);
    loss.backward();
    optimizer.step();
    (step == 0 ? first : last) = loss.item();
  }
  CHECK(first > 0.5);
  CHECK(last < 0.1);
}

TEST_CASE("a loss that is not a number gives gradients that are not, and DetectAnomaly names the op") {
  nn::Linear net(2, 1);
  net.weight.detach().fill_(std::nan(""));
  const auto loss = [&] { return mse_loss(net(ones({1, 2})), ones({1, 1})); };
  loss().backward();
  CHECK(std::isnan(net.bias.grad().item()));
  DetectAnomaly guard;
  CHECK_THROWS_WITH(loss(), Catch::Contains("[linear]"));
}
