// L-BFGS against PyTorch's path, which reference/make_lbfgs.py wrote, and against what theory says of it.
#include <cotangent/optim/lbfgs.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/optim/adam.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

#include "../json.hpp"

using namespace cotangent;
using optim::LineSearch;

namespace {

Tensor leaf(const std::vector<double>& v, Dtype dtype = float64) {
  return from_vector(v, {static_cast<int64_t>(v.size())}).to(dtype).requires_grad_();
}

Tensor valley(const Tensor& p, double steep) {  // Rosenbrock's
  const Tensor x = p.select(0, 0), y = p.select(0, 1);
  return square(1 - x) + steep * square(y - square(x));
}

Tensor bowl(const Tensor& p, double first) {
  const Tensor scale = tensor({first, first + 1}, float64);
  return sum(sqrt(1 + scale * square(p - 0.5)));
}

auto loss_of(const std::string& name, optim::LBFGS& optimizer, const Tensors& p, double sign) {
  return [name, &optimizer, p, sign] {
    optimizer.zero_grad();
    const Tensor both = name == "bowl" ? bowl(p[0], 1) + bowl(p[1], 3) : valley(p[0], 10) + valley(p[1], 10);
    const Tensor loss = sign * (both + 0.1 * p[0].select(0, 0) * p[1].select(0, 1));
    loss.backward();
    return loss;
  };
}

}  // namespace

TEST_CASE("L-BFGS takes PyTorch's path, and goes on from its state as if it had not stopped") {
  const Json data("lbfgs.json");
  REQUIRE(data["cases"].size() == 9);
  for (const Json& test : data["cases"]) {
    const Json& o = test["options"];
    INFO(o);
    const optim::LBFGSOptions options{
        .lr = o.value("lr", 1.0),
        .max_iter = o.value("max_iter", 20),
        .max_eval = o.value("max_eval", -1),
        .history_size = o.value("history_size", 100),
        .line_search_fn = o.contains("line_search_fn") ? LineSearch::strong_wolfe : LineSearch::none,
        .maximize = o.value("maximize", false)};
    const double sign = options.maximize ? -1 : 1;
    const std::string name = test["loss"];
    const auto initial = data["initial"].get<std::vector<std::vector<double>>>();
    const Tensors p{leaf(initial[0]), leaf(initial[1])};
    optim::LBFGS optimizer(p, options);
    const Json& path = test["path"];
    Tensors again;
    nn::StateDict half;
    for (size_t t = 0; t < path.size(); ++t) {
      INFO("step " << t);
      const double loss = optimizer.step(loss_of(name, optimizer, p, sign));
      CHECK(std::fabs(loss - double(path[t]["loss"])) <= 1e-11);
      for (size_t k = 0; k < 2; ++k)
        for (size_t i = 0; i < 2; ++i)
          CHECK(std::fabs(p[k].to_vector<double>()[i] - double(path[t]["at"][k][i])) <= 1e-12);
      if (t != path.size() / 2) continue;
      again = {leaf(p[0].to_vector<double>()), leaf(p[1].to_vector<double>())};
      half = optimizer.state_dict().clone();
    }
    CHECK(optimizer.state_dict()["state.func_evals"].item() == double(test["evaluations"]));
    optim::LBFGS resumed(again);
    resumed.load_state_dict(half);
    for (size_t t = path.size() / 2 + 1; t < path.size(); ++t) resumed.step(loss_of(name, resumed, again, sign));
    for (size_t k = 0; k < 2; ++k) CHECK(again[k].to_vector<double>() == p[k].to_vector<double>());
  }
}

TEST_CASE("L-BFGS finds the minimum of a quadratic of n dimensions in a few times n iterations") {
  manual_seed(3);
  const int64_t n = 8;
  const Tensor half = randn({n, n}, float64), a = matmul(half, half.t()) + eye(n).to(float64);
  Tensor x = randn({n}, float64).requires_grad_();  // to 0, near which the loss is not rounded
  optim::LBFGS optimizer({x}, {.max_iter = 3 * n,
                               .max_eval = 100,
                               .tolerance_grad = 1e-9,
                               .tolerance_change = 0,
                               .line_search_fn = LineSearch::strong_wolfe});
  optimizer.step([&] {
    optimizer.zero_grad();
    const Tensor loss = (x * matmul(a, x)).sum() / 2;
    loss.backward();
    return loss.item();  // a number will do
  });
  CHECK(amax(abs(matmul(a, x.detach()))).item() < 1e-8);
  const nn::StateDict state = optimizer.state_dict();
  CHECK(state["state.n_iter"].item() <= double(3 * n));
  // the inverse of the Hessian fits each pair, as A s = y for a quadratic
  const Tensor s = state["state.old_stps.3"], y = state["state.old_dirs.3"];
  CHECK(amax(abs(matmul(a, s) - y)).item() < 1e-9);
}

TEST_CASE("L-BFGS walks down Rosenbrock's valley, in low precision too") {
  for (Dtype dtype : {float64, float32}) {
    Tensor p = leaf({-1.2, 1}, dtype);
    optim::LBFGS optimizer(
        {p}, {.max_iter = 100, .max_eval = 200, .tolerance_change = 0, .line_search_fn = LineSearch::strong_wolfe});
    optimizer.step([&] {
      optimizer.zero_grad();
      const Tensor loss = valley(p, 100);
      loss.backward();
      return loss;
    });
    for (double v : p.to_vector<double>()) CHECK(std::fabs(v - 1) < (dtype == float64 ? 1e-6 : 2e-3));
  }
}

TEST_CASE("L-BFGS ends at the last finite point, to the bit, whatever the step did") {
  for (Dtype dtype : {float64, float32, float16})
    for (int64_t max_iter : {1, 20}) {  // at 1 the next step() finds the loss
      Tensor x = leaf({0.3, 0.7}, dtype);
      optim::LBFGS optimizer({x}, {.lr = HUGE_VAL, .max_iter = max_iter});
      const auto loss = [&] {
        optimizer.zero_grad();
        const Tensor value = square(x).sum();
        value.backward();
        return value;
      };
      const std::vector<double> before = x.to_vector<double>();
      if (max_iter == 1) optimizer.step(loss);
      CHECK_THROWS_WITH(optimizer.step(loss), Catch::Contains("the closure's loss is"));
      CHECK(x.to_vector<double>() == before);
      optimizer.lr() = 0.1;
      optimizer.step(loss);  // and goes on from there
      CHECK(std::fabs(x.to_vector<double>()[0]) < before[0]);
    }
  Tensor x = leaf({0.3});
  optim::LBFGS optimizer({x}, {.lr = 0.1, .max_iter = 1});
  const auto loss = [&](double scale) {
    return [&optimizer, &x, scale] {
      optimizer.zero_grad();
      const Tensor value = scale * square(x).sum();
      value.backward();
      return value;
    };
  };
  optimizer.step(loss(1));
  const double moved = x.item();
  CHECK_THROWS_AS(optimizer.step([]() -> double { throw std::runtime_error("stop"); }), std::runtime_error);
  CHECK(x.item() == moved);  // where this step() began
  optimizer.step(loss(1));
  CHECK_THROWS_AS(optimizer.step(loss(HUGE_VAL)), ValueError);
  CHECK(x.item() == moved);
}

TEST_CASE("L-BFGS refuses what it can't use, and keeps the parameters") {
  Tensor p = leaf({-1.2, 1}), unused = leaf({7});
  optim::LBFGS optimizer({p, unused}, {.line_search_fn = LineSearch::strong_wolfe});
  CHECK_THROWS_WITH(optimizer.step(), Catch::Contains("[LBFGS] step() needs a closure"));
  CHECK_THROWS_WITH(optimizer.step([] { return 1.0; }), Catch::Contains("the closure left no gradients"));
  CHECK_THROWS_WITH(optimizer.step([] { return std::nan(""); }), Catch::Contains("the closure's loss is nan"));
  int calls = 0;
  CHECK_THROWS_WITH(optimizer.step([&] {
    optimizer.zero_grad();
    const Tensor loss = valley(p, 100);
    loss.backward();
    return ++calls == 2 ? HUGE_VAL : loss.item();
  }),
                    Catch::Contains("the closure's loss is inf"));
  CHECK(p.to_vector<double>() == std::vector<double>{-1.2, 1});
  CHECK(unused.item() == 7);
  CHECK_THROWS_WITH(optimizer.lr(1), Catch::Contains("there is no group 1"));
  CHECK_THROWS_WITH(optim::LBFGS({p}, {.lr = -1}), "[LBFGS] lr is -1; it must be 0 or more");
  CHECK_THROWS_WITH(optim::LBFGS({p}, {.max_iter = 0}), Catch::Contains("max_iter is 0"));
  CHECK_THROWS_WITH(optim::LBFGS({p}, {.max_eval = 0}), Catch::Contains("max_eval is 0"));
  CHECK_THROWS_WITH(optim::LBFGS({p}, {.history_size = 0}), Catch::Contains("history_size is 0"));
  CHECK_THROWS_WITH(optim::LBFGS({p}, {.tolerance_grad = std::nan("")}), Catch::Contains("tolerance_grad is nan"));

  Tensor replaced = leaf({3});
  optim::LBFGS early({p, replaced});
  replaced = leaf({3});
  CHECK_THROWS_WITH(early.step([&] {
    const Tensor loss = valley(p, 100) + replaced.sum();
    loss.backward();
    return loss;
  }),
                    Catch::Contains("[LBFGS] step() without a gradient of parameters that will never get one; 1 of "
                                    "shape (1,): nobody else holds the tensor any more"));
  CHECK(p.to_vector<double>() == std::vector<double>{-1.2, 1});

  CHECK_THROWS_WITH(optimizer.load_state_dict(optim::AdamW({p}).state_dict()), Catch::Contains("belong to this LBFGS"));
  CHECK_THROWS_AS(optim::AdamW({p}).load_state_dict(optimizer.state_dict()), ValueError);
  optim::LBFGS smaller({p});
  smaller.step([&] {
    smaller.zero_grad();
    const Tensor loss = valley(p, 1);
    loss.backward();
    return loss;
  });
  CHECK_THROWS_WITH(optimizer.load_state_dict(smaller.state_dict()),
                    Catch::Contains("state.d is (2,), and there are 3 parameters"));
}
