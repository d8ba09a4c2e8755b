// The optimizers against PyTorch's trajectories, which reference/make_optim.py wrote.
#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/optim/adadelta.hpp>
#include <cotangent/optim/adagrad.hpp>
#include <cotangent/optim/adam.hpp>
#include <cotangent/optim/adamax.hpp>
#include <cotangent/optim/lion.hpp>
#include <cotangent/optim/nadam.hpp>
#include <cotangent/optim/radam.hpp>
#include <cotangent/optim/rmsprop.hpp>
#include <cotangent/optim/rprop.hpp>
#include <cotangent/optim/rule.hpp>
#include <cotangent/optim/sgd.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>

#include "../json.hpp"

using namespace cotangent;

namespace {

using Vectors = std::vector<std::vector<double>>;

Tensors make_parameters(const Vectors& values, Dtype dtype = float64) {
  Tensors parameters;
  for (const auto& v : values) {
    Tensor p = from_vector(v, {static_cast<int64_t>(v.size())}).to(dtype);
    parameters.push_back(p.requires_grad_());
  }
  return parameters;
}

void set_gradients(const Tensors& parameters, const Vectors& slopes, int t) {
  for (size_t k = 0; k < parameters.size(); ++k) {
    std::vector<double> g = parameters[k].to_vector<double>();
    for (size_t i = 0; i < g.size(); ++i) g[i] = slopes[k][i] * g[i] + std::sin(0.1 * t * double(i + 1));
    parameters[k].set_grad(from_vector(g, parameters[k].shape()).to(parameters[k].dtype()));
  }
}

nn::StateDict entries_of(const Json& named) {
  nn::StateDict entries;
  for (const auto& [name, value] : named.items())
    if (value.is_array())
      entries.add(name, from_vector(value.get<std::vector<double>>(), {int64_t(value.size())}));
    else
      entries.add(name, full({}, value.is_boolean() ? double(value.get<bool>()) : value.get<double>(), float64));
  return entries;
}

template <class Options>
Options options_from(const Json& named) {
  const nn::StateDict entries = entries_of(named);
  Options options;
  optim::detail::Fields fields(entries, "", {});
  options.fields(fields);
  REQUIRE(fields.count() == entries.size());
  return options;
}

void check_values(const Tensors& parameters, const Json& expected) {
  for (size_t k = 0; k < parameters.size(); ++k) {
    const auto values = parameters[k].to_vector<double>();
    for (size_t i = 0; i < values.size(); ++i) {
      INFO("parameter " << k << ", element " << i);
      const double wanted = expected[k][i];
      CHECK(std::fabs(values[i] - wanted) <= 1e-12 * std::max(1.0, std::fabs(wanted)));
    }
  }
}

/// 100 steps beside PyTorch; and the second half again by an optimizer that was made from the first one's state.
template <class Optimizer, class Options>
void compare(const Json& data, const Json& test) {
  const Vectors slopes = data["slopes"];
  const Tensors parameters = make_parameters(data["initial"]);
  Optimizer optimizer(parameters, options_from<Options>(test["options"]));
  Tensors again;
  nn::StateDict half;
  for (int t = 1; t <= 100; ++t) {
    set_gradients(parameters, slopes, t);
    optimizer.step();
    const std::string now = std::to_string(t);
    if (test["after"].contains(now)) check_values(parameters, test["after"][now]);
    if (t != 50) continue;
    again = make_parameters({parameters[0].to_vector<double>(), parameters[1].to_vector<double>()});
    half = optimizer.state_dict().clone();
  }
  Optimizer resumed(again);
  resumed.load_state_dict(half);
  Optimizer moved = std::move(resumed);
  resumed = std::move(moved);  // the state goes along
  for (int t = 51; t <= 100; ++t) set_gradients(again, slopes, t), resumed.step();
  for (size_t k = 0; k < again.size(); ++k)
    CHECK(again[k].to_vector<double>() == parameters[k].to_vector<double>());  // bitwise
}

template <class F>
void for_each_optimizer(F&& f) {
  f("SGD", std::type_identity<optim::SGD>(), std::type_identity<optim::SGDOptions>());
  f("Adam", std::type_identity<optim::Adam>(), std::type_identity<optim::AdamOptions>());
  f("AdamW", std::type_identity<optim::AdamW>(), std::type_identity<optim::AdamWOptions>());
  f("NAdam", std::type_identity<optim::NAdam>(), std::type_identity<optim::NAdamOptions>());
  f("RAdam", std::type_identity<optim::RAdam>(), std::type_identity<optim::RAdamOptions>());
  f("Adamax", std::type_identity<optim::Adamax>(), std::type_identity<optim::AdamaxOptions>());
  f("Adadelta", std::type_identity<optim::Adadelta>(), std::type_identity<optim::AdadeltaOptions>());
  f("Adagrad", std::type_identity<optim::Adagrad>(), std::type_identity<optim::AdagradOptions>());
  f("RMSprop", std::type_identity<optim::RMSprop>(), std::type_identity<optim::RMSpropOptions>());
  f("Lion", std::type_identity<optim::Lion>(), std::type_identity<optim::LionOptions>());
  f("Rprop", std::type_identity<optim::Rprop>(), std::type_identity<optim::RpropOptions>());
}

struct Head : nn::Module {
  nn::Linear body{2, 2}, head{2, 3};
  COTANGENT_MODULE(body, head)
  Tensor forward(const Tensor& x) { return head(body(x)); }
};

const Vectors kInitial{{0.5, -1.25, 2.0, 0.0, -0.75, 1.5}, {1.0, -2.0, 0.25}};
const Vectors kSlopes{{0.3, 1.1, 0.7, 2.0, 0.05, 1.6}, {0.9, 0.2, 1.3}};

}  // namespace

TEST_CASE("the optimizers take PyTorch's path for 100 steps, and go on from step 50 as if they had not stopped") {
  const Json data("optim.json");
  size_t compared = 0;
  for_each_optimizer([&]<class Optimizer, class Options>(const char* name, std::type_identity<Optimizer>,
                                                         std::type_identity<Options>) {
    for (const Json& test : data["cases"]) {
      if (test["optimizer"] != name) continue;
      INFO(name << " " << test["options"]);
      compare<Optimizer, Options>(data, test);
      ++compared;
    }
  });
  CHECK(compared == data["cases"].size());
  CHECK(compared == 42);
}

TEST_CASE("three steps of a single number, worked out by hand") {
  const auto path = [](auto make, std::vector<double> gradients = {0.5, -0.2, 0.1}) {
    const Tensors p = make_parameters({{1.0}});
    auto optimizer = make(p);
    std::vector<double> result;
    for (double g : gradients) {
      p[0].set_grad(full({1}, g, float64));
      optimizer.step();
      result.push_back(p[0].item());
    }
    return result;
  };
  const auto check = [](const std::vector<double>& values, const std::vector<double>& expected) {
    for (size_t i = 0; i < expected.size(); ++i) CHECK(std::fabs(values[i] - expected[i]) < 6e-11);
  };
  using namespace optim;
  check(path([](auto& p) { return SGD(p, {.lr = 0.1, .momentum = 0.9}); }), {0.95, 0.925, 0.8925});
  check(path([](auto& p) { return SGD(p, {.lr = 0.1, .momentum = 0.9, .dampening = 0.5}); }), {0.95, 0.915, 0.8785});
  check(path([](auto& p) { return SGD(p, {.lr = 0.1, .momentum = 0.9, .nesterov = true}); }), {0.905, 0.9025, 0.86325});
  check(path([](auto& p) { return Adam(p, {.lr = 0.1}); }), {0.900000002, 0.8654394181, 0.8275002408});
  check(path([](auto& p) { return Adam(p, {.lr = 0.1, .weight_decay = 0.1}); }),
        {0.9000000017, 0.847519063, 0.7901621834});
  check(path([](auto& p) { return AdamW(p, {.lr = 0.1, .weight_decay = 0.1}); }),
        {0.890000002, 0.8465394181, 0.8001348466});
  check(path(
            [](auto& p) {
              return Adam(p, {.lr = 0.1, .betas = {0.9, 0.5}, .amsgrad = true});
            },
            {1, 0.1, 0.1, 0.1}),
        {0.900000001, 0.8355397454, 0.7867251462, 0.7469081536});
  check(path([](auto& p) { return RMSprop(p, {.lr = 0.1}); }), {2e-7, 0.3730020537, 0.1887700302});
  check(path([](auto& p) { return RMSprop(p, {.lr = 0.1, .momentum = 0.9, .centered = true}); }),
        {-0.0050376132, -0.5360037965, -1.1985878342});
  check(path([](auto& p) { return Adagrad(p, {.lr = 0.1, .lr_decay = 0.1}); }), {0.9, 0.9337627888, 0.9185482733});
  check(path([](auto& p) { return Adadelta(p, {}); }), {0.9968377856, 0.9985752244, 0.9976339412});
  check(path([](auto& p) { return Adamax(p, {.lr = 0.1}); }), {0.900000002, 0.8736578709, 0.849624589});
  check(path([](auto& p) { return NAdam(p, {.lr = 0.1}); }), {0.8943548243, 0.9273255701, 0.9033593694});
  check(path([](auto& p) { return RAdam(p, {.lr = 0.1}); }), {0.95, 0.9368421053, 0.9248494853});
  check(path([](auto& p) { return Lion(p, {.lr = 0.1}); }), {0.9, 1.0, 0.9});    // each step is as long as lr
  check(path([](auto& p) { return Rprop(p, {.lr = 0.1}); }), {0.9, 0.9, 0.85});  // the sign turns: half a step, later
}

TEST_CASE("the decay of AdamW does not pass through the gradient, and Adam's does") {
  const auto after = [](auto make, double gradient_scale) {
    const Tensors p = make_parameters({{1.0}});
    auto optimizer = make(p);
    for (int t = 0; t < 10; ++t) {
      p[0].set_grad(full({1}, gradient_scale * std::cos(t), float64));
      optimizer.step();
    }
    return p[0].item();
  };
  const auto adam = [](auto& p) { return optim::Adam(p, {.lr = 0.1, .eps = 0, .weight_decay = 0.1}); };
  const auto adamw = [](auto& p) { return optim::AdamW(p, {.lr = 0.1, .eps = 0, .weight_decay = 0.1}); };
  CHECK(after(adamw, 1) == Approx(after(adamw, 1000)).epsilon(1e-12));  // a larger loss changes nothing
  CHECK(std::fabs(after(adam, 1) - after(adam, 1000)) > 1e-3);
  const auto adamw8 = [](auto& p) { return optim::AdamW(p, {.lr = 0.1, .weight_decay = 0.1}); };
  const auto adam8 = [](auto& p) { return optim::Adam(p, {.lr = 0.1, .weight_decay = 0.1}); };
  CHECK(after(adamw8, 0) == Approx(std::pow(1 - 0.1 * 0.1, 10)).epsilon(1e-12));
  CHECK(after(adam8, 0) < 0.1);  // by about lr in each step
}

TEST_CASE("a constant gradient does not bring centered RMSprop to NaN") {
  const Tensors p = make_parameters({{1.0, 2.0, 3.0}});
  optim::RMSprop optimizer(p, {.lr = 1e-4, .alpha = 0.5, .centered = true});
  for (int t = 0; t < 200; ++t) {
    p[0].set_grad(tensor({0.1, 0.3, 0.7}, float64));
    optimizer.step();
  }
  for (double v : p[0].to_vector<double>()) CHECK(std::isfinite(v));
}

TEST_CASE("the steps of Rprop grow, shrink, rest and stay in their bounds, whatever the size of the gradient") {
  const Tensors p = make_parameters({{0, 0, 0, 0}});
  optim::Rprop optimizer(p, {.lr = 1, .step_sizes = {0.4, 1.3}});
  const auto step = [&](std::vector<double> gradient, std::vector<double> moved, std::vector<double> sizes) {
    const auto before = p[0].to_vector<double>();
    p[0].set_grad(from_vector(gradient, {4}));
    optimizer.step();
    const auto after = p[0].to_vector<double>();
    for (size_t i = 0; i < 4; ++i) CHECK(after[i] - before[i] == Approx(moved[i]));
    const auto now = optimizer.state_dict()["state.0.step_size"].to_vector<double>();
    for (size_t i = 0; i < 4; ++i) CHECK(now[i] == Approx(sizes[i]));
  };
  const double nan = std::nan("");
  step({1e-9, -1e9, 0, nan}, {-1, 1, 0, 0}, {1, 1, 1, 1});
  step({1e9, 1e-9, 0, 1}, {-1.2, 0, 0, -1}, {1.2, 0.5, 1, 1});     // the second turns, and rests
  step({1, 1, 2, 1}, {-1.3, -0.5, -1, -1.2}, {1.3, 0.5, 1, 1.2});  // the first reaches the bound
  step({0, -1, -2, 1}, {0, 0, 0, -1.3}, {1.3, 0.4, 0.5, 1.3});     // 0.25 would be below the other
  step({-1, -1, 0, -1}, {1.3, 0.4, 0, 0}, {1.3, 0.4, 0.5, 0.65});  // after a 0 nothing has turned
  optim::Rprop outside(p, {.lr = 100});
  outside.step();
  CHECK(outside.state_dict()["state.0.step_size"].to_vector<double>() == std::vector<double>(4, 50.0));
}

TEST_CASE("Rprop of low-precision parameters keeps its state in float32, and goes on from it exactly") {
  for (const Dtype dtype : {bfloat16, float16}) {
    const Tensors p = make_parameters({{0.5, -1.25, 2.0}}, dtype), wide = make_parameters({{0.5, -1.25, 2.0}}, float32);
    optim::Rprop optimizer(p, {.lr = 0.1}), exact(wide, {.lr = 0.1});
    const auto step = [](const Tensors& of, optim::Rprop& by, int t) {
      of[0].set_grad(tensor({std::sin(2.0 * t), std::sin(0.3 * t), -1.0}, float64).to(of[0].dtype()));
      by.step();
    };
    for (int t = 1; t <= 6; ++t) {
      const Tensor before = p[0].detach().to(float32);
      step(p, optimizer, t), step(wide, exact, t);
      const nn::StateDict state = optimizer.state_dict();
      CHECK(state["state.0.prev"].dtype() == float32);
      CHECK(equal(state["state.0.step_size"], exact.state_dict()["state.0.step_size"]));
      const Tensor moved = state["state.0.step_size"] * sign(state["state.0.prev"]);
      CHECK(equal(p[0].detach(), (before - moved).to(dtype)));  // rounded once
    }
    Tensors again{p[0].detach().clone().requires_grad_()};
    optim::Rprop resumed(again);
    resumed.load_state_dict(optimizer.state_dict().clone());
    for (int t = 7; t <= 12; ++t) step(p, optimizer, t), step(again, resumed, t);
    CHECK(equal(again[0].detach(), p[0].detach()));
  }
}

TEST_CASE("a step reads the gradients and does not write them") {
  const Tensors parameters = make_parameters(kInitial);
  set_gradients(parameters, kSlopes, 1);
  const Tensor g = parameters[0].grad();
  const auto before = g.to_vector<double>();
  const uint32_t version = g.version(), parameter_version = parameters[0].version();
  optim::SGD(parameters, {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1, .maximize = true}).step();
  optim::Adam(parameters, {.weight_decay = 0.1, .amsgrad = true, .maximize = true}).step();
  for_each_optimizer(
      [&]<class Optimizer, class Options>(const char*, std::type_identity<Optimizer>, std::type_identity<Options>) {
        Optimizer(parameters).step();
      });
  CHECK(g.to_vector<double>() == before);
  CHECK(g.version() == version);
  CHECK(parameters[0].grad().shares_storage(g));
  CHECK(parameters[0].version() > parameter_version);  // a saved tensor would notice
}

TEST_CASE("parameters without a gradient stay, and zero_grad forgets") {
  const Tensors parameters = make_parameters(kInitial);
  optim::AdamW optimizer(parameters, {.weight_decay = 0.5});
  parameters[0].set_grad(ones_like(parameters[0].detach()));
  optimizer.step();
  CHECK(parameters[1].to_vector<double>() == kInitial[1]);
  CHECK(parameters[0].to_vector<double>() != kInitial[0]);
  optimizer.zero_grad();
  CHECK_FALSE(parameters[0].grad().defined());
}

TEST_CASE("groups have options of their own") {
  const Tensors parameters = make_parameters({{1.0}, {1.0}, {1.0}});
  optim::SGD optimizer({{{parameters[0]}, {.lr = 0.1}}, {{parameters[1]}, {.lr = 0.2}}});
  optimizer.add_group({{parameters[2]}, {.lr = 0.3}});
  CHECK(optimizer.group_count() == 3);
  CHECK_THROWS_WITH(optimizer.lr(3), "[SGD] there is no group 3; there are 3, counted from 0");
  optimizer.lr(1) *= 2;
  for (const Tensor& p : parameters) p.set_grad(ones({1}, float64));
  optimizer.step();
  CHECK(parameters[0].item() == Approx(0.9));
  CHECK(parameters[1].item() == Approx(0.6));
  CHECK(parameters[2].item() == Approx(0.7));
  optimizer.groups()[0].parameters.push_back(make_parameters({{1.0}})[0]);
  CHECK_THROWS_WITH(optimizer.step(),
                    "[SGD] the groups hold 4 parameters, but 3 were given; add parameters with add_group");
}

TEST_CASE("parameters are taken all or none, and each has the state of its own group") {
  const Tensors parameters = make_parameters({{1.0, 2.0}, {1.0}, {1.0, 2.0, 3.0}});
  const auto make = [&] { return optim::AdamW({{{parameters[0]}, {}}, {{parameters[1]}, {}}}); };
  optim::AdamW optimizer = make(), other = make();
  CHECK_THROWS_AS(optimizer.add_group({{parameters[2], parameters[0]}, {}}), ValueError);
  optimizer.add_group({{parameters[2]}, {}});
  other.add_group({{parameters[2]}, {}});
  for (const Tensor& p : parameters) p.set_grad(ones_like(p.detach()));
  optimizer.step();
  CHECK(optimizer.state_dict()["state.2.exp_avg"].shape() == Shape{3});
  other.load_state_dict(optimizer.state_dict().clone());
  CHECK(equal(other.state_dict()["state.0.exp_avg"], optimizer.state_dict()["state.0.exp_avg"]));
  CHECK(equal(other.state_dict()["state.2.exp_avg"], optimizer.state_dict()["state.2.exp_avg"]));
}

TEST_CASE("the state of one optimizer is an error in every other") {
  const Tensors p = make_parameters(kInitial);
  set_gradients(p, kSlopes, 1);
  for_each_optimizer([&]<class From, class A>(const char* from, std::type_identity<From>, std::type_identity<A>) {
    for (const bool stepped : {false, true}) {
      From source(p);
      if (stepped) source.step();
      const nn::StateDict state = source.state_dict();
      for_each_optimizer([&]<class To, class B>(const char* to, std::type_identity<To>, std::type_identity<B>) {
        INFO(from << " into " << to);
        To target(p);
        if (std::is_same_v<From, To>)
          CHECK_NOTHROW(target.load_state_dict(state));
        else
          CHECK_THROWS_AS(target.load_state_dict(state), ValueError);
      });
    }
  });
}

TEST_CASE("an optimizer's state belongs to its parameters, and is loaded wholly or not at all") {
  const Tensors a = make_parameters(kInitial);
  optim::Adam first(a, {.lr = 0.05, .betas = {0.8, 0.9}, .amsgrad = true});
  for (int t = 1; t <= 5; ++t) set_gradients(a, kSlopes, t), first.step();

  const Tensors b = make_parameters({a[0].to_vector<double>(), a[1].to_vector<double>()});
  optim::Adam second(b);
  const nn::StateDict state = first.state_dict().clone();
  CHECK(state["state.0.exp_avg"].shape() == Shape{6});
  CHECK(state["state.1.step"].item() == 5);
  CHECK(state["param_groups.0.betas"].to_vector<double>() == std::vector<double>{0.8, 0.9});
  second.load_state_dict(state);
  for (int t = 6; t <= 9; ++t) {
    set_gradients(a, kSlopes, t), first.step();
    set_gradients(b, kSlopes, t), second.step();
  }
  CHECK(a[0].to_vector<double>() == b[0].to_vector<double>());

  optim::SGD other(b, {.lr = 1, .momentum = 0.9});
  CHECK_THROWS_WITH(other.load_state_dict(state), Catch::Contains("belong to this SGD"));
  CHECK_THROWS_AS(other.load_state_dict({}), ValueError);
  CHECK(other.lr() == 1);
  optim::Adam fewer({b[1], b[0]});
  CHECK_THROWS_WITH(fewer.load_state_dict(state),
                    Catch::Contains("state.0.exp_avg is (6,), and its parameter is (3,)"));
  CHECK(fewer.state_dict().contains("state.0.step"));
}

TEST_CASE("every optimizer updates low-precision and channels-last parameters") {
  for_each_optimizer([&]<class Optimizer, class Options>(const char* name, std::type_identity<Optimizer>,
                                                         std::type_identity<Options>) {
    INFO(name);
    Generator g(1);
    const Tensor values = randn({2, 3, 4, 5}, float32, g), slope = randn({2, 3, 4, 5}, float32, g);
    const auto run = [&](Tensor p) {
      p.requires_grad_();
      Optimizer optimizer(Tensors{p});
      for (int t = 0; t < 3; ++t) p.set_grad(slope.to(p.dtype())), optimizer.step();
      return p.to_vector<double>();
    };
    const auto expected = run(values.clone()), low = run(values.to(bfloat16)), wide = run(values.to(float64));
    CHECK(run(values.clone().contiguous(MemoryFormat::channels_last)) == expected);
    for (size_t i = 0; i < low.size(); ++i) {
      CHECK(low[i] == Approx(expected[i]).epsilon(0.02).margin(0.02));
      CHECK(wide[i] == Approx(expected[i]).epsilon(1e-5).margin(1e-5));
    }
  });
}

TEST_CASE("parameters may lie in memory as they like, and be of low precision") {
  Generator g(1);
  const Tensor values = randn({2, 3, 4, 5}, float64, g), slope = randn({2, 3, 4, 5}, float64, g);
  auto run = [&](Tensor p, Tensor gradient) {
    p.requires_grad_();
    optim::AdamW optimizer({p}, {.lr = 0.1});
    for (int t = 0; t < 3; ++t) p.set_grad(gradient), optimizer.step();
    return p.to_vector<double>();
  };
  const auto expected = run(values.clone(), slope);
  CHECK(run(values.clone().contiguous(MemoryFormat::channels_last), slope) == expected);
  CHECK(run(values.clone().contiguous(MemoryFormat::channels_last), slope.contiguous(MemoryFormat::channels_last)) ==
        expected);
  const Tensor wide = zeros({2, 3, 4, 10}, float64);
  const Tensor every_second = wide.slice(3, 0, 10, 2);
  every_second.detach().copy_(values);
  CHECK(run(every_second.detach(), slope) == expected);
  CHECK(wide.slice(3, 1, 10, 2).to_vector<double>() == std::vector<double>(120, 0.0));
  const auto low = run(values.to(bfloat16), slope.to(bfloat16));
  for (size_t i = 0; i < low.size(); ++i) CHECK(low[i] == Approx(expected[i]).epsilon(0.015).margin(0.02));
}

TEST_CASE("large parameters are updated alike by any number of threads", "[threads]") {
  const int threads = num_threads();
  std::vector<std::vector<float>> results;
  for (int n : {1, 3}) {
    set_num_threads(n);
    Generator g(1);
    Tensor p = randn({300'001}, float32, g);
    p.requires_grad_();
    optim::AdamW optimizer({p});
    for (int t = 0; t < 2; ++t) {
      p.set_grad(randn({300'001}, float32, g));
      optimizer.step();
    }
    results.push_back(p.to_vector<float>());
  }
  set_num_threads(threads);
  CHECK(results[0] == results[1]);
}

TEST_CASE("optimizers refuse what they can't use") {
  Tensor p = ones({2});
  p.requires_grad_();
  CHECK_THROWS_WITH(optim::SGD(Tensors{}), Catch::Contains("[SGD] there are no parameters"));
  CHECK_THROWS_WITH(optim::SGD({p, p}), Catch::Contains("parameters 0 and 1 are the same tensor"));
  CHECK_THROWS_WITH(optim::SGD({p * 2}), Catch::Contains("is the result of an op"));
  CHECK_THROWS_AS(optim::SGD({Tensor()}), ValueError);
  CHECK_THROWS_AS(optim::SGD({arange(3)}), DTypeError);
  CHECK_THROWS_WITH(optim::SGD({p}, {.lr = -1}), Catch::Contains("lr is -1"));
  CHECK_THROWS_WITH(optim::SGD({p}, {.lr = 1, .nesterov = true}), Catch::Contains("needs momentum above 0"));
  CHECK_THROWS_WITH(optim::Adam({p}, {.betas = {1, 0.9}}), Catch::Contains("[Adam] a beta is 1"));
  CHECK_THROWS_WITH(optim::AdamW({p}, {.eps = -1}), Catch::Contains("[AdamW] eps is -1"));
  CHECK_THROWS_WITH(optim::NAdam({p}, {.momentum_decay = -1}), "[NAdam] momentum_decay is -1; it must be 0 or more");
  CHECK_THROWS_WITH(optim::RAdam({p}, {.betas = {0.9, 1}}), "[RAdam] a beta is 1; both must be in [0, 1)");
  CHECK_THROWS_WITH(optim::Adamax({p}, {.eps = -1}), "[Adamax] eps is -1; it must be 0 or more");
  CHECK_THROWS_WITH(optim::Adadelta({p}, {.rho = 1.5}), "[Adadelta] rho is 1.5; it must be in [0, 1]");
  CHECK_THROWS_WITH(optim::Adagrad({p}, {.lr_decay = -1}), Catch::Contains("[Adagrad] lr_decay is -1"));
  CHECK_THROWS_WITH(optim::Adagrad({p}, {.initial_accumulator_value = -1}), Catch::Contains("accumulator_value is -1"));
  CHECK_THROWS_WITH(optim::RMSprop({p}, {.alpha = -0.5}), "[RMSprop] alpha is -0.5; it must be in [0, 1]");
  CHECK_THROWS_WITH(optim::RMSprop({p}, {.momentum = std::nan("")}), Catch::Contains("[RMSprop] momentum is nan"));
  CHECK_THROWS_WITH(optim::RMSprop({p}, {.momentum = 1.1}), "[RMSprop] momentum is 1.1; it must be in [0, 1]");
  CHECK_THROWS_WITH(optim::SGD({p}, {.momentum = 1.1}), "[SGD] momentum is 1.1; it must be in [0, 1]");
  CHECK_THROWS_WITH(optim::SGD({p}, {.momentum = -0.1}), Catch::Contains("[SGD] momentum is -0.1"));
  CHECK_THROWS_WITH(optim::SGD({p}, {.dampening = 2}), "[SGD] dampening is 2; it must be in [0, 1]");
  CHECK_THROWS_WITH(optim::Lion({p}, {.weight_decay = -1}), Catch::Contains("[Lion] weight_decay is -1"));
  CHECK_THROWS_WITH(optim::Rprop({p}, {.etas = {0.5, 1}}),
                    "[Rprop] etas are 0.5 and 1; the first must be in (0, 1), the second above 1");
  CHECK_THROWS_AS(optim::Rprop({p}, {.etas = {0, 1.2}}), ValueError);
  CHECK_THROWS_AS(optim::Rprop({p}, {.etas = {1, 1.2}}), ValueError);
  CHECK_THROWS_AS(optim::Rprop({p}, {.etas = {0.5, std::nan("")}}), ValueError);
  CHECK_THROWS_WITH(optim::Rprop({p}, {.step_sizes = {1, 0.5}}),
                    "[Rprop] step_sizes are 1 and 0.5; the first must be 0 or more, the second no less");
  CHECK_THROWS_AS(optim::Rprop({p}, {.step_sizes = {-1, 0.5}}), ValueError);
  for_each_optimizer([&]<class Optimizer, class Options>(const char* name, std::type_identity<Optimizer>,
                                                         std::type_identity<Options>) {
    Options options;
    options.lr = std::nan("");
    CHECK_THROWS_WITH(Optimizer(Tensors{p}, options), Catch::Contains(std::string("[") + name + "] lr is nan"));
  });
  optim::AdamW optimizer({p});
  optimizer.lr() = std::nan("");
  p.set_grad(ones({2}));
  CHECK_THROWS_AS(optimizer.step(), ValueError);
  CHECK(p.to_vector<float>() == std::vector<float>{1, 1});
}

TEST_CASE("a step names the parameters whose tensors were replaced, though others move") {
  const auto backward = [](Head& model) { model(ones({1, 2})).sum().backward(); };
  const std::string replaced =
      "without a gradient of parameters that will never get one; 2 of shape (3, 2), 3 of shape "
      "(3,): nobody else holds the tensor any more";
  for_each_optimizer([&]<class Optimizer, class Options>(const char* name, std::type_identity<Optimizer>,
                                                         std::type_identity<Options>) {
    Head model;
    Optimizer optimizer(model.parameters());
    backward(model);
    optimizer.step();
    optimizer.zero_grad();
    model.head = nn::Linear(2, 3);
    backward(model);
    CHECK_THROWS_WITH(optimizer.step(), Catch::StartsWith("[" + std::string(name) + "]") && Catch::Contains(replaced));
    Optimizer anew(model.parameters());
    CHECK_NOTHROW(anew.step());
    model.head.weight.set_grad({});  // not in use this time, but alive
    CHECK_NOTHROW(anew.step());
    model.head.requires_grad_(false);
    model.head = nn::Linear(2, 3);
    CHECK_NOTHROW(anew.step());
  });
}

TEST_CASE("a step without any gradient says which parameters, and why") {
  Tensor a = ones({2}).requires_grad_(), b = ones({3, 2}).requires_grad_();
  optim::SGD optimizer({a, b}, {.lr = 1});
  const std::string unreached = "no backward() has reached it since zero_grad()",
                    replaced = "nobody else holds the tensor any more";
  CHECK_THROWS_WITH(
      optimizer.step(),
      Catch::Contains("[SGD] step() without a gradient of any parameter; 0 of shape (2,), 1 of shape (3, 2)") &&
          Catch::Contains(unreached) && !Catch::Contains(replaced));
  b.sum().backward();
  CHECK_NOTHROW(optimizer.step());  // a is not in use
  optimizer.zero_grad();
  CHECK_THROWS_AS(optimizer.step(), GradError);
  b = b.detach().to(float64).requires_grad_();  // as Module::to does
  b.sum().backward();
  CHECK_THROWS_WITH(optimizer.step(), Catch::Contains("; 1 of shape (3, 2): " + replaced) &&
                                          Catch::Contains("; 0 of shape (2,): " + unreached));
  CHECK(a.to_vector<float>() == std::vector<float>{1, 1});

  nn::Linear layer(2, 2);
  optim::AdamW early(layer.parameters());
  layer.to(float64);
  layer(ones({1, 2}, float64)).sum().backward();
  CHECK_THROWS_WITH(early.step(),
                    Catch::Contains("[AdamW]") && Catch::Contains(replaced) && !Catch::Contains(unreached));
  Tensors many;
  for (int64_t i = 0; i < 6; ++i) many.push_back(ones({i}));
  optim::Lion frozen(many);
  CHECK_THROWS_WITH(
      frozen.step(),
      Catch::Contains("; 0 of shape (0,), 1 of shape (1,), 2 of shape (2,), 3 of shape (3,), ...: it does "
                      "not require a gradient"));
}
