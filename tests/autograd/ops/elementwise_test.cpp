// Element-wise ops where the op table, which samples at random, does not look: at kinks, NaN and 0^0.
#include <catch2/catch.hpp>

#include <cmath>

#include <cotangent/cotangent.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {
constexpr double kNan = NAN;

Tensor leaf(const Values& values, Dtype dtype) {
  Tensor x = from_vector(values, {static_cast<int64_t>(values.size())}).to(dtype);
  return x.requires_grad_();
}
}  // namespace

TEST_CASE("the gradient of an extreme goes to the operand that wins, and NaN wins") {
  for (const Dtype dtype : {float64, float32, bfloat16, float16}) {
    CAPTURE(dtype);
    for (const bool largest : {false, true}) {
      const double win = largest ? 2 : 0;
      Tensor a = leaf({kNan, 1, kNan, 1, win, 1}, dtype), b = leaf({1, kNan, kNan, 1, 1, win}, dtype);
      sum(largest ? maximum(a, b) : minimum(a, b)).backward();
      CHECK(to_values(a.grad()) == Values{1, 0, .5, .5, 1, 0});
      CHECK(to_values(b.grad()) == Values{0, 1, .5, .5, 0, 1});

      Tensor x = leaf({1, kNan, 5, kNan, 1, 1, 3, 3}, dtype);
      const Tensor rows = x.reshape({2, 4});
      sum(largest ? amax(rows, {1}) : amin(rows * -1, {1})).backward();
      const double sign = largest ? 1 : -1;
      CHECK(to_values(x.grad()) == Values{0, .5 * sign, 0, .5 * sign, 0, 0, .5 * sign, .5 * sign});
    }
  }
}

TEST_CASE("derivatives of pow at 0^0, of any order, are those of the constant 1") {
  for (const Dtype dtype : {float64, float32}) {
    Tensor x = leaf({0, 0, 0, kNan, 2}, dtype), e = leaf({0, 1, 2, 0, 0}, dtype);
    const Tensors first = grad({sum(pow(x, e))}, {x, e}, {.create_graph = true});
    CHECK(to_values(first[0]) == Values{0, 1, 0, 0, 0});
    CHECK(to_values(first[1].slice(0, 0, 3)) == Values{0, 0, 0});
    CHECK(first[1].select(0, 4).item() == Approx(std::log(2)));
    const Tensors by_x = grad({sum(first[0])}, {x, e}, {.create_graph = true});
    CHECK(to_values(by_x[0]) == Values{0, 0, 2, 0, 0});
    CHECK(to_values(by_x[1]) == Values{0, 1, 0, 0, .5});  // x^(e - 1) (1 + e log x), where that is finite
    const Tensors by_e = grad({sum(first[1].slice(0, 0, 3)) + first[1].select(0, 4)}, {x, e}, {.create_graph = true});
    CHECK(to_values(by_e[0].slice(0, 0, 3)) == Values{0, 0, 0});
    CHECK(by_e[0].select(0, 4).item() == .5);
    CHECK(to_values(by_e[1].slice(0, 0, 3)) == Values{0, 0, 0});
    CHECK(by_e[1].select(0, 4).item() == Approx(std::log(2) * std::log(2)));
    for (const Tensor& g : grad({sum(by_x[0] * by_x[0])}, {x, e}, {.allow_unused = true}))
      CHECK(std::isfinite(sum(g.slice(0, 0, 1)).item()));
  }
}
