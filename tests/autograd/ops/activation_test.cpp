// Activations against PyTorch's, by reference/make_activation.py; at kinks, far out and in their limits; and what is
// said of them in the header.
#include <cotangent/autograd/ops/activation.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <map>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/gated.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/random.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

#include "../../json.hpp"

using namespace cotangent;

namespace {

using Function = Tensor (*)(const Tensor&);

/// Every elementwise activation, as make_activation.py calls it, and those that PyTorch does not have.
const std::map<std::string, Function>& functions() {
  static const std::map<std::string, Function> all{
      {"threshold", [](const Tensor& x) { return threshold(x, 0.4, 20); }},
      {"heaviside", [](const Tensor& x) { return heaviside(x); }},
      {"relu", relu},
      {"relu6", relu6},
      {"relu_squared", relu_squared},
      {"leaky_relu", [](const Tensor& x) { return leaky_relu(x); }},
      {"prelu", [](const Tensor& x) { return prelu(x, full({1}, 0.25, x.dtype())); }},
      {"rrelu", [](const Tensor& x) { return rrelu(x); }},
      {"elu", [](const Tensor& x) { return elu(x, 1.5); }},
      {"celu", [](const Tensor& x) { return celu(x, 0.5); }},
      {"selu", selu},
      {"gelu", [](const Tensor& x) { return gelu(x); }},
      {"gelu_tanh", [](const Tensor& x) { return gelu(x, Gelu::tanh); }},
      {"gelu_sigmoid", [](const Tensor& x) { return gelu(x, Gelu::sigmoid); }},
      {"silu", silu},
      {"swish", [](const Tensor& x) { return swish(x, 1.5); }},
      {"swish_learned", [](const Tensor& x) { return swish(x, full({}, 1.5, x.dtype())); }},
      {"mish", mish},
      {"softplus", [](const Tensor& x) { return softplus(x, 2, 10); }},
      {"squareplus", [](const Tensor& x) { return squareplus(x); }},
      {"log_sigmoid", log_sigmoid},
      {"sigmoid", sigmoid},
      {"tanh", [](const Tensor& x) { return tanh(x); }},
      {"softsign", softsign},
      {"hardsigmoid", hardsigmoid},
      {"hardswish", hardswish},
      {"hardtanh", [](const Tensor& x) { return hardtanh(x); }},
      {"softshrink", [](const Tensor& x) { return softshrink(x); }},
      {"hardshrink", [](const Tensor& x) { return hardshrink(x); }},
      {"tanhshrink", tanhshrink},
  };
  return all;
}

/// f(x) and its derivatives at each point; the first by the kernel and once more in recorded form.
struct Derivatives {
  Tensor value, first, recorded, second;
};
Derivatives derivatives(Function f, const Tensor& points) {
  Tensor x = clone(points).requires_grad_();
  const Tensor y = f(x);
  const Tensor first = grad({sum(y)}, {x}, {.retain_graph = true})[0];
  const Tensor recorded = grad({sum(y)}, {x}, {.create_graph = true})[0];
  const Tensor second = recorded.requires_grad() ? grad({sum(recorded)}, {x}, {.allow_unused = true})[0] : Tensor();
  return {y.detach(), first, recorded.detach(), second.defined() ? second : zeros_like(points)};
}

/// Of the values that are not null.
void check_values(const Tensor& got, const Json& wanted) {
  const std::vector<double> values = got.to_vector<double>();
  REQUIRE(values.size() == wanted.size());
  for (size_t i = 0; i < values.size(); ++i) {
    INFO("element " << i);
    if (wanted[i].is_null())
      CHECK(std::isfinite(values[i]));
    else
      CHECK(std::fabs(values[i] - wanted[i].get<double>()) <= 1e-10 + 1e-10 * std::fabs(wanted[i].get<double>()));
  }
}

double value_at(Function f, double x) { return f(full({}, x, float64)).item(); }
double slope_at(Function f, double x) { return derivatives(f, full({}, x, float64)).first.item(); }

}  // namespace

TEST_CASE("elementwise activations give what PyTorch gives, with two derivatives") {
  const Json all("activation.json");
  const Tensor x = from_vector(all["x"].get<std::vector<double>>(), {static_cast<int64_t>(all["x"].size())});
  int compared = 0;
  for (const auto& [name, wanted] : all.items()) {
    if (name == "x" || name == "cases") continue;
    INFO(name);
    REQUIRE(functions().count(name));
    const Derivatives got = derivatives(functions().at(name), x);
    check_values(got.value, wanted[0]);
    check_values(got.first, wanted[1]);
    check_values(got.recorded, wanted[1]);
    check_values(got.second, wanted[2]);
    ++compared;
  }
  CHECK(compared == 24);
}

TEST_CASE("prelu, softmax, log_softmax, softmin and glu give what PyTorch gives") {
  const Json all("activation.json");
  for (const Json& test : all["cases"]) {
    const std::string op = test["op"];
    INFO(op);
    Tensors inputs;
    for (const Json& input : test["inputs"]) inputs.push_back(unpacked(input).requires_grad_());
    const Tensor& x = inputs[0];
    const Tensor y = op == "prelu"         ? prelu(x, inputs[1])
                     : op == "softmax"     ? softmax(x, 1)
                     : op == "log_softmax" ? log_softmax(x, 1)
                     : op == "softmin"     ? softmin(x, 1)
                                           : glu(x, 1);
    CHECK(allclose(y, unpacked(test["y"]), 1e-10, 1e-10));
    const Tensors gradients = grad({y}, inputs, {.gradients = {unpacked(test["dy"])}});
    for (size_t i = 0; i < inputs.size(); ++i)
      CHECK(allclose(gradients[i], unpacked(test["gradients"][i]), 1e-10, 1e-10));
  }
}

TEST_CASE("the slope at a kink is one of the two beside it") {
  const auto check = [](const char* name, std::vector<double> kinks, std::vector<double> slopes) {
    INFO(name);
    const Tensor x = from_vector(kinks, {static_cast<int64_t>(kinks.size())});
    const Derivatives got = derivatives(functions().at(name), x);
    CHECK(got.first.to_vector<double>() == slopes);
    CHECK(got.recorded.to_vector<double>() == slopes);
    CHECK(got.second.to_vector<double>().size() == slopes.size());
  };
  check("threshold", {0.4}, {0});
  check("heaviside", {0}, {0});
  check("relu", {0}, {0});
  check("relu6", {0, 6}, {0, 0});
  check("relu_squared", {0}, {0});
  check("leaky_relu", {0}, {0.01});
  check("prelu", {0}, {0.25});
  check("elu", {0}, {1.5});
  check("celu", {0}, {1});
  check("softsign", {0}, {1});
  check("hardsigmoid", {-3, 3}, {0, 0});
  check("hardswish", {-3, 3}, {0, 1});
  check("hardtanh", {-1, 1}, {0, 0});
  check("softshrink", {-0.5, 0.5}, {0, 0});
  check("hardshrink", {-0.5, 0.5}, {0, 0});
  CHECK(slope_at(selu, 0) == Approx(1.7580993408473766).epsilon(1e-14));
}

TEST_CASE("activations and two derivatives are finite far out") {
  const Dtype dtype = GENERATE(float32, float64, bfloat16);
  const Tensor x = to(tensor({-1e4, -100.0, 0.0, 100.0, 1e4}, float64), dtype);
  for (const auto& [name, f] : functions()) {
    INFO(name << " in " << cotangent::name(dtype));
    const Derivatives got = derivatives(f, x);
    for (const Tensor& t : {got.value, got.first, got.recorded, got.second}) CHECK(all(isfinite(t)).item() == 1);
  }
}

TEST_CASE("NaN goes through every activation") {
  for (const auto& [name, f] : functions()) {
    INFO(name);
    CHECK(std::isnan(value_at(f, std::nan(""))));
  }
}

TEST_CASE("gelu, silu and mish have the minima that the header states") {
  const auto check = [](Function f, double at, double minimum) {
    CHECK(value_at(f, at) == Approx(minimum).margin(5e-6));
    CHECK(std::fabs(slope_at(f, at)) < 5e-5);
    CHECK(value_at(f, at - 0.01) > value_at(f, at));
    CHECK(value_at(f, at + 0.01) > value_at(f, at));
  };
  check(functions().at("gelu"), -0.7518, -0.16997);
  check(silu, -1.2785, -0.27846);
  check(mish, -1.1924, -0.30884);
}

TEST_CASE("the approximations of gelu are as close as the header states") {
  const Tensor x = linspace(-8, 8, 16001, float64), exact = gelu(x);
  CHECK(max(abs(gelu(x, Gelu::tanh) - exact)).item() == Approx(4.7e-4).margin(5e-6));
  CHECK(max(abs(gelu(x, Gelu::sigmoid) - exact)).item() == Approx(2.0e-2).margin(5e-4));
}

TEST_CASE("selu keeps the mean 0 and the variance 1 of a normal distribution") {
  // the trapezoidal rule over the density, with the kink on a point
  const double h = 1e-3;
  const Tensor x = linspace(-10, 10, 20001, float64), y = selu(x),
               density = exp(square(x) * -0.5) / std::sqrt(2 * M_PI);
  CHECK(sum(y * density).item() * h == Approx(0).margin(1e-7));
  CHECK(sum(square(y) * density).item() * h == Approx(1).margin(1e-6));
}

TEST_CASE("the slope of celu is continuous for every alpha, that of elu only for 1") {
  for (double alpha : {0.1, 0.7, 1.0, 5.0}) {
    INFO("alpha = " << alpha);
    const Tensor x = tensor({-1e-9, 1e-9}, float64).requires_grad_();
    const auto slopes = [&](const Tensor& y) { return grad({sum(y)}, {x})[0].to_vector<double>(); };
    const auto continuous = slopes(celu(x, alpha)), other = slopes(elu(x, alpha));
    CHECK(continuous[0] == Approx(continuous[1]).margin(1e-7));
    CHECK(other[1] - other[0] == Approx(1 - alpha).margin(1e-7));
  }
}

TEST_CASE("swish lies between x/2 and relu, and is silu for beta = 1") {
  const Tensor x = linspace(-3, 3, 61, float64);
  CHECK(allclose(swish(x, 0.0), x / 2, 1e-14));
  CHECK(allclose(swish(x, 1e-9), x / 2, 1e-7));
  CHECK(allclose(swish(x, 1.0), silu(x), 1e-14));
  CHECK(max(abs(swish(x, 1e6) - relu(x))).item() < 1e-6);
  CHECK(allclose(swish(x, 1.702), gelu(x, Gelu::sigmoid), 0, 0));
  CHECK(allclose(swish(x, full({}, 1.5, float64)), swish(x, 1.5), 1e-14));
  CHECK(allclose(celu(x, 1e-9), relu(x), 0, 1e-8));
  CHECK(allclose(softplus(x, 1e9), relu(x), 0, 1e-8));
  CHECK(allclose(leaky_relu(x, 0), relu(x), 0, 0));
}

TEST_CASE("squareplus and its slope neither cancel nor overflow") {
  struct Precision {
    Dtype dtype;
    double error, largest, smallest;
  };
  for (const auto& [dtype, error, largest, smallest] :
       {Precision{float64, 1e-15, 1.7e308, 5e-324}, Precision{float32, 5e-7, 3.4e38, 1e-44},
        Precision{float16, 1e-3, 65504, 6e-8}, Precision{bfloat16, 8e-3, 3.38e38, 1e-40}})
    for (const double b : {0.0, 0.25, 4.0, 1e30})
      for (const double at : {0.0, 1e-3, 0.5, 30.0, 1e4, 1e19, 1e38, largest})
        for (const double signed_at : {at, -at}) {
          if (at > largest) continue;
          const Tensor x = full({3}, signed_at, dtype).requires_grad_(), y = squareplus(x, b);
          const long double v = x[0].item(), h = std::hypot(v, std::sqrt(static_cast<long double>(b)));
          const long double below = b == 0 ? 0 : b / 2 / (h + std::abs(v));
          const long double expected = std::max(v, 0.0L) + below, slope = h == 0  ? 0
                                                                          : v > 0 ? 1 - below / h
                                                                                  : below / h;
          INFO(name(dtype) << " at " << signed_at << ", b = " << b);
          if (expected <= largest) CHECK(y[1].item() == Approx(double(expected)).epsilon(error).margin(smallest));
          const Tensor dx = grad({sum(y)}, {x}, {.retain_graph = true})[0];
          CHECK(dx[1].item() == Approx(double(slope)).epsilon(error).margin(smallest));
          if (b <= 4) CHECK(allclose(grad({sum(y)}, {x}, {.create_graph = true})[0], dx, 4 * error, 1e-7));
        }
  const double inf = INFINITY;
  const Derivatives far = derivatives(functions().at("squareplus"), tensor({inf, -inf}, float32));
  CHECK(far.value.to_vector<double>() == std::vector<double>{inf, 0});
  CHECK(far.first.to_vector<double>() == std::vector<double>{1, 0});
  CHECK(far.recorded.to_vector<double>() == std::vector<double>{1, 0});
  const Tensor nan = full({1}, std::nan(""), float64).requires_grad_();
  CHECK(std::isnan(grad({squareplus(nan)}, {nan}, {.gradients = {ones({1}, float64)}})[0].item()));
  const Tensor none = zeros({0, 3}).requires_grad_();
  CHECK(grad({sum(squareplus(none))}, {none})[0].shape() == Shape{0, 3});
  CHECK(squareplus(tensor({3, -3})).dtype() == default_dtype());
  const Tensor x = tensor({-1.0, 0.0, 2.0}, float64);
  CHECK(equal(squareplus(x, 0), relu(x)));
  CHECK(slope_at([](const Tensor& v) { return squareplus(v, 0); }, 0) == 0);
}

TEST_CASE("hardswish and hardsigmoid are exact outside of (-3, 3)") {
  const Tensor x = tensor({-1000.0, -3.0, 3.0, 1000.1});
  CHECK(hardswish(x).to_vector<float>() == std::vector<float>{0, 0, 3, 1000.1f});
  CHECK(hardsigmoid(x).to_vector<float>() == std::vector<float>{0, 0, 1, 1});
}

TEST_CASE("the slope of tanhshrink does not cancel near 0") {
  CHECK(slope_at(tanhshrink, 1e-6) == Approx(1e-12).epsilon(1e-9));
}

TEST_CASE("rrelu draws slopes in training, and the backward pass has the same") {
  Generator g(3);
  const Tensor x = full({10'000}, -2, float64).requires_grad_();
  const Tensor y = rrelu(x, 0.1, 0.3, true, g), slopes = y.detach() / -2;
  const Tensor dx = grad({sum(y)}, {x})[0];
  CHECK(allclose(dx, slopes, 1e-14));
  CHECK(min(slopes).item() >= 0.1);
  CHECK(max(slopes).item() <= 0.3);
  CHECK(mean(slopes).item() == Approx(0.2).margin(0.002));
  CHECK_FALSE(equal(rrelu(x, 0.1, 0.3, true, g), y));  // the next draw
  Generator same(3);
  CHECK(equal(rrelu(x, 0.1, 0.3, true, same), y));
  CHECK(equal(rrelu(x, 0.1, 0.3), leaky_relu(x, 0.2)));
  CHECK(value_at(functions().at("rrelu"), -1) == Approx(-11.0 / 48).epsilon(1e-14));
  const Tensor positive = ones({8}, float64);
  CHECK(equal(rrelu(positive, 0.1, 0.3, true, g), positive));
}

TEST_CASE("maxout sends the gradient to the first of equal pieces") {
  const Tensor x = tensor({1.0, 1.0, 0.5, 2.0, 3.0, 3.0}, float64).requires_grad_();
  const Tensor y = maxout(x, 3);
  CHECK(y.to_vector<double>() == std::vector<double>{1, 3});
  CHECK(grad({sum(y)}, {x})[0].to_vector<double>() == std::vector<double>{1, 0, 0, 0, 1, 0});
}

TEST_CASE("integers are converted, except by those that keep them") {
  const Tensor x = tensor({-2, 0, 3});
  CHECK(relu(x).dtype() == int64);
  CHECK(hardtanh(x).dtype() == int64);
  CHECK(elu(x).dtype() == default_dtype());
  CHECK(heaviside(x, 0.5).to_vector<float>() == std::vector<float>{0, 0.5, 1});
  CHECK(swiglu(tensor({1, 2})).dtype() == default_dtype());
}

// Rosenblatt's rule, w += (target - step(w x)) x, ends after at most (R / margin)^2 mistakes on data that can be
// separated (Novikoff 1962).
TEST_CASE("a perceptron with the step function converges within its bound") {
  Generator g(5);
  const int64_t n = 200, d = 3;
  Tensor truth = randn({d}, float64, g);
  truth = truth / sqrt(sum(square(truth)));
  const Tensor points = randn({n, d}, float64, g), distance = sum(points * truth, 1);
  double radius = 0, margin = 1e9;
  std::vector<int64_t> used;
  for (int64_t i = 0; i < n; ++i) {
    const double away = std::fabs(distance.select(0, i).item());
    if (away < 0.1) continue;  // leaves a margin
    used.push_back(i);
    margin = std::min(margin, away);
    radius = std::max(radius, std::sqrt(sum(square(points.select(0, i))).item()));
  }
  const Tensor target = heaviside(distance);
  Tensor w = zeros({d}, float64);
  int mistakes = 0, last = 1;
  for (int epoch = 0; epoch < 1000 && last > 0; ++epoch) {
    last = 0;
    for (int64_t i : used) {
      const Tensor x = points.select(0, i), error = target.select(0, i) - heaviside(sum(w * x));
      last += error.item() != 0;
      w = w + error * x;
    }
    mistakes += last;
  }
  CHECK(last == 0);
  CHECK(mistakes > 0);
  CHECK(mistakes <= std::pow(radius / margin, 2));
}
