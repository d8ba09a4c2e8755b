#include <cotangent/optim/ema.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/loss.hpp>
#include <cotangent/nn/activation.hpp>
#include <cotangent/nn/container.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/norm.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

using namespace cotangent;

namespace {
nn::Linear one_weight(double value, Dtype dtype = float64) {
  nn::Linear layer(1, 1, {.bias = false, .dtype = dtype});
  layer.weight.detach().fill_(value);
  return layer;
}
double average_of(const optim::EMA& ema) { return ema.state_dict()["weight"].item(); }
}  // namespace

TEST_CASE("the average of k updates is d^k of the start and the rest of the weight") {
  nn::Linear layer = one_weight(5);
  optim::EMA ema(layer, {.decay = 0.9});
  for (int i = 0; i < 3; ++i) ema.update();
  CHECK(average_of(ema) == Approx(5).epsilon(1e-15));  // a constant weight is its average
  layer.weight.detach().fill_(-2);
  for (int k = 1; k <= 20; ++k) {
    ema.update();
    CHECK(average_of(ema) == Approx(std::pow(0.9, k) * 5 - (1 - std::pow(0.9, k)) * 2).epsilon(1e-12));
  }
}

TEST_CASE("with warm-up an average forgets its start sooner") {
  nn::Linear layer = one_weight(0);
  optim::EMA ema(layer, {.decay = 0.5, .warmup = true});
  layer.weight.detach().fill_(1);
  double expected = 0;
  for (int t = 0; t < 20; ++t) {
    ema.update();
    const double d = std::min(0.5, (1.0 + t) / (10.0 + t));
    expected = d * expected + (1 - d);
    CHECK(average_of(ema) == Approx(expected).epsilon(1e-13));
  }
}

TEST_CASE("averages are swapped in and out, bit by bit") {
  manual_seed(1);
  nn::Sequential net(nn::Linear(3, 4), nn::BatchNorm1d(4), nn::ReLU(), nn::Linear(4, 1));
  optim::EMA ema(net, {.decay = 0.5});
  const Tensor x = randn({8, 3});
  net(x);
  for (const Tensor& p : net.parameters()) p.detach().add_(1);
  const nn::StateDict own = net.state_dict().clone();
  ema.update();
  {
    const optim::EMA::Scope averaged(ema);
    CHECK(net.state_dict()["0.weight"].to_vector<float>() == ema.state_dict()["0.weight"].to_vector<float>());
    CHECK(net.state_dict()["0.weight"].to_vector<float>() != own["0.weight"].to_vector<float>());
    CHECK(net.state_dict()["1.running_mean"].to_vector<float>() == own["1.running_mean"].to_vector<float>());
    CHECK_THROWS_WITH(ema.update(), Catch::Contains("while the averages are in the model"));
    CHECK_THROWS_WITH(ema.swap_in(), Catch::Contains("in the model already"));
  }
  for (const auto& [name, tensor] : net.state_dict())
    CHECK(tensor.to_vector<double>() == own[name].to_vector<double>());
  CHECK_THROWS_WITH(ema.swap_out(), Catch::Contains("are not in the model"));
}

TEST_CASE("buffers are averaged on request, but for the integers") {
  nn::BatchNorm1d norm(2);
  optim::EMA ema(norm, {.decay = 0.5, .average_buffers = true});
  norm.running_mean.fill_(4);
  ema.update();
  CHECK(ema.state_dict()["running_mean"].to_vector<float>() == std::vector<float>{2, 2});
  CHECK_FALSE(ema.state_dict().contains("num_batches_tracked"));
}

TEST_CASE("the average of low-precision weights is not of low precision") {
  nn::Linear layer = one_weight(1, bfloat16);
  optim::EMA ema(layer, {.decay = 0.999});
  layer.weight.detach().fill_(2);
  for (int i = 0; i < 10; ++i) ema.update();
  CHECK(average_of(ema) == Approx(2 - std::pow(0.999, 10)).epsilon(1e-6));
  const optim::EMA::Scope averaged(ema);
  CHECK(layer.weight.item() == Approx(1.0078125));  // the nearest bfloat16
}

TEST_CASE("an average goes on from its state") {
  nn::Linear a = one_weight(1), b = one_weight(7);
  optim::EMA first(a, {.decay = 0.9, .warmup = true}), second(b, {.decay = 0.9, .warmup = true});
  for (int i = 0; i < 5; ++i) a.weight.detach().add_(0.3), first.update();
  second.load_state_dict(first.state_dict().clone());
  b.weight.detach().copy_(a.weight.detach());
  for (int i = 0; i < 5; ++i) {
    for (nn::Linear* m : {&a, &b}) m->weight.detach().add_(0.3);
    first.update(), second.update();
    CHECK(average_of(first) == average_of(second));
  }
  nn::Linear other(2, 1);
  optim::EMA third(other);
  CHECK_THROWS_WITH(third.load_state_dict(first.state_dict()), Catch::Contains("the average of weight is (1, 1)"));
  CHECK_THROWS_WITH(first.load_state_dict({}), Catch::Contains("not the state of an EMA"));
  CHECK_THROWS_WITH(optim::EMA(a, {.decay = 1.5}), "[EMA] decay is 1.5; it must be in [0, 1]");
  nn::ReLU without;
  CHECK_THROWS_WITH(optim::EMA(without), Catch::Contains("no parameters"));
}
