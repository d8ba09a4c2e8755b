// GradScaler against PyTorch's series of scales, which reference/make_amp.py wrote, and master weights.
#include <cotangent/optim/grad_scaler.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/optim/adadelta.hpp>
#include <cotangent/optim/adagrad.hpp>
#include <cotangent/optim/adam.hpp>
#include <cotangent/optim/adamax.hpp>
#include <cotangent/optim/clip.hpp>
#include <cotangent/optim/lbfgs.hpp>
#include <cotangent/optim/lion.hpp>
#include <cotangent/optim/nadam.hpp>
#include <cotangent/optim/radam.hpp>
#include <cotangent/optim/rmsprop.hpp>
#include <cotangent/optim/rprop.hpp>
#include <cotangent/optim/schedule.hpp>
#include <cotangent/optim/sgd.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

#include "../json.hpp"

using namespace cotangent;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// f(optimizer of these parameters) for each kind.
template <class F>
void for_each_kind(F f) {
  f([](const Tensors& p) { return optim::SGD(p, {.lr = 0.1, .momentum = 0.9}); });
  f([](const Tensors& p) { return optim::Adam(p, {.lr = 0.1}); });
  f([](const Tensors& p) { return optim::AdamW(p, {.lr = 0.1}); });
  f([](const Tensors& p) { return optim::NAdam(p, {.lr = 0.1}); });
  f([](const Tensors& p) { return optim::RAdam(p, {.lr = 0.1}); });
  f([](const Tensors& p) { return optim::Adamax(p, {.lr = 0.1}); });
  f([](const Tensors& p) { return optim::Adadelta(p, {.lr = 0.1}); });
  f([](const Tensors& p) { return optim::Adagrad(p, {.lr = 0.1}); });
  f([](const Tensors& p) { return optim::RMSprop(p, {.lr = 0.1}); });
  f([](const Tensors& p) { return optim::Lion(p, {.lr = 0.1}); });
  f([](const Tensors& p) { return optim::Rprop(p, {.lr = 0.1}); });
}

Tensor parameter(std::vector<double> values, Dtype dtype = float32) {
  return from_vector(values, {std::ssize(values)}).to(dtype).requires_grad_();
}

}  // namespace

TEST_CASE("conversions to float16 and bfloat16 give the bits of a table") {
  const auto to_bits = [](const Tensor& x) {
    uint16_t bits;
    std::memcpy(&bits, x.raw_data(), 2);
    return int64_t{bits};
  };
  const Json table = Json("amp.json")["bits"];
  REQUIRE(table.size() == 39);
  for (const Json& row : table) {
    INFO(row["name"].get<std::string>());
    const auto bits = static_cast<uint32_t>(row["float32"].get<int64_t>());
    float value;
    std::memcpy(&value, &bits, 4);
    const Tensor x = full({1}, value, float32), half = x.to(float16), brain = x.to(bfloat16);
    if (std::isnan(value)) {  // of which there are many
      CHECK(std::isnan(half.item()));
      CHECK(std::isnan(brain.item()));
      continue;
    }
    CHECK(to_bits(half) == row["float16"].get<int64_t>());
    CHECK(to_bits(brain) == row["bfloat16"].get<int64_t>());
  }
}

TEST_CASE("GradScaler: scales, parameters and skipped steps are PyTorch's") {
  for (const Json& test : Json("amp.json")["scaler"]) {
    const Json given = test["options"];
    const optim::GradScalerOptions options{.init_scale = given.value("init_scale", 65536.0),
                                           .growth_factor = given.value("growth_factor", 2.0),
                                           .backoff_factor = given.value("backoff_factor", 0.5),
                                           .growth_interval = given.value("growth_interval", int64_t{2000})};
    const auto bad = test["bad"].get<std::vector<int64_t>>();
    const Tensor p = parameter({1, -2});
    optim::Adam optimizer({p}, {.lr = 0.1});
    optim::LRScheduler schedule(optimizer, optim::ExponentialLR{.gamma = 1});
    optim::GradScaler scaler(options);
    for (int64_t t = 0; t < 40; ++t) {
      INFO("step " << t);
      optimizer.zero_grad();
      scaler.scale(sum(square(p))).backward();
      if (std::find(bad.begin(), bad.end(), t) != bad.end()) {
        std::vector<double> g = p.grad().to_vector<double>();
        g[static_cast<size_t>(t % 2)] = t % 3 ? kInfinity : std::nan("");
        p.set_grad(from_vector(g, {2}).to(float32));
      }
      scaler.unscale_(optimizer);
      optim::clip_grad_norm_(optimizer.masters(), 1.0);
      if (scaler.step(optimizer)) schedule.step();
      scaler.update();
      const size_t i = static_cast<size_t>(t);
      CHECK(scaler.scale() == test["scale"][i].get<double>());
      CHECK(scaler.state_dict()["_growth_tracker"].item() == test["tracker"][i].get<double>());
      for (int64_t k = 0; k < 2; ++k)
        CHECK(std::fabs(p[k].item() - test["p"][i][static_cast<size_t>(k)].get<double>()) < 1e-6);
    }
    const double taken = test["adam_steps"].get<double>();
    CHECK(taken < 40);
    CHECK(optimizer.state_dict()["state.0.step"].item() == taken);
    CHECK(static_cast<double>(schedule.last_epoch()) == taken);
  }
}

TEST_CASE("GradScaler: a power of 2 changes no bit") {
  Generator generator(3);
  const Tensor start = randn({50}, float32, generator), x = randn({50}, float32, generator);
  const auto run = [&](bool enabled) {
    const Tensor p = start.clone().requires_grad_();
    optim::AdamW optimizer({p}, {.lr = 0.01});
    optim::GradScaler scaler({.growth_interval = 3, .enabled = enabled});
    for (int t = 0; t < 10; ++t) {
      optimizer.zero_grad();
      scaler.scale(sum(square(p * x - 1))).backward();
      CHECK(scaler.step(optimizer));
      scaler.update();
    }
    CHECK(scaler.scale() == (enabled ? 65536 * 8 : 1));
    return p.detach();
  };
  CHECK(equal(run(true), run(false)));
}

TEST_CASE("GradScaler: the scale falls no further than its inverse is a number, and grows again") {
  const Tensor p = parameter({1, -2});
  optim::SGD optimizer({p}, {.lr = 0.1});
  optim::GradScaler scaler({.init_scale = 1e-30, .backoff_factor = 1e-3, .growth_interval = 1});
  for (int t = 0; t < 5; ++t) {
    p.set_grad(from_vector(std::vector<float>{1, NAN}, {2}));
    CHECK_FALSE(scaler.step(optimizer));
    scaler.update();
  }
  CHECK(scaler.scale() == 0x1p-126);
  optimizer.zero_grad();
  scaler.scale(sum(p * p) * 0x1p30).backward();
  CHECK(scaler.step(optimizer));
  scaler.update();
  CHECK(scaler.scale() == 0x1p-125);
  CHECK(p[0].item() == Approx(1 - 0.2 * 0x1p30));
  CHECK_THROWS_AS(optim::GradScaler({.init_scale = 1e-39}), ValueError);

  StateDict state = scaler.state_dict();
  Tensor(state["_growth_tracker"]).fill_(7);  // of a longer interval
  scaler.load_state_dict(state);
  optimizer.zero_grad();
  scaler.scale(sum(p)).backward();
  scaler.step(optimizer);
  scaler.update();
  CHECK(scaler.scale() == 0x1p-124);
  Tensor(state["growth_interval"]).fill_(NAN);
  CHECK_THROWS_AS(scaler.load_state_dict(state), ValueError);
}

TEST_CASE("GradScaler: calls out of order, options out of range and float16 without a master are errors") {
  using optim::GradScaler;
  CHECK_THROWS_WITH(GradScaler({.init_scale = 0}), Catch::Contains("init_scale is 0"));
  CHECK_THROWS_WITH(GradScaler({.init_scale = 1e39}), Catch::Contains("must be positive and finite"));
  CHECK_THROWS_WITH(GradScaler({.growth_factor = 1}), Catch::Contains("growth_factor is 1"));
  CHECK_THROWS_WITH(GradScaler({.backoff_factor = 1}), Catch::Contains("backoff_factor is 1"));
  CHECK_THROWS_WITH(GradScaler({.growth_interval = 0}), Catch::Contains("growth_interval is 0"));
  const Tensor p = parameter({1}), half = parameter({1}, float16);
  optim::SGD sgd({p}, {.lr = 1}), low({half}, {.lr = 1});
  GradScaler scaler;
  CHECK_THROWS_WITH(scaler.update(), Catch::Contains("update() before any step()"));
  scaler.scale(sum(p)).backward();
  CHECK(p.grad().item() == 65536);
  scaler.unscale_(sgd);
  CHECK(p.grad().item() == 1);
  CHECK_THROWS_WITH(scaler.unscale_(sgd), Catch::Contains("twice before a step()"));
  CHECK(scaler.step(sgd));
  CHECK_THROWS_WITH(scaler.step(sgd), Catch::Contains("step() twice"));
  CHECK_THROWS_WITH(scaler.unscale_(sgd), Catch::Contains("after step()"));
  half.set_grad(ones({1}, float16));
  CHECK_THROWS_AS(scaler.step(low), DTypeError);
  CHECK(half.grad().item() == 1);
  scaler.update();
  CHECK_THROWS_WITH(scaler.load_state_dict({}), Catch::Contains("not the state of a GradScaler"));
}

TEST_CASE("GradScaler: infinity in any gradient of any optimizer counts, and large numbers of float64 do not") {
  const Tensor a = parameter({1}), b = parameter({1}), c = parameter({1}), wide = parameter({1}, float64);
  for (const size_t bad : {0, 1, 2, 3}) {  // 3: none
    INFO("bad " << bad);
    optim::SGD first({a, b}, {.lr = 1}), second({c, wide}, {.lr = 1e-200});
    optim::GradScaler scaler({.init_scale = 4});
    const Tensor places[] = {a, b, c};
    for (size_t i = 0; i < 3; ++i) places[i].set_grad(full({1}, i == bad ? kInfinity : 4.0));
    wide.set_grad(full({1}, 1e200, float64));  // whose square is beyond float64
    const double before_a = a.item(), before_b = b.item();
    CHECK(scaler.step(first) == (bad > 1));
    CHECK(scaler.step(second) == (bad != 2));
    CHECK(a.item() == (bad > 1 ? before_a - 1 : before_a));
    CHECK(b.item() == (bad > 1 ? before_b - 1 : before_b));
    scaler.update();
    CHECK(scaler.scale() == (bad == 3 ? 4 : 2));
  }
}

TEST_CASE("GradScaler goes on from a state, and is nothing when it is off") {
  const Tensor p = parameter({1});
  optim::SGD sgd({p}, {.lr = 0});
  const auto take = [&](optim::GradScaler& scaler, double gradient) {
    p.set_grad(full({1}, gradient));
    const bool stepped = scaler.step(sgd);
    scaler.update();
    return stepped;
  };
  optim::GradScaler scaler({.growth_interval = 3}), other;
  CHECK(!take(scaler, kInfinity));
  for (int i = 0; i < 2; ++i) CHECK(take(scaler, 1));
  other.load_state_dict(scaler.state_dict());
  CHECK(other.scale() == 32768);
  CHECK(take(other, 1));
  CHECK(other.scale() == 65536);
  other.unscale_(sgd);
  other.load_state_dict(scaler.state_dict());
  other.unscale_(sgd);  // a loaded state has seen nothing yet

  const Tensor half = other.scale(full({}, 2.0, float16));
  CHECK(half.dtype() == float32);
  CHECK(half.item() == 65536);  // more than float16 holds
  CHECK(optim::GradScaler({.init_scale = 0.1}).scale() == double{0.1f});

  optim::GradScaler off({.enabled = false});
  CHECK(off.scale(full({}, 2.0)).item() == 2);
  CHECK(take(off, kInfinity));
  CHECK(off.scale() == 1);
}

TEST_CASE("master weights: 2000 additions of 1e-4 to 1 are lost in float16, and reach 1.2 with a copy in float32") {
  for (const bool kept : {false, true}) {
    const Tensor p = parameter({1}, float16);
    optim::SGD sgd({p}, {.lr = 1e-4});
    if (kept) sgd.keep_masters();
    for (int t = 0; t < 2000; ++t) {
      p.set_grad(full({1}, -1.0, float16));
      sgd.step();
    }
    CHECK(p.item() == (kept ? full({}, 1.2).to(float16).item() : 1));
    if (kept) CHECK(std::fabs(sgd.masters()[0].item() - 1.2) < 1e-4);
  }
}

TEST_CASE("loss scaling: 1e-8 is 0 in float16, and 65536 times as much is not") {
  const Tensor small = full({}, 1e-8);
  CHECK(small.to(float16).item() == 0);
  CHECK(std::fabs((small * 65536).to(float16).item() / 65536 - 1e-8) < 1e-11);
  for (const bool scaled : {false, true}) {
    const Tensor p = parameter({1}, float16);
    optim::SGD sgd({p}, {.lr = 1e4});
    sgd.keep_masters();
    optim::GradScaler scaler({.enabled = scaled});
    scaler.scale(sum(p.to(float32) * 1e-8)).backward();
    CHECK(scaler.step(sgd));
    CHECK(std::fabs(sgd.masters()[0].item() - (scaled ? 1 - 1e-4 : 1)) < 1e-7);
  }
}

TEST_CASE("master weights: every optimizer goes the way of a float32 parameter, and on from its state, bit for bit") {
  for (const Dtype dtype : {float16, bfloat16})
    for_each_kind([&](auto make) {
      const Tensor low = parameter({0.5, -1.25, 2, 0}, dtype), full_precision = parameter({0.5, -1.25, 2, 0});
      const Tensor again = parameter({0, 0, 0, 0}, dtype), wide = parameter({3}, float64);
      const Tensor wide_again = parameter({3}, float64);
      auto optimizer = make({low, wide}), plain = make({full_precision}), resumed = make({again, wide_again});
      optimizer.keep_masters();
      CHECK(optimizer.masters()[1].impl() == wide.impl());
      Generator generator(5);
      const auto step = [&](auto& of, const Tensor& p, const Tensor& g) {
        p.set_grad(g.to(p.dtype()));
        of.step();
      };
      for (int t = 0; t < 20; ++t) {
        const Tensor g = randn({4}, float32, generator).to(dtype);
        step(optimizer, low, g);
        step(plain, full_precision, g);
        CHECK(equal(optimizer.masters()[0].detach(), full_precision.detach()));
        CHECK(equal(low.detach(), full_precision.detach().to(dtype)));
        if (t == 9) {
          again.detach().copy_(low.detach());
          resumed.load_state_dict(optimizer.state_dict().clone());
        }
        if (t >= 10) {
          step(resumed, again, g);
          CHECK(equal(resumed.masters()[0].detach(), full_precision.detach()));
        }
      }
      optimizer.zero_grad();
      CHECK(!low.grad().defined());
    });
}

TEST_CASE("master weights: a gradient that is set at the master goes before the parameter's, until zero_grad()") {
  const Tensor p = parameter({1}, float16);
  optim::SGD sgd({p}, {.lr = 1});
  sgd.keep_masters();
  p.set_grad(ones({1}, float16));
  sgd.masters()[0].set_grad(full({1}, 0.25));
  sgd.step();
  CHECK(p.item() == 0.75);
  sgd.zero_grad();
  CHECK(!sgd.masters()[0].grad().defined());
  p.set_grad(ones({1}, float16));
  sgd.step();
  CHECK(p.item() == -0.25);
}

TEST_CASE("master weights follow a parameter that is written, fit their parameters, and LBFGS has none") {
  const Tensor p = parameter({1, 2}, bfloat16);
  optim::SGD sgd({p}, {.lr = 1e-4});
  sgd.keep_masters();
  const auto step = [&] {
    p.set_grad(ones({2}, bfloat16));
    sgd.step();
  };
  const uint32_t version = p.version();
  step();
  CHECK(p.version() > version);  // so that a backward pass notices
  CHECK(p[0].item() == 1);
  const double before = sgd.masters()[0][0].item();
  CHECK(before < 1);
  p.detach()[1].copy_(full({}, 3.0));
  step();
  CHECK(sgd.masters()[0][0].item() < before);  // went on where it was
  CHECK(std::fabs(sgd.masters()[0][1].item() - (3 - 1e-4)) < 1e-6);

  const Tensor other = parameter({1, 2}), longer = parameter({1, 2, 3}, bfloat16);
  optim::SGD of_other({other}), of_longer({longer});
  CHECK_THROWS_WITH(of_other.load_state_dict(sgd.state_dict()), Catch::Contains("belongs to another model"));
  const Tensor second = parameter({3}, bfloat16);
  optim::SGD both({p, second}, {.lr = 1e-4}), plain({p, second}, {.lr = 1e-4});
  both.keep_masters();
  StateDict half;
  for (const auto& [name, x] : both.state_dict())
    if (name != "state.1.master") half.add(name, x);
  CHECK_THROWS_WITH(both.load_state_dict(half), Catch::Contains("1 master weights for 2 low-precision parameters"));
  both.load_state_dict(plain.state_dict());  // of a training without: they start at the parameters
  CHECK(equal(both.masters()[1].detach(), full({1}, 3.0)));

  const StateDict state = sgd.state_dict().clone();
  const double saved = state["state.0.master"][1].item();
  sgd.load_state_dict(state);
  step();
  CHECK(state["state.0.master"][1].item() == saved);  // steps write to no state that was loaded
  CHECK_THROWS_WITH(of_longer.load_state_dict(sgd.state_dict()), Catch::Contains("belongs to another model"));
  optim::LBFGS lbfgs({parameter({1})});
  CHECK_THROWS_AS(lbfgs.keep_masters(), ValueError);
}
