// Schedules against the learning rates of PyTorch, which reference/make_schedules.py wrote.
#include <cotangent/optim/schedule.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/optim/adagrad.hpp>
#include <cotangent/optim/adam.hpp>
#include <cotangent/optim/plateau.hpp>
#include <cotangent/optim/sgd.hpp>
#include <cotangent/tensor/create.hpp>

#include "../json.hpp"

using namespace cotangent;
using namespace cotangent::optim;

namespace {

Tensors one_parameter() { return {zeros({1}).requires_grad_()}; }

Json reference(const std::string& name) {
  for (const Json& test : Json("schedules.json"))
    if (test["name"] == name) return test;
  throw Error("there is no case " + name);
}

void compare(const std::string& name, const Schedule& schedule) {
  INFO(name);
  const Json expected = reference(name);
  AdamW optimizer(one_parameter(), {.lr = 0.5}), resumed(one_parameter());
  LRScheduler scheduler(optimizer, schedule), second(resumed, schedule);
  for (size_t t = 0; t < 100; ++t) {
    INFO("step " << t);
    const double wanted = expected["lr"][t];
    CHECK(std::fabs(optimizer.lr() - wanted) <= 1e-12);
    CHECK(optimizer.lr() == scheduler.last_lr());
    CHECK(schedule.at(int64_t(t), 0.5) == Approx(wanted).epsilon(1e-11).margin(1e-13));
    if (expected.contains("momentum"))
      CHECK(std::fabs(*optimizer.momentum() - double(expected["momentum"][t])) <= 1e-12);
    else
      CHECK(*optimizer.momentum() == 0.9);
    if (t > 50) CHECK(resumed.lr() == optimizer.lr());
    if (t == 50) {
      resumed.load_state_dict(optimizer.state_dict());
      second.load_state_dict(scheduler.state_dict());
    }
    scheduler.step();
    if (t >= 50) second.step();
  }
}

std::vector<double> rates(const Schedule& schedule, int64_t count) {
  std::vector<double> result;
  for (int64_t t = 0; t < count; ++t) result.push_back(std::round(schedule.at(t, 1) * 1e6) / 1e6);
  return result;
}

}  // namespace

TEST_CASE("schedules set PyTorch's learning rates for 100 steps, and go on from step 50") {
  compare("step", StepLR{.step_size = 30, .gamma = 0.3});
  compare("multistep", MultiStepLR{.milestones = {10, 40, 40, 75}, .gamma = 0.5});
  compare("constant", ConstantLR{.factor = 0.25, .total_iters = 7});
  compare("linear", LinearLR{.start_factor = 0.1, .end_factor = 0.8, .total_iters = 33});
  compare("exponential", ExponentialLR{.gamma = 0.95});
  compare("polynomial", PolynomialLR{.total_iters = 60, .power = 1.7});
  compare("cosine", CosineAnnealingLR{.T_max = 40, .eta_min = 0.01});
  compare("restarts", CosineAnnealingWarmRestarts{.T_0 = 7, .T_mult = 2, .eta_min = 0.01});
  compare("restarts of one length", CosineAnnealingWarmRestarts{.T_0 = 9});
  compare("one cycle", OneCycleLR{.max_lr = 2, .total_steps = 100});
  compare("one cycle in three phases", OneCycleLR{.max_lr = 2,
                                                  .total_steps = 100,
                                                  .anneal_strategy = Anneal::linear,
                                                  .base_momentum = 0.8,
                                                  .max_momentum = 0.9,
                                                  .div_factor = 10,
                                                  .final_div_factor = 100,
                                                  .three_phase = true});
  compare("lambda", LambdaLR([](int64_t t) { return 1 / std::sqrt(t + 1); }));
  compare("chained", ChainedScheduler{{LinearLR{.start_factor = 0.1, .total_iters = 10}, ExponentialLR{.gamma = 0.97},
                                       StepLR{.step_size = 25, .gamma = 0.5}}});
  compare("sequential", SequentialLR{{LinearLR{.start_factor = 0.05, .total_iters = 10}, CosineAnnealingLR{.T_max = 60},
                                      ConstantLR{.factor = 0.2, .total_iters = 15}},
                                     {10, 70}});
}

TEST_CASE("schedules worked out by hand") {
  using V = std::vector<double>;
  CHECK(rates(CosineAnnealingLR{.T_max = 4}, 6) == V{1, 0.853553, 0.5, 0.146447, 0, 0.146447});
  CHECK(rates(CosineAnnealingWarmRestarts{.T_0 = 2, .T_mult = 2}, 8) ==
        V{1, 0.5, 1, 0.853553, 0.5, 0.146447, 1, 0.96194});
  CHECK(rates(OneCycleLR{.total_steps = 10}, 12 - 1) ==
        V{0.04, 0.52, 1, 0.950485, 0.811746, 0.611262, 0.388742, 0.188258, 0.049519, 0.000004, 0.000004});
  CHECK(rates(LinearLR{.start_factor = 0.25, .total_iters = 4}, 6) == V{0.25, 0.4375, 0.625, 0.8125, 1, 1});
  CHECK(rates(PolynomialLR{.total_iters = 4, .power = 2}, 6) == V{1, 0.5625, 0.25, 0.0625, 0, 0});
}

TEST_CASE("two schedulers multiply, and a rate changed by hand stays changed") {
  SGD optimizer({{one_parameter(), {.lr = 1}}, {one_parameter(), {.lr = 10}}});
  LRScheduler decay(optimizer, ExponentialLR{.gamma = 0.5});
  LRScheduler warm(optimizer, LinearLR{.start_factor = 0.5, .total_iters = 2});
  CHECK(optimizer.lr(1) == 5);
  decay.step(), warm.step();
  CHECK(optimizer.lr(0) == Approx(0.5 * 0.75));
  CHECK(optimizer.lr(1) == Approx(10 * 0.5 * 0.75));
  optimizer.lr(1) /= 3;
  decay.step(), warm.step();
  CHECK(optimizer.lr(0) == Approx(0.25));
  CHECK(optimizer.lr(1) == Approx(2.5 / 3));
  optimizer.add_group({one_parameter(), {.lr = 8}});
  decay.step();
  CHECK(optimizer.lr(2) == Approx(8 * 0.125));  // it starts with 8 as its base, at the time it is
}

TEST_CASE("one cycle moves the momentum of SGD, or none") {
  SGD optimizer(one_parameter(), {.lr = 1, .momentum = 0.9});
  LRScheduler scheduler(optimizer, OneCycleLR{.max_lr = 1, .total_steps = 10});
  CHECK(*optimizer.momentum() == Approx(0.95));
  scheduler.step(), scheduler.step();
  CHECK(*optimizer.momentum() == Approx(0.85));
  for (int t = 2; t < 10; ++t) scheduler.step();
  CHECK(scheduler.last_epoch() == 10);
  CHECK_THROWS_WITH(scheduler.step(), "[OneCycleLR] step 11 of a cycle of 10; stop, or make total_steps larger");
  CHECK(scheduler.last_epoch() == 10);
  Adagrad without(one_parameter());
  CHECK_THROWS_WITH(LRScheduler(without, OneCycleLR{.total_steps = 10}), Catch::Contains("neither momentum nor betas"));
  CHECK_NOTHROW(LRScheduler(without, OneCycleLR{.total_steps = 10, .cycle_momentum = false}));
}

TEST_CASE("a schedule and its optimizer are made and loaded in any order") {
  const SequentialLR warm_up{{LinearLR{.start_factor = 0.01, .total_iters = 5}, CosineAnnealingLR{.T_max = 7}}, {5}};
  const OneCycleLR cycle{.max_lr = 0.1, .total_steps = 20};
  for (const Schedule& schedule : {Schedule(warm_up), Schedule(cycle)})
    for (double change : {1.0, 0.5}) {  // as ReduceLROnPlateau does, between the last step and saving
      AdamW optimizer(one_parameter(), {.lr = 0.1});
      LRScheduler scheduler(optimizer, schedule);
      for (int t = 0; t < 5; ++t) scheduler.step();
      optimizer.lr() *= change;
      const StateDict rates = optimizer.state_dict(), state = scheduler.state_dict();
      const double at_5 = optimizer.lr(), momentum_at_5 = *optimizer.momentum();
      scheduler.step();
      const double at_6 = change * schedule.at(6, 0.1);
      for (int order = 0; order < 4; ++order) {
        INFO("order " << order);
        AdamW other(one_parameter(), {.lr = 0.1});
        if (order == 0) other.load_state_dict(rates);  // before the scheduler is made, which sets the first rate
        LRScheduler resumed(other, schedule);
        if (order == 1) other.load_state_dict(rates);
        resumed.load_state_dict(state);
        if (order == 2) other.load_state_dict(rates);  // in order 3 never
        CHECK(other.lr() == at_5);
        CHECK(*other.momentum() == momentum_at_5);
        CHECK(resumed.last_lr() == at_5);
        resumed.step();
        if (!schedule.has_momentum()) CHECK(other.lr() == Approx(at_6));  // OneCycleLR knows no base
        CHECK(other.lr() == Approx(optimizer.lr()).epsilon(1e-14));
        CHECK(*other.momentum() == *optimizer.momentum());
      }
    }
  CHECK(Schedule(warm_up).at(6, 0.1) == Approx(0.0950484));
}

TEST_CASE("a scheduler saves groups that were added after its last step") {
  SGD optimizer(one_parameter(), {.lr = 1}), other({{one_parameter(), {.lr = 1}}, {one_parameter(), {.lr = 3}}});
  const Schedule schedule = StepLR{.step_size = 1};
  LRScheduler scheduler(optimizer, schedule), resumed(other, schedule);
  optimizer.add_group({one_parameter(), {.lr = 2}});
  resumed.load_state_dict(scheduler.state_dict());
  scheduler.step(), resumed.step();
  for (size_t g : {0, 1}) CHECK(other.lr(g) == optimizer.lr(g));
  CHECK(other.lr(1) == Approx(0.2));
}

TEST_CASE("ReduceLROnPlateau reduces when PyTorch does, and goes on from its state") {
  const auto compare_plateau = [](const std::string& name, auto metric, const PlateauOptions& options) {
    INFO(name);
    const Json expected = reference(name);
    SGD optimizer(one_parameter(), {.lr = 0.5}), resumed(one_parameter(), {.lr = 1});
    ReduceLROnPlateau plateau(optimizer, options), second(resumed, options);
    int reductions = 0;
    for (size_t t = 0; t < 100; ++t) {
      INFO("step " << t);
      reductions += plateau.step(metric(double(t)));
      CHECK(std::fabs(optimizer.lr() - double(expected["lr"][t])) <= 1e-12);
      if (t > 50) {
        second.step(metric(double(t)));
        CHECK(resumed.lr() == optimizer.lr());
      }
      if (t == 50) resumed.load_state_dict(optimizer.state_dict()), second.load_state_dict(plateau.state_dict());
    }
    CHECK(reductions > 2);
  };
  compare_plateau("plateau", [](double t) { return 1 / (1 + std::min(t, 30.0)); }, {.factor = 0.5, .patience = 3});
  compare_plateau("plateau, maximum", [](double t) { return std::sin(t / 7) + 2; },
                  {.mode = PlateauMode::max,
                   .factor = 0.7,
                   .patience = 2,
                   .threshold = 0.01,
                   .threshold_mode = ThresholdMode::abs,
                   .cooldown = 4,
                   .min_lr = {0.05}});
}

TEST_CASE("a worse metric is worse below zero, too") {
  SGD optimizer(one_parameter());
  ReduceLROnPlateau plateau(optimizer, {.patience = 100, .threshold = 0.1});
  plateau.step(-10);
  plateau.step(-9.5);  // PyTorch: -9.5 < -10 * 0.9
  CHECK(plateau.best() == -10);
  plateau.step(-11.5);
  CHECK(plateau.best() == -11.5);
}

TEST_CASE("schedules refuse what they can't use") {
  SGD optimizer(one_parameter(), {.lr = 1});
  CHECK_THROWS_WITH(Schedule(StepLR{}), "[StepLR] step_size is 0; it must be 1 or more");
  CHECK_THROWS_WITH(Schedule(StepLR{.step_size = 1, .gamma = -1}), Catch::Contains("gamma is -1"));
  CHECK_THROWS_WITH(Schedule(MultiStepLR{.milestones = {-1}}), Catch::Contains("a milestone is -1"));
  CHECK_THROWS_WITH(Schedule(ConstantLR{.factor = 2}), Catch::Contains("factor is 2; it must be in [0, 1]"));
  CHECK_THROWS_WITH(Schedule(LinearLR{.start_factor = -1}), Catch::Contains("start_factor is -1"));
  CHECK_THROWS_WITH(Schedule(ExponentialLR{}), "[ExponentialLR] gamma is 0; it must be above 0");
  CHECK_THROWS_WITH(Schedule(PolynomialLR{.power = -1}), Catch::Contains("power is -1"));
  CHECK_THROWS_WITH(Schedule(CosineAnnealingLR{}), Catch::Contains("T_max is 0"));
  CHECK_THROWS_WITH(Schedule(CosineAnnealingWarmRestarts{.T_0 = 2, .T_mult = 0}), Catch::Contains("T_mult is 0"));
  CHECK_THROWS_WITH(Schedule(OneCycleLR{.total_steps = 3}), Catch::Contains("the rise must take a step or more"));
  CHECK_THROWS_WITH(Schedule(OneCycleLR{.total_steps = 100, .max_momentum = 1}), Catch::Contains("a momentum is 1"));
  CHECK_THROWS_WITH(Schedule(OneCycleLR{.total_steps = 100, .div_factor = 0}), Catch::Contains("div_factor is 0"));
  CHECK_THROWS_WITH(Schedule(SequentialLR{{StepLR{.step_size = 1}}, {1}}), Catch::Contains("one milestone fewer"));
  CHECK_THROWS_WITH(Schedule(SequentialLR{{LinearLR{}, LinearLR{}, LinearLR{}}, {4, 4}}), Catch::Contains("must rise"));
  CHECK_THROWS_WITH(Schedule(ChainedScheduler{}), Catch::Contains("there are no schedules"));
  CHECK_THROWS_WITH(LRScheduler(optimizer, LambdaLR([](int64_t) { return std::nan(""); })),
                    "[LRScheduler] the schedule gives the learning rate nan for step 0; it must be finite, 0 or more");
  CHECK(optimizer.lr() == 1);
  LRScheduler scheduler(optimizer, StepLR{.step_size = 1});
  CHECK_THROWS_WITH(scheduler.last_lr(1), Catch::Contains("there is no group 1"));
  CHECK_THROWS_AS(scheduler.load_state_dict(optimizer.state_dict()), ValueError);
  CHECK_THROWS_AS(scheduler.load_state_dict({}), ValueError);

  CHECK_THROWS_WITH(ReduceLROnPlateau(optimizer, {.factor = 1}), Catch::Contains("factor is 1; it must be in [0, 1)"));
  CHECK_THROWS_WITH(ReduceLROnPlateau(optimizer, {.patience = -1}), Catch::Contains("patience is -1"));
  CHECK_THROWS_WITH(ReduceLROnPlateau(optimizer, {.min_lr = {0, 0}}), Catch::Contains("2 values of min_lr"));
  ReduceLROnPlateau plateau(optimizer);
  CHECK_THROWS_WITH(plateau.step(std::nan("")), Catch::Contains("the metric of epoch 1 is NaN"));
  CHECK_THROWS_AS(plateau.load_state_dict(scheduler.state_dict()), ValueError);
}
