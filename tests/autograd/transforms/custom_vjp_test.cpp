#include <cotangent/tests/check_gradients.hpp>

#include <cotangent/cotangent.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {
Tensor sample_leaf(const Shape& shape, uint64_t seed = 1) {
  Generator generator(seed);
  return randn(shape, float64, generator).requires_grad_();
}
}  // namespace

TEST_CASE("custom_vjp: a rule of the user's, to third order") {
  const auto softplus1 = custom_vjp(
      "softplus1", [](const Tensor& x) { return log(1 + exp(x)); }, Keep::input(0),
      [](const Backward& b) { return b.grad() * sigmoid(b.input(0)); });
  const Tensor x = sample_leaf({2, 3});
  CHECK(close(softplus1(x), softplus(x)));
  check_gradients(softplus1, {x}, {.order = 3});
  CHECK(close(jacobian(softplus1, x), jacobian([](const Tensor& t) { return softplus(t); }, x)));
  CHECK(close(hvp([&](const Tensor& t) { return softplus1(t).sum(); }, x, x.detach()).product,
              x.detach() * sigmoid(x) * (1 - sigmoid(x))));
}

TEST_CASE("custom_vjp: several inputs and results, some kept, some without a gradient") {
  // y = x * scale[index], with the factor on the way kept as one more result
  const auto scaled = custom_vjp(
      "scaled",
      [](const Tensor& x, const Tensor& scale, const Tensor& index) -> Tensors {
        const Tensor factor = index_select(scale, 0, index);
        return {x * factor, factor};
      },
      Keep::input(0) | Keep::input(1) | Keep::input(2) | Keep::output(1),
      [](const Backward& b) -> Tensors {
        Tensors gradients{b.grad(0) * b.output(1), Tensor()};
        if (!b.needs(1)) return gradients;
        const Tensor of_factor = b.grad(0) * b.input(0) + b.grad(1);
        const Tensor places = one_hot(b.input(2), b.input(1).size(0)).to(float64);
        gradients[1] = matmul(places.t(), of_factor);
        return gradients;
      });
  const Tensor x = sample_leaf({4}), scale = sample_leaf({3}, 2), index = tensor({2, 0, 2, 1}, int64);
  const Tensors y = scaled(x, scale, index);
  CHECK(equal(y[0], x * index_select(scale, 0, index)));
  check_gradients([&](const Tensor& a, const Tensor& s) { return scaled(a, s, index); }, {x, scale});
  CHECK(equal(grad({scaled(x, scale.detach(), index)[0].sum()}, {x})[0], index_select(scale, 0, index)));
}

TEST_CASE("custom_vjp: gradients that are others on purpose, with what the rule captures") {
  const Tensor x = sample_leaf({5});
  for (const double strength : {0.5, 2.0}) {
    const auto reverse = custom_vjp(
        "reverse", [](const Tensor& t) { return t; }, Keep::nothing(),
        [strength](const Backward& b) { return b.grad() * -strength; });
    const Tensor y = reverse(x);
    CHECK(equal(y, x));
    CHECK_FALSE(y.shares_storage(x));
    CHECK(equal(grad({(y * y).sum()}, {x})[0], -strength * 2 * x));
  }
  const auto straight_through = custom_vjp(
      "straight_through", [](const Tensor& t) { return round(t); }, Keep::nothing(),
      [](const Backward& b) { return b.grad(); });
  CHECK(equal(grad({straight_through(x * 3).sum()}, {x})[0], full({5}, 3, float64)));
  const auto total = custom_vjp(
      "total", [](const Tensors& ts) { return stack(ts).sum({0}); }, Keep::nothing(),
      [](const Backward& b) -> Tensors { return Tensors(static_cast<size_t>(b.inputs()), b.grad()); });
  const Tensor z = sample_leaf({5}, 2);
  CHECK(close(total(Tensors{x, z, x}), 2 * x + z));
  CHECK(equal(grad({total(Tensors{x, z, x}).sum()}, {x})[0], full({5}, 2, float64)));
  check_gradients([&](const Tensors& ts) { return total(ts); }, {x, z});
}

TEST_CASE("custom_vjp records nothing where nothing is differentiated, and its forward pass never") {
  bool recorded = true;
  const auto f = custom_vjp(
      "f", [&](const Tensor& t) { return recorded = grad_enabled(), t * 2; }, Keep::nothing(),
      [](const Backward& b) { return b.grad() * 2; });
  const Tensor x = sample_leaf({2});
  CHECK(f(x).requires_grad());
  CHECK_FALSE(recorded);
  CHECK_FALSE(f(x.detach()).requires_grad());
  const NoGrad guard;
  CHECK_FALSE(f(x).requires_grad());
}

TEST_CASE("custom_vjp: a wrong rule is an error that names the op") {
  const Tensor x = sample_leaf({3}), w = sample_leaf({2});
  const auto error = [&](Keep keep, auto rule) {
    const auto f = custom_vjp(
        "mine", [](const Tensor& a, const Tensor& b) { return a * b.sum(); }, keep, rule);
    return error_of([&] { f(x, w).sum().backward(); });
  };
  CHECK(error(Keep::nothing(), [](const Backward& b) { return b.grad(); }) ==
        "[mine] its gradient rule returns 1 gradients for 2 inputs");
  CHECK(error(Keep::nothing(), [](const Backward& b) -> Tensors {
          return {b.grad(), {}, {}};
        }) == "[mine] its gradient rule returns 3 gradients for 2 inputs");
  CHECK(error(Keep::nothing(),
              [](const Backward& b) -> Tensors {
                return {b.grad(), b.grad()};
              }) ==
        "[mine] its rule gives a gradient of float64 (3,) for input 1, which is float64 (2,); they must be the same");
  CHECK(error(Keep::nothing(),
              [](const Backward& b) -> Tensors {
                return {b.grad().to(float32), {}};
              }) ==
        "[mine] its rule gives a gradient of float32 (3,) for input 0, which is float64 (3,); they must be the same");
  CHECK(error(Keep::input(1), [](const Backward& b) -> Tensors {
          return {b.grad() * b.input(0), {}};
        }) == "[mine] the rule reads input 0 which was not declared; add it to the op's Keep");
  CHECK(error(Keep::input(2), [](const Backward& b) -> Tensors {
          return {b.grad(), {}};
        }) == "[mine] keeps an input or an output that it does not have: there are 2 and 1");

  const auto square = custom_vjp(
      "square_of_mine", [](const Tensor& t) { return t * t; }, Keep::input(0),
      [](const Backward& b) { return 2 * b.grad() * b.input(0); });
  const Tensor h = x * 1, y = square(h);
  h.detach().add_(1);
  CHECK_THROWS_WITH(y.sum().backward(), Catch::Contains("[square_of_mine] input 0 of shape (3,) was written in place"));
  // a wrong rule is found
  const auto wrong = custom_vjp(
      "wrong", [](const Tensor& t) { return t * t; }, Keep::input(0),
      [](const Backward& b) { return 3 * b.grad() * b.input(0); });
  CHECK_FALSE(gradcheck(wrong, {x}).ok());
}
