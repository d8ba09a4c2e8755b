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

namespace {
/// a, b, and what Python says of them: a % b, math.fmod(a, b), a // b.
struct Quotient {
  double a, b, remainder, fmod, floored;
};
const double kInf = INFINITY;
const Quotient kQuotients[] = {
    {1, .1, 0.09999999999999995, 0.09999999999999995, 9},
    {.3, .1, 0.09999999999999998, 0.09999999999999998, 2},
    {-.3, .1, 2.7755575615628914e-17, -0.09999999999999998, -3},
    {1e17, 3, 1, 1, 3.3333333333333332e+16},
    {9007199254740992, 3, 2, 2, 3002399751580330},
    {5, kInf, 5, 5, 0},
    {-5, kInf, kInf, -5, -1},
    {5, -kInf, -kInf, 5, -1},
    {-5, -kInf, -5, -5, 0},
    {5.5, -2, -.5, 1.5, -3},
    {-5.5, 2, .5, -1.5, -3},
    {6, 3, 0, 0, 2},
    {-6, 3, 0, 0, -2},
    {6, -3, 0, 0, -2},
    {0, 3, 0, 0, 0},
    {-1e-20, 1, 1, -1e-20, -1},
    {1e308, .7, 0.049661879885306126, 0.049661879885306126, 1.4285714285714287e+308},
    {1e-320, 3e-321, 1.003e-321, 1.003e-321, 3},
    {1e300, 7e-5, 4.696295311599344e-05, 4.696295311599344e-05, 1.4285714285714288e+304},
    // where Python throws, as PyTorch
    {5, 0, kNan, kNan, kInf},
    {-5, 0, kNan, kNan, -kInf},
    {0, 0, kNan, kNan, kNan},
    {kInf, 2, kNan, kNan, kNan},
    {kNan, 2, kNan, kNan, kNan},
    {2, kNan, kNan, kNan, kNan},
};
bool same(double x, double y) { return std::isnan(x) ? std::isnan(y) : x == y; }
}  // namespace

TEST_CASE("remainder, fmod and floor_divide are Python's, of the exact quotient") {
  for (const Quotient& q : kQuotients) {
    INFO(q.a << " and " << q.b);
    const Tensor a = full({3}, q.a, float64), b = full({3}, q.b, float64);
    for (const Tensor& r : {remainder(a, b), remainder(a, q.b)}) CHECK(same(r[2].item(), q.remainder));
    for (const Tensor& r : {fmod(a, b), fmod(a, q.b)}) CHECK(same(r[2].item(), q.fmod));
    for (const Tensor& r : {floor_divide(a, b), floor_divide(a, q.b)}) CHECK(same(r[2].item(), q.floored));
  }
  // other dtypes: of what they hold, in the wider type, where all of it is exact
  for (const Dtype dtype : {float32, bfloat16, float16})
    for (const double a : {1., -1., 7.5, -300., 2.5e4, 0.})
      for (const double b : {.1, -.1, 3., -7., 1e-3, kInf}) {
        INFO(name(dtype) << ": " << a << " and " << b);
        const Tensor x = full({1}, a, dtype), y = full({1}, b, dtype);
        const double u = x.item(), v = y.item();
        const auto rounded = [&](double r) { return full({1}, static_cast<float>(r), dtype).item(); };
        const double rest = std::fmod(u, v);
        CHECK(fmod(x, y).item() == rounded(rest));
        CHECK(remainder(x, y).item() ==
              rounded(rest != 0 && (rest < 0) != (v < 0) ? static_cast<float>(rest) + static_cast<float>(v) : rest));
        CHECK(floor_divide(x, y).item() ==
              rounded(std::isinf(v) ? (rest != 0 && (rest < 0) != (v < 0) ? -1 : 0)
                                    : std::floor(static_cast<double>(static_cast<long double>(u) / v))));
        CHECK(fmod(x, y).dtype() == dtype);
      }
  for (const auto f : {static_cast<Tensor (*)(const Tensor&, const Tensor&)>(remainder),
                       static_cast<Tensor (*)(const Tensor&, const Tensor&)>(fmod),
                       static_cast<Tensor (*)(const Tensor&, const Tensor&)>(floor_divide)}) {
    CHECK(f(zeros({0, 3}), ones({3})).shape() == Shape{0, 3});
    CHECK(f(zeros({0}, int32), zeros({0}, int32)).shape() == Shape{0});
    CHECK(f(tensor({7}, int32), tensor({2}, float16)).dtype() == float16);
    CHECK(f(tensor({7}, uint8), tensor({2}, int64)).dtype() == int64);
    CHECK_THROWS_AS(f(tensor({true}), tensor({true})), DTypeError);
  }
}

TEST_CASE("integers are divided at their limits, and by 0 not at all") {
  const auto check = [](Dtype dtype, int64_t a, int64_t b, int64_t rest, int64_t truncated, int64_t floored) {
    INFO(name(dtype) << ": " << a << " and " << b);
    const Tensor x = full({2}, a, dtype), y = full({2}, b, dtype);
    CHECK(remainder(x, y)[1].item<int64_t>() == rest);
    CHECK(fmod(x, y)[1].item<int64_t>() == truncated);
    CHECK(floor_divide(x, y)[1].item<int64_t>() == floored);
    CHECK(remainder(x, b)[1].item<int64_t>() == rest);
    CHECK(fmod(x, b)[1].item<int64_t>() == truncated);
    CHECK(floor_divide(x, b)[1].item<int64_t>() == floored);
  };
  check(uint8, 200, 255, 200, 200, 0);
  check(uint8, 255, 255, 0, 0, 1);
  check(uint8, 255, 254, 1, 1, 1);
  check(uint8, 255, 1, 0, 0, 255);
  for (const Dtype dtype : {int32, int64}) {
    const auto [low, high] = integers_of(dtype);
    check(dtype, low, -1, 0, 0, low);  // which wraps, as -low does
    check(dtype, low + 1, -1, 0, 0, high);
    check(dtype, low, low, 0, 0, 1);
    check(dtype, low, high, high - 1, -1, -2);
    check(dtype, high, low, -1, high, -1);
    check(dtype, high, high, 0, 0, 1);
    check(dtype, 7, -2, -1, 1, -4);
    check(dtype, -7, 2, 1, -1, -4);
  }
  for (const Dtype dtype : {uint8, int32, int64}) {
    const Tensor x = tensor({4, 5}).to(dtype), y = tensor({1, 0}).to(dtype);
    CHECK_THAT(error_of([&] { remainder(x, y); }), Catch::StartsWith("[remainder] integer division by zero"));
    CHECK_THAT(error_of([&] { fmod(x, y); }), Catch::StartsWith("[fmod] integer division by zero"));
    CHECK_THAT(error_of([&] { floor_divide(x, 0); }), Catch::StartsWith("[floor_divide] integer division by zero"));
  }
}

TEST_CASE("db of remainder and fmod counts as often as b was taken off") {
  //                           exact quotients, some where a / b rounds up to the next, and where it jumps
  const Values as{1, .3, 5, -5, 7, -7, 4, -4, 1e17}, bs{.1, .1, kInf, kInf, 2, 2, 2, 2, 3};
  const Values floored{9, 2, 0, -1, 3, -4, 2, -2, 3.3333333333333332e+16},
      cut{9, 2, 0, 0, 3, -3, 2, -2, 3.3333333333333332e+16};
  for (const bool floors : {true, false}) {
    Tensor a = leaf(as, float64), b = leaf(bs, float64);
    const Tensor y = floors ? remainder(a, b) : fmod(a, b);
    const Tensors g = grad({sum(y)}, {a, b}, {.create_graph = true});
    CHECK(to_values(g[0]) == Values(as.size(), 1));
    CHECK(to_values(neg(g[1])) == (floors ? floored : cut));
    for (const Tensor& second : grad({sum(g[1] * g[1])}, {a, b}, {.allow_unused = true}))
      if (second.defined()) CHECK(to_values(second) == Values(as.size(), 0));
  }
  // float16: the quotient 60000 / .05 is beyond it, but not the gradient
  Tensor a = leaf({6e4}, float16), b = leaf({.05}, float16);
  remainder(a, b).backward(tensor({1e-4}, float16));
  CHECK(b.grad().item() == Approx(-120.05).epsilon(1e-3));
  b.set_grad({});
  fmod(a, b).backward(tensor({1e-4}, float16));
  CHECK(b.grad().item() == Approx(-120.05).epsilon(1e-3));
  Tensor x = leaf({5.5, -5.5}, float32);
  sum(remainder(x, 2) + fmod(x, 2) + floor_divide(x, 2)).backward();
  CHECK(to_values(x.grad()) == Values{2, 2});
}
