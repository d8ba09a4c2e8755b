// SGD, Adam and AdamW against PyTorch's trajectories, which reference/make_optim.py wrote.
#include <cmath>
#include <fstream>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/optim/adam.hpp>
#include <cotangent/optim/sgd.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>
#include <nlohmann/json.hpp>

using namespace cotangent;
using nlohmann::json;

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

template <class Options>
Options options_from(const json& o) {
  Options options;
  options.lr = o.value("lr", options.lr);
  options.weight_decay = o.value("weight_decay", options.weight_decay);
  options.maximize = o.value("maximize", false);
  if constexpr (std::is_same_v<Options, optim::SGDOptions>) {
    options.momentum = o.value("momentum", 0.0);
    options.dampening = o.value("dampening", 0.0);
    options.nesterov = o.value("nesterov", false);
  } else {
    options.eps = o.value("eps", options.eps);
    options.amsgrad = o.value("amsgrad", false);
    if (o.contains("betas"))
      for (int i = 0; i < 2; ++i) options.betas[i] = o["betas"][size_t(i)];
  }
  return options;
}

template <class Optimizer, class Options>
void compare(const json& data, const json& test) {
  const Vectors slopes = data["slopes"];
  const Tensors parameters = make_parameters(data["initial"]);
  Optimizer optimizer(parameters, options_from<Options>(test["options"]));
  for (int t = 1; t <= 100; ++t) {
    set_gradients(parameters, slopes, t);
    optimizer.step();
    const auto expected = test["after"].find(std::to_string(t));
    if (expected == test["after"].end()) continue;
    for (size_t k = 0; k < parameters.size(); ++k) {
      const auto values = parameters[k].to_vector<double>();
      for (size_t i = 0; i < values.size(); ++i) {
        INFO("step " << t << ", parameter " << k << ", element " << i);
        const double wanted = (*expected)[k][i];
        CHECK(std::fabs(values[i] - wanted) <= 1e-12 * std::max(1.0, std::fabs(wanted)));
      }
    }
  }
}

const Vectors kInitial{{0.5, -1.25, 2.0, 0.0, -0.75, 1.5}, {1.0, -2.0, 0.25}};
const Vectors kSlopes{{0.3, 1.1, 0.7, 2.0, 0.05, 1.6}, {0.9, 0.2, 1.3}};

}  // namespace

TEST_CASE("the optimizers take PyTorch's path for 100 steps") {
  std::ifstream file(COTANGENT_SOURCE_DIR "/tests/reference/optim.json");
  const json data = json::parse(file);
  REQUIRE(data["cases"].size() == 14);
  for (const json& test : data["cases"]) {
    const std::string name = test["optimizer"];
    INFO(name << " " << test["options"]);
    if (name == "SGD") compare<optim::SGD, optim::SGDOptions>(data, test);
    if (name == "Adam") compare<optim::Adam, optim::AdamOptions>(data, test);
    if (name == "AdamW") compare<optim::AdamW, optim::AdamWOptions>(data, test);
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
  optim::AdamW(parameters).step();
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
}

TEST_CASE("an optimizer goes on from its state_dict as if it had not stopped") {
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
  optim::AdamW optimizer({p});
  optimizer.lr() = std::nan("");
  p.set_grad(ones({2}));
  CHECK_THROWS_AS(optimizer.step(), ValueError);
  CHECK(p.to_vector<float>() == std::vector<float>{1, 1});
}
