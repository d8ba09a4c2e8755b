// The levels O0 to O3: what they make of a model, and that it learns.
#include <cotangent/train/mixed_precision.hpp>

#include <catch2/catch.hpp>

#include <cmath>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/loss.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/nn/activation.hpp>
#include <cotangent/nn/container.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/norm.hpp>
#include <cotangent/optim/adam.hpp>
#include <cotangent/optim/clip.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

using namespace cotangent;

namespace {

struct Net : nn::Module {
  nn::Linear first{2, 16};
  nn::BatchNorm1d norm{16};
  nn::Linear second{16, 1};
  Dtype seen = float32;  // what the norm gave
  COTANGENT_MODULE(first, norm, second)
  Tensor forward(const Tensor& x) {
    const Tensor h = norm(first(x));
    seen = h.dtype();
    return second(tanh(h));
  }
};

struct Trained {
  double loss;
  Tensor weight;
};
struct Recipe {
  bool by_hand = false, masters = true;
  double lr = 0.02;
};
Trained train(PrecisionLevel level, Dtype dtype, const Recipe& recipe = {}) {
  Generator generator(2);
  const UseGenerator use(generator);
  Net net;
  const Tensor x = randn({64, 2}, float32, generator), y = sin(x.narrow(1, 0, 1) * x.narrow(1, 1, 1));
  MixedPrecision amp(net, level, dtype);
  optim::Adam optimizer(net.parameters(), {.lr = recipe.lr});
  if (recipe.masters) amp.prepare(optimizer);
  double last = 0;
  for (int step = 0; step < 120; ++step) {
    optimizer.zero_grad();
    const Tensor out = recipe.by_hand ? net(x) : amp(net, x);
    CHECK(out.dtype() == float32);
    const Tensor loss = mse_loss(out, y);
    amp.scaler.scale(loss).backward();
    if (amp.scaler.is_enabled()) amp.scaler.unscale_(optimizer);
    optim::clip_grad_norm_(optimizer.masters(), 5);
    amp.scaler.step(optimizer);
    amp.scaler.update();
    last = loss.item();
  }
  return {last, net.first.weight.detach()};
}

}  // namespace

TEST_CASE("levels of mixed precision: dtypes of the model, its norms, what flows in it, and masters") {
  using enum PrecisionLevel;
  for (const Dtype dtype : {float16, bfloat16})
    for (const PrecisionLevel level : {O0, O1, O2, O3}) {
      INFO("level O" << static_cast<int>(level) << " in " << name(dtype));
      Net net;
      net.norm.weight.detach().fill_(1 + 1e-6);  // which float16 rounds
      const double exact = net.norm.weight[0].item();
      MixedPrecision amp(net, level, dtype);
      const bool low = level == O2 || level == O3;
      CHECK(net.first.weight.dtype() == (low ? dtype : float32));
      CHECK(net.second.bias.dtype() == (low ? dtype : float32));
      CHECK(net.norm.weight.dtype() == (level == O3 ? dtype : float32));
      CHECK(net.norm.running_var.dtype() == (level == O3 ? dtype : float32));
      if (level != O3) CHECK(net.norm.weight[0].item() == exact);
      CHECK(amp.scaler.is_enabled() == (dtype == float16 && (level == O1 || level == O2)));
      const Tensor y = amp(net, ones({3, 2}) * arange(3).to(float32).unsqueeze(1));
      CHECK(y.dtype() == float32);
      CHECK(net.seen == (low ? dtype : float32));
      CHECK(!autocast_enabled());
      optim::Adam optimizer(net.parameters());
      amp.prepare(optimizer);
      for (size_t i = 0; i < net.parameters().size(); ++i)
        CHECK(optimizer.masters()[i].dtype() == (level == O3 ? dtype : float32));
    }
  nn::Sequential norms(nn::LayerNorm(4), nn::RMSNorm(4), nn::ScaleNorm(4), nn::GroupNorm(2, 4), nn::InstanceNorm1d(4),
                       nn::BatchNorm1d(4));
  const MixedPrecision of_norms(norms, O2);
  for (const NamedTensor& p : norms.named_parameters()) {
    INFO(p.name);
    CHECK(p.tensor.dtype() == float32);
  }
  Net net;
  CHECK_THROWS_AS(MixedPrecision(net, O1, float32), DTypeError);
  CHECK_THROWS_AS(MixedPrecision(net, O1, float16, {.growth_factor = double{NAN}}), ValueError);

  nn::Sequential mixed(nn::LayerNorm(3), nn::RMSNorm(3), nn::ScaleNorm(3), nn::Linear(3, 2));  // norms give x's dtype
  const MixedPrecision amp(mixed, O2, bfloat16);
  CHECK(amp(mixed, ones({0, 3})).shape() == Shape{0, 2});
  CHECK(all(isnan(amp(mixed, full({1, 3}, NAN)))).item<bool>());
}

TEST_CASE("levels of mixed precision learn what float32 learns; O0 is float32") {
  using enum PrecisionLevel;
  const Trained plain = train(O0, float16, {.by_hand = true}), level0 = train(O0, float16);
  CHECK(equal(plain.weight, level0.weight));
  for (const Dtype dtype : {float16, bfloat16})
    for (const PrecisionLevel level : {O1, O2}) {
      INFO("level O" << static_cast<int>(level) << " in " << name(dtype));
      CHECK(train(level, dtype).loss < 2 * plain.loss + 1e-3);
    }
}

TEST_CASE(
    "levels of mixed precision: at a tiny rate bfloat16 learns with master weights as float32, and less without") {
  const auto loss = [](PrecisionLevel level, bool masters) {
    return train(level, bfloat16, {.masters = masters, .lr = 1e-4}).loss;
  };
  const double start = train(PrecisionLevel::O0, bfloat16, {.lr = 0}).loss, full = loss(PrecisionLevel::O0, true);
  const double gained = start - full;
  INFO("from " << start << " to " << full << "; without masters " << loss(PrecisionLevel::O2, false));
  CHECK(gained > 0);
  CHECK(std::fabs(loss(PrecisionLevel::O2, true) - full) < 0.15 * gained);
  CHECK(start - loss(PrecisionLevel::O2, false) < 0.75 * gained);  // of norms, and weights near 0
}
