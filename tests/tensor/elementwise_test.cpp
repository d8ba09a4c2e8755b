// Every loop of the kernel table against a naive one, in every layout. CTest runs this file for each instruction set.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

#include <cotangent/cotangent.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/processor_internal.hpp>
#include <cotangent/tests/tensor/layouts.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;
using raw::Binary;
using raw::Unary;

namespace {

const int64_t kSizes[] = {0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 127, 255, 257, 1000};

double softplus_of(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }
double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }
double cube_term(double x) { return std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x); }

struct UnaryCase {
  Unary op;
  const char* name;
  double (*f)(double x, double p, double q);
  double low = -4, high = 4, p = 0, q = 0;
};

const std::vector<UnaryCase> unaries = {
    {Unary::neg, "neg", [](double x, double, double) { return -x; }},
    {Unary::abs, "abs", [](double x, double, double) { return std::fabs(x); }},
    {Unary::sign, "sign", [](double x, double, double) { return double((x > 0) - (x < 0)); }},
    {Unary::square, "square", [](double x, double, double) { return x * x; }},
    {Unary::sqrt, "sqrt", [](double x, double, double) { return std::sqrt(x); }, 0, 9},
    {Unary::rsqrt, "rsqrt", [](double x, double, double) { return 1 / std::sqrt(x); }, 0.1, 9},
    {Unary::reciprocal, "reciprocal", [](double x, double, double) { return 1 / x; }, 0.1, 9},
    {Unary::exp, "exp", [](double x, double, double) { return std::exp(x); }, -60, 60},
    {Unary::expm1, "expm1", [](double x, double, double) { return std::expm1(x); }},
    {Unary::log, "log", [](double x, double, double) { return std::log(x); }, 1e-3, 50},
    {Unary::log1p, "log1p", [](double x, double, double) { return std::log1p(x); }, -0.99, 5},
    {Unary::sin, "sin", [](double x, double, double) { return std::sin(x); }, -20, 20},
    {Unary::cos, "cos", [](double x, double, double) { return std::cos(x); }, -20, 20},
    {Unary::tanh, "tanh", [](double x, double, double) { return std::tanh(x); }, -12, 12},
    {Unary::sigmoid, "sigmoid", [](double x, double, double) { return sigmoid_of(x); }, -30, 30},
    {Unary::erf, "erf", [](double x, double, double) { return std::erf(x); }},
    {Unary::relu, "relu", [](double x, double, double) { return x < 0 ? 0 : x; }},
    {Unary::clamp, "clamp", [](double x, double p, double q) { return x < p   ? p
                                                                      : x > q ? q
                                                                              : x; }, -4, 4, -1.5, 2},
    {Unary::leaky_relu, "leaky_relu", [](double x, double p, double) { return x < 0 ? x * p : x; }, -4, 4, 0.25},
    {Unary::gelu, "gelu", [](double x, double, double) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.))); }},
    {Unary::gelu_tanh, "gelu_tanh", [](double x, double, double) { return 0.5 * x * (1 + std::tanh(cube_term(x))); }},
    {Unary::silu, "silu", [](double x, double, double) { return x * sigmoid_of(x); }},
    {Unary::softplus, "softplus", [](double x, double p, double q) { return x * p > q ? x : softplus_of(x * p) / p; },
     -30, 30, 2, 20},
    {Unary::squareplus, "squareplus", [](double x, double p, double) { return (x + std::hypot(x, 2 * p)) / 2; }, -4, 4,
     1.5},
    {Unary::log_sigmoid, "log_sigmoid", [](double x, double, double) { return -softplus_of(-x); }, -40, 40},
    {Unary::power, "power", [](double x, double p, double) { return std::pow(x, p); }, 0.1, 5, 2.5},
    {Unary::floor, "floor", [](double x, double, double) { return std::floor(x); }},
    {Unary::ceil, "ceil", [](double x, double, double) { return std::ceil(x); }},
    {Unary::round, "round", [](double x, double, double) { return std::nearbyint(x); }},
    {Unary::trunc, "trunc", [](double x, double, double) { return std::trunc(x); }},
};

struct BinaryCase {
  Binary op;
  const char* name;
  double (*f)(double a, double b);
  double low = -4, high = 4;
  bool result_is_bool = false;
};

const std::vector<BinaryCase> binaries = {
    {Binary::add, "add", [](double a, double b) { return a + b; }},
    {Binary::sub, "sub", [](double a, double b) { return a - b; }},
    {Binary::mul, "mul", [](double a, double b) { return a * b; }},
    {Binary::div, "div", [](double a, double b) { return a / b; }, 0.5, 4},
    {Binary::pow, "pow", [](double a, double b) { return std::pow(a, b); }, 0.5, 4},
    {Binary::minimum, "minimum", [](double a, double b) { return std::fmin(a, b); }},
    {Binary::maximum, "maximum", [](double a, double b) { return std::fmax(a, b); }},
    {Binary::remainder, "remainder", [](double a, double b) { return a - std::floor(a / b) * b; }, 0.5, 4},
    {Binary::floor_divide, "floor_divide", [](double a, double b) { return std::floor(a / b); }, 0.5, 4},
    {Binary::eq, "eq", [](double a, double b) { return double(a == b); }, -2, 2, true},
    {Binary::ne, "ne", [](double a, double b) { return double(a != b); }, -2, 2, true},
    {Binary::lt, "lt", [](double a, double b) { return double(a < b); }, -2, 2, true},
    {Binary::le, "le", [](double a, double b) { return double(a <= b); }, -2, 2, true},
    {Binary::gt, "gt", [](double a, double b) { return double(a > b); }, -2, 2, true},
    {Binary::ge, "ge", [](double a, double b) { return double(a >= b); }, -2, 2, true},
    {Binary::logical_and, "logical_and", [](double a, double b) { return double(a != 0 && b != 0); }, -2, 2, true},
    {Binary::logical_or, "logical_or", [](double a, double b) { return double(a != 0 || b != 0); }, -2, 2, true},
    {Binary::logical_xor, "logical_xor", [](double a, double b) { return double((a != 0) != (b != 0)); }, -2, 2, true},
};

double tolerance(Dtype dtype) {
  return dtype == float64 ? 4e-15 : dtype == float32 ? 2e-6 : dtype == float16 ? 1e-3 : 8e-3;
}

/// Elements further off than rtol * |expected|, or than rtol * floor where that is more.
int count_wrong(const Tensor& y, const Values& expected, double rtol, double floor = 1e-2) {
  const Values got = y.to_vector<double>();
  if (got.size() != expected.size()) return 1'000'000;
  int wrong = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(got[i]) && std::isnan(expected[i])) continue;
    if (got[i] == expected[i]) continue;
    if (!(std::fabs(got[i] - expected[i]) <= rtol * std::max(std::fabs(expected[i]), floor))) {
      if (wrong++ == 0) UNSCOPED_INFO("element " << i << ": " << got[i] << ", expected " << expected[i]);
    }
  }
  return wrong;
}

const Dtype kFloats[] = {float32, float64, float16, bfloat16};

}  // namespace

TEST_CASE("the instruction set that COTANGENT_ISA asks for is used") {
  const char* asked = std::getenv("COTANGENT_ISA");
  const std::string used = kernels::instruction_set();
  std::printf("kernels: %s\n", used.c_str());
  if (asked && used != "portable") CHECK(used <= asked);
  CHECK((used == "v2" || used == "v3" || used == "v4" || used == "portable"));
}

TEST_CASE("unary kernels equal naive loops for every size, dtype and layout") {
  Random random;
  for (const UnaryCase& c : unaries)
    for (const Dtype dtype : kFloats)
      for (const int64_t n : kSizes) {
        INFO(c.name << " of " << n << " " << name(dtype));
        const bool narrow_range = dtype == float16 && c.high > 10;
        const Tensor x = random_tensor(random, {n}, narrow_range ? -8 * (c.low < 0) + 0.1 * (c.low >= 0) : c.low,
                                       narrow_range ? 8 : c.high, dtype);
        Values expected;
        for (double v : x.to_vector<double>()) expected.push_back(c.f(v, c.p, c.q));
        const double rtol = tolerance(dtype) * (c.op == Unary::sin || c.op == Unary::cos ? 4 : 2);
        const double floor = c.op == Unary::gelu || c.op == Unary::gelu_tanh ? 1 : 1e-2;  // 1 + erf(x) cancels
        const Tensor y = raw::unary(c.name, c.op, x, c.p, c.q);
        CHECK(y.dtype() == dtype);
        CHECK(count_wrong(y, expected, rtol, floor) == 0);
        const Tensor s = spread(x);
        CHECK(count_wrong(raw::unary(c.name, c.op, s, c.p, c.q), expected, rtol, floor) == 0);
        const Tensor into = spread(x);
        raw::unary_into(c.name, c.op, s, into, c.p, c.q);
        CHECK(count_wrong(into, expected, rtol, floor) == 0);
        raw::unary_into(c.name, c.op, s, s, c.p, c.q);  // onto itself
        CHECK(count_wrong(s, expected, rtol, floor) == 0);
      }
}

TEST_CASE("binary kernels equal naive loops for every size, dtype and layout") {
  Random random;
  for (const BinaryCase& c : binaries)
    for (const Dtype dtype : kFloats)
      for (const int64_t n : kSizes) {
        INFO(c.name << " of " << n << " " << name(dtype));
        const Tensor a = random_tensor(random, {n}, c.low, c.high, dtype),
                     b = random_tensor(random, {n}, c.low, c.high, dtype);
        const Tensor one = random_tensor(random, {}, c.low, c.high, dtype);
        const Values va = a.to_vector<double>(), vb = b.to_vector<double>();
        const double s = one.item();
        Values both, left, right;
        for (size_t i = 0; i < va.size(); ++i)
          both.push_back(c.f(va[i], vb[i])), left.push_back(c.f(va[i], s)), right.push_back(c.f(s, va[i]));
        const double floor = c.op == Binary::remainder ? 4 : 1e-2;  // a - floor(a / b) * b cancels
        const double rtol = tolerance(dtype) * 2;
        const Dtype result = c.result_is_bool ? boolean : dtype;
        CHECK(raw::binary(c.name, c.op, a, b).dtype() == result);
        CHECK(count_wrong(raw::binary(c.name, c.op, a, b), both, rtol, floor) == 0);
        CHECK(count_wrong(raw::binary(c.name, c.op, a, one), left, rtol, floor) == 0);
        CHECK(count_wrong(raw::binary(c.name, c.op, one, a), right, rtol, floor) == 0);
        CHECK(count_wrong(raw::binary(c.name, c.op, a, Scalar(s)), left, rtol, floor) == 0);
        CHECK(count_wrong(raw::binary(c.name, c.op, Scalar(s), a), right, rtol, floor) == 0);
        CHECK(count_wrong(raw::binary(c.name, c.op, spread(a), b), both, rtol, floor) == 0);
        CHECK(count_wrong(raw::binary(c.name, c.op, a, spread(b)), both, rtol, floor) == 0);
        CHECK(count_wrong(raw::binary(c.name, c.op, spread(a), one), left, rtol, floor) == 0);
        CHECK(count_wrong(raw::binary(c.name, c.op, expand(one, {n}), spread(a)), right, rtol, floor) == 0);
        if (c.result_is_bool) continue;
        const Tensor into = spread(a);
        raw::binary_into(c.name, c.op, a, spread(b), into);
        CHECK(count_wrong(into, both, rtol, floor) == 0);
        const Tensor self = raw::clone(a);
        raw::binary_into(c.name, c.op, self, b, self);
        CHECK(count_wrong(self, both, rtol, floor) == 0);
      }
}

TEST_CASE("binary kernels broadcast in two dimensions, whatever the layout") {
  Random random;
  const Shape shapes[] = {{}, {3}, {2, 1}, {1, 3}, {2, 3}, {1, 1}, {4, 2, 3}, {4, 1, 1}};
  for (const Dtype dtype : {float32, float64, bfloat16, int64, int32, uint8})
    for (const Shape& sa : shapes)
      for (const Shape& sb : shapes)
        for (const int layout : {0, 1, 2, 3}) {
          INFO(name(dtype) << " " << to_string(sa) << " and " << to_string(sb) << ", layout " << layout);
          Tensor a = random_tensor(random, sa, 0, 20, dtype), b = random_tensor(random, sb, 0, 20, dtype);
          if (layout & 1) a = spread(a);
          if (layout & 2) b = transpose(raw::contiguous(transpose(b, 0, -1)), 0, -1).detach();
          const Tensor y = raw::binary("add", Binary::add, a, b);
          const Shape shape = broadcast_shapes("test", sa, sb);
          REQUIRE(y.shape() == shape);
          const Tensor ea = raw::contiguous(expand(a, shape)), eb = raw::contiguous(expand(b, shape));
          Values expected = ea.to_vector<double>();
          const Values vb = eb.to_vector<double>();
          for (size_t i = 0; i < expected.size(); ++i) expected[i] += vb[i];
          CHECK(count_wrong(y, expected, dtype == float32 ? 1e-6 : dtype == bfloat16 ? 4e-3 : 1e-15) == 0);
        }
  CHECK_THROWS_AS(raw::binary("add", Binary::add, ones({2}), ones({3})), ShapeError);
  CHECK_THROWS_AS(raw::binary("add", Binary::add, ones({2}), ones({2}, float64)), DTypeError);
}

TEST_CASE("what is repeated over channels, pixels or images is so in every memory format") {
  Generator generator(1);
  const auto last = [](const Tensor& x) { return raw::in_format(x, MemoryFormat::channels_last); };
  for (int64_t channels : {1, 2, 3, 5, 8, 16, 31, 64, 100, 127, 128, 129})
    for (Dtype dtype : {uint8, bfloat16, float32, float64}) {
      const Shape shape = {3, channels, 7, 11};
      const auto values = [&](const Shape& s) { return (rand(s, float64, generator) * 50).to(dtype); };
      const Tensor x = values(shape), wide = values({3, channels + 3, 9, 12});
      const auto part = [&](const Tensor& t) { return t.narrow(1, 2, channels).narrow(2, 1, 7).narrow(3, 1, 11); };
      CAPTURE(channels, dtype);
      for (const Tensor& other : {values({channels, 1, 1}), values({3, channels, 1, 1}), values({3, 1, 7, 11}),
                                  values({7, 1}), values({1, 1, 1, 11}), values({}), part(wide), part(last(wide))}) {
        CAPTURE(other.shape(), other.strides());
        for (const Tensor& y :
             {last(x) - other, last(x) - part(last(wide)) - other, where(last(x) < other, last(x), other)})
          CHECK((channels == 1 || y.is_contiguous(MemoryFormat::channels_last)));
        CHECK((last(x) - other).to_vector<double>() == (x - other).to_vector<double>());
        CHECK((other - last(x)).to_vector<double>() == (other - x).to_vector<double>());
        CHECK(where(last(x) < other, last(x), other).to_vector<double>() ==
              where(x < other, x, other).to_vector<double>());
      }
      const Tensor parts = part(last(wide));
      CHECK(parts.clone().to_vector<double>() == part(wide).to_vector<double>());
      CHECK((parts - parts.narrow(0, 0, 1)).to_vector<double>() ==
            (part(wide) - part(wide).narrow(0, 0, 1)).to_vector<double>());
    }
}

TEST_CASE("short runs give the same bits on any number of threads", "[threads]") {
  Generator generator(1);
  const int before = num_threads();
  for (int64_t channels : {3, 10, 127}) {
    const Tensor x = raw::in_format(randn({8, channels, 60, 61}, float32, generator), MemoryFormat::channels_last),
                 w = randn({channels, 1, 1}, float32, generator);
    std::vector<std::vector<float>> runs;
    for (int threads : {1, 2, 3}) {
      set_num_threads(threads);
      runs.push_back(raw::binary("pow", Binary::pow, abs(x), expand(w, x.shape())).to_vector<float>());
    }
    CHECK(runs[1] == runs[0]);
    CHECK(runs[2] == runs[0]);
  }
  set_num_threads(before);
}

TEST_CASE("integers divide as Python's do") {
  for (const Dtype dtype : {int64, int32}) {
    const Tensor a = raw::cast(tensor({7, -7, 7, -7, 6, -6, 0, 5}), dtype),
                 b = raw::cast(tensor({2, 2, -2, -2, 3, 3, 5, -1}), dtype);
    CHECK(raw::binary("f", Binary::floor_divide, a, b).to_vector<double>() == Values{3, -4, -4, 3, 2, -2, 0, -5});
    CHECK(remainder(a, b).to_vector<double>() == Values{1, 1, -1, -1, 0, 0, 0, 0});
    CHECK(pow(a, raw::cast(tensor({0, 1, 2, 3, 2, 1, 4, 0}), dtype)).to_vector<double>() ==
          Values{1, -7, 49, -343, 36, -6, 0, 1});
    CHECK_THROWS_WITH(remainder(a, b * 0), Catch::Contains("division by zero"));
    CHECK_THROWS_WITH(pow(a, b), Catch::Contains("negative power"));
  }
  const Tensor low = full({1}, std::numeric_limits<int64_t>::min(), int64);
  CHECK(raw::binary("f", Binary::floor_divide, low, full({1}, -1, int64)).item<int64_t>() ==
        std::numeric_limits<int64_t>::min());
  CHECK(remainder(low, full({1}, -1, int64)).item<int64_t>() == 0);
  CHECK((tensor({200, 100}).to(uint8) + tensor({100, 100}).to(uint8)).to_vector<double>() == Values{44, 200});
  CHECK((tensor({7}) / tensor({2})).item() == 3.5);
  CHECK(remainder(tensor({5.5, -5.5}), tensor({-2., 2.})).to_vector<double>() == Values{-0.5, 0.5});
}

TEST_CASE("NaN and infinity take their usual ways") {
  const double inf = INFINITY, nan = NAN;
  for (const Dtype dtype : kFloats) {
    INFO(name(dtype));
    const Tensor x = raw::cast(tensor({nan, inf, -inf, 0.0, -0.0}, float64), dtype);
    const auto of = [&](Tensor (*f)(const Tensor&)) { return f(x).to_vector<double>(); };
    const auto same = [](const Values& a, const Values& b) {
      for (size_t i = 0; i < a.size(); ++i)
        if (!(std::isnan(a[i]) ? std::isnan(b[i]) : a[i] == b[i])) return false;
      return a.size() == b.size();
    };
    CHECK(same(of(exp), {nan, inf, 0, 1, 1}));
    CHECK(same(of(log), {nan, inf, nan, -inf, -inf}));
    CHECK(same(of(sqrt), {nan, inf, nan, 0, 0}));
    CHECK(same(of(tanh), {nan, 1, -1, 0, 0}));
    CHECK(same(of(sigmoid), {nan, 1, 0, 0.5, 0.5}));
    CHECK(same(of(erf), {nan, 1, -1, 0, 0}));
    CHECK(same(of(expm1), {nan, inf, -1, 0, 0}));
    CHECK(same(of(log1p), {nan, inf, nan, 0, 0}));
    CHECK(same(of(abs), {nan, inf, inf, 0, 0}));
    CHECK(same(of(sign), {nan, 1, -1, 0, 0}));
    CHECK(same(of(sin), {nan, nan, nan, 0, 0}));
    CHECK(same(of(floor), {nan, inf, -inf, 0, 0}));
    CHECK(same(of(reciprocal), {nan, 0, 0, inf, -inf}));
    CHECK(same(of(relu), {nan, inf, 0, 0, 0}));
    CHECK(same(of([](const Tensor& v) { return gelu(v); }), {nan, inf, 0, 0, 0}));
    const Tensor leaf = x.clone().requires_grad_();
    gelu(leaf).backward({.gradient = ones_like(x)});
    CHECK(same(leaf.grad().to_vector<double>(), {nan, 1, 0, 0.5, 0.5}));
    CHECK(same(clamp(x, -1, 1).to_vector<double>(), {nan, 1, -1, 0, 0}));
    CHECK(isnan(x).to_vector<bool>() == std::vector<bool>{true, false, false, false, false});
    CHECK(isfinite(x).to_vector<bool>() == std::vector<bool>{false, false, false, true, true});
    const Tensor one = ones({}, dtype);
    CHECK(same(maximum(x, one).to_vector<double>(), {nan, inf, 1, 1, 1}));
    CHECK(same(maximum(one, x).to_vector<double>(), {nan, inf, 1, 1, 1}));
    CHECK(same(minimum(x, one).to_vector<double>(), {nan, 1, -inf, 0, 0}));
    CHECK(same(minimum(one, x).to_vector<double>(), {nan, 1, -inf, 0, 0}));
    CHECK(std::signbit(reciprocal(reciprocal(x))[4].item()));
    CHECK((x == x).to_vector<bool>() == std::vector<bool>{false, true, true, true, true});
    CHECK_FALSE(equal(x, x));
  }
  CHECK(exp(tensor({100., -104.})).to_vector<double>() == Values{inf, 0});
  CHECK(tanh(tensor({1e-20, -1e-20}, float64)).to_vector<double>() == Values{1e-20, -1e-20});
}

TEST_CASE("float32 functions of exponentials keep their relative error from the smallest to the largest arguments") {
  const int64_t n = 100'003;
  const auto worst = [&](Tensor (*f)(const Tensor&), double low, double high) {  // in units of the last place
    const Tensor x = linspace(low, high, n, float32);
    const Values y = f(x).to_vector<double>(), expected = f(x.to(float64)).to_vector<double>();
    double error = 0;
    for (size_t i = 0; i < y.size(); ++i)
      error = std::max(error, expected[i] == y[i] ? 0 : std::fabs(y[i] / expected[i] - 1) * 0x1p24);
    return error;
  };
  CHECK(worst(tanh, -12, 12) < 5);
  CHECK(worst(tanh, -1e-3, 1e-3) < 5);
  CHECK(worst(tanh, -1e-30, 1e-30) < 5);
  CHECK(worst(sigmoid, -87, 87) < 5);
  CHECK(worst([](const Tensor& x) { return elu(x); }, -40, 0) < 5);
  CHECK(worst([](const Tensor& x) { return elu(x); }, -1e-3, 0) < 5);
  CHECK(worst([](const Tensor& x) { return gelu(x); }, -1, 40) < 8);
  CHECK(worst([](const Tensor& x) { return gelu(x); }, -5, -1) < 40);  // half the square of x was rounded
  CHECK(worst([](const Tensor& x) { return gelu(x, Gelu::tanh); }, -1, 40) < 6);
  CHECK(worst(silu, -87, 87) < 6);
  CHECK(worst(mish, -87, 87) < 6);
  CHECK(worst([](const Tensor& x) { return softplus(x); }, -87, 87) < 6);
  CHECK(worst(log_sigmoid, -87, 87) < 6);
  // and beyond, up to infinity
  const float inf = INFINITY, large = 3e38f;
  const Tensor x = tensor({inf, large, 88.5, 44.3, -44.3, -87.9, -88.5, -large, -inf}, float32);
  CHECK(tanh(x).to_vector<double>() == Values{1, 1, 1, 1, -1, -1, -1, -1, -1});
  CHECK(elu(x).to_vector<float>() == std::vector<float>{inf, large, 88.5, 44.3f, -1, -1, -1, -1, -1});
  const std::vector<float> s = sigmoid(x).to_vector<float>();
  CHECK((s[0] == 1 && s[1] == 1 && s[2] == 1 && s[5] < 1e-38f && s[6] < 1e-38f && s[7] == 0 && s[8] == 0));
  CHECK(softmax(tensor({-88.5, 0., -inf}, float32), 0).to_vector<float>() == std::vector<float>{0, 1, 0});
  CHECK(std::signbit(tanh(tensor({-0.0}, float32)).item<float>()));
}

TEST_CASE("float32 slopes of smooth rectifiers keep their error, next to 1") {
  const Tensor x = linspace(-20, 20, 100'003, float32), ones = ones_like(x), twice = x.to(float64);
  for (const Unary f :
       {Unary::gelu, Unary::gelu_tanh, Unary::silu, Unary::swish, Unary::mish, Unary::softplus, Unary::log_sigmoid}) {
    INFO(int(f));
    const Values expected = raw::unary_gradient(f, ones.to(float64), twice, 1, 20).to_vector<double>();
    CHECK(count_wrong(raw::unary_gradient(f, ones, x, 1, 20), expected, 2e-6, 1) == 0);
  }
}

TEST_CASE("gradients of functions of one operand are the same in every layout") {
  Random random;
  for (int i = 0; i < int(Unary::count); ++i) {
    const Unary f = static_cast<Unary>(i);
    if (!kernels::kernels().unary.gradient[i][0]) continue;
    for (const Dtype dtype : kFloats)
      for (const int64_t n : {1, 7, 65, 1000}) {
        INFO("gradient of " << i << " of " << n << " " << name(dtype));
        const Tensor dy = random_tensor(random, {n}, -4, 4, dtype), x = random_tensor(random, {n}, 0.1, 4, dtype);
        const Tensor one = random_tensor(random, {}, -4, 4, dtype);
        const Values expected = raw::unary_gradient(f, dy, x, 0.5, 1).to_vector<double>();
        CHECK(raw::unary_gradient(f, spread(dy), x, 0.5, 1).to_vector<double>() == expected);
        CHECK(raw::unary_gradient(f, dy, spread(x), 0.5, 1).to_vector<double>() == expected);
        CHECK(raw::unary_gradient(f, raw::clone(dy), spread(x), 0.5, 1).to_vector<double>() == expected);
        const Tensor ones = expand(one, {n}), same = raw::contiguous(ones);
        CHECK(raw::unary_gradient(f, ones, x, 0.5, 1).to_vector<double>() ==
              raw::unary_gradient(f, same, x, 0.5, 1).to_vector<double>());
        CHECK(raw::unary_gradient(f, dy, abs(ones), 0.5, 1).to_vector<double>() ==
              raw::unary_gradient(f, dy, abs(same), 0.5, 1).to_vector<double>());
      }
  }
}

TEST_CASE("a number takes part in the precision that is computed in") {
  for (const Dtype dtype : {float16, bfloat16}) {
    const Tensor x = full({3}, 0.5, dtype);
    CHECK((x * 1e5)[0].item() == Approx(5e4).epsilon(4e-3));  // float16 ends at 65504
    const Tensor strided = spread(x);
    CHECK((strided * 1e5)[1].item() == Approx(5e4).epsilon(4e-3));
    CHECK(all(x < 1e6).item<bool>());
    // 1 + 1/512 is no number of bfloat16, nor 1 + 1/4096 of float16
    const double close = dtype == float16 ? 1 + 1.0 / 4096 : 1 + 1.0 / 512;
    CHECK_FALSE(any(ones({2}, dtype) == close).item<bool>());
  }
}

TEST_CASE("functions of NaN are NaN, whatever its sign") {
  for (const Dtype dtype : {float32, float64, float16, bfloat16})
    for (const double nan : {double(NAN), -double(NAN)})
      for (const int64_t n : {1, 33}) {
        const Tensor x = full({n}, nan, dtype), ones = ones_like(x);
        for (int f = 0; f < int(Unary::count); ++f) {
          const Unary op = static_cast<Unary>(f);
          if (kernels::is_predicate(op)) continue;
          INFO("unary " << f << " of " << n << " " << name(dtype));
          CHECK(all(isnan(raw::unary("f", op, x, 0.5, 1))).item<bool>());
        }
        for (const Unary f : {Unary::gelu, Unary::gelu_tanh, Unary::silu, Unary::swish, Unary::mish, Unary::softplus,
                              Unary::elu, Unary::celu, Unary::selu, Unary::tanhshrink}) {
          INFO("gradient of " << int(f) << " of " << n << " " << name(dtype));
          CHECK(all(isnan(raw::unary_gradient(f, ones, x, 1, 1))).item<bool>());
        }
      }
}

TEST_CASE("where chooses in every layout and size of element") {
  Random random;
  for (const Dtype dtype : {float32, float64, float16, int32, uint8, boolean})
    for (const int64_t n : kSizes) {
      const Tensor c = raw::cast(random_tensor(random, {n}, -1, 1, float64), int32).to(boolean);
      const Tensor a = random_tensor(random, {n}, 0, 9, dtype), b = random_tensor(random, {n}, 0, 9, dtype);
      const Values va = a.to_vector<double>(), vb = b.to_vector<double>(), vc = c.to_vector<double>();
      Values expected;
      for (size_t i = 0; i < va.size(); ++i) expected.push_back(vc[i] != 0 ? va[i] : vb[i]);
      INFO(n << " " << name(dtype));
      CHECK(count_wrong(raw::where("where", c, a, b), expected, 0) == 0);
      CHECK(count_wrong(raw::where("where", spread(c), spread(a), b), expected, 0) == 0);
      CHECK(count_wrong(raw::where("where", c, a, spread(b)), expected, 0) == 0);
      if (n == 0) continue;
      for (size_t i = 0; i < va.size(); ++i) expected[i] = vc[i] != 0 ? va[i] : vb[0];
      CHECK(count_wrong(raw::where("where", c, a, b[0].detach()), expected, 0) == 0);
    }
  const Tensor x = reshape(arange(6), {2, 3});
  CHECK(where(tensor({true, false, true}), x, 0).to_vector<double>() == Values{0, 0, 2, 3, 0, 5});
  CHECK(where(tensor({{true}, {false}}), x, x * 10).to_vector<double>() == Values{0, 1, 2, 30, 40, 50});
  CHECK_THROWS_AS(where(x, x, x), DTypeError);
}

TEST_CASE("results that are too large for the cache equal those of their parts") {
  const int64_t rows = 2999, columns = 1501;
  const Tensor x = randn({rows, columns}), z = randn({rows, columns}), w = randn({columns}), v = randn({rows, 1});
  REQUIRE(x.numel() * 4 > raw::processor().streams_from());
  const Tensor in_place = raw::clone(x);
  raw::binary_into("add", Binary::add, in_place, z, in_place);
  const Tensor whole[] = {relu(x), x + z, x + w, x * v, w - x, x * 3, 1 - x, in_place, relu(x.t()).t()};
  int wrong = 0;
  for (int64_t i = 0; i < rows; i += 7) {
    const Tensor a = x[i], b = z[i];
    const Tensor part[] = {relu(a), a + b, a + w, a * v[i], w - a, a * 3, 1 - a, a + b, relu(a)};
    for (size_t k = 0; k < std::size(whole); ++k) wrong += !equal(whole[k][i].contiguous(), part[k]);
  }
  CHECK(wrong == 0);
}

TEST_CASE("large tensors in parts: the threads' pieces meet") {
  const int64_t n = 300'007;
  const Tensor x = arange(0, n, 1, float64);
  const Tensor y = x * 2 + x.reshape({n, 1}).squeeze(1);
  CHECK(y[0].item() == 0);
  double wrong = 0;
  for (int64_t i = 0; i < n; ++i) wrong += y.data<double>()[i] != 3.0 * static_cast<double>(i);
  CHECK(wrong == 0);
  const Tensor z = full({1000, 301}, 1, float32).t() + arange(1000).to(float32);
  CHECK(z[300][999].item() == 1000);
  CHECK(z.contiguous()[17].to_vector<double>()[500] == 501);
}

TEST_CASE("functions that a dtype lacks are errors") {
  const Tensor n = arange(3), b = tensor({true, false});
  CHECK_THROWS_WITH(raw::unary("exp", Unary::exp, n), Catch::Contains("[exp] is not defined for int64"));
  CHECK_THROWS_AS(raw::binary("sub", Binary::sub, b, b), DTypeError);
  CHECK_THROWS_AS(raw::unary("neg", Unary::neg, b), DTypeError);
  CHECK_THROWS_AS(raw::binary("div", Binary::div, n, n), DTypeError);
  CHECK(exp(n).dtype() == float32);
  CHECK((b + b).to_vector<double>() == Values{1, 0});
  CHECK((b * b).dtype() == boolean);
}

TEST_CASE("comparisons and equality") {
  const Tensor a = tensor({1, 2, 3});
  CHECK((a < 2.5).to_vector<bool>() == std::vector<bool>{true, true, false});
  CHECK((a == tensor({1., 0., 3.})).to_vector<bool>() == std::vector<bool>{true, false, true});
  CHECK((a != 2 && a > 0).to_vector<bool>() == std::vector<bool>{true, false, true});
  CHECK((!(a > 1) || a == 3).to_vector<bool>() == std::vector<bool>{true, false, true});
  CHECK(logical_xor(a > 1, a > 2).to_vector<bool>() == std::vector<bool>{false, true, false});
  CHECK(equal(a, tensor({1., 2., 3.})));
  CHECK_FALSE(equal(a, tensor({1, 2})));
  CHECK_FALSE(equal(a, tensor({{1, 2, 3}})));
  CHECK(allclose(a, tensor({1.000001, 2., 3.})));
  CHECK_FALSE(allclose(a, tensor({1.1, 2., 3.})));
  CHECK(allclose(a, tensor({1.1, 2., 3.}), 0, 0.2));
  CHECK(allclose(tensor({INFINITY}), tensor({INFINITY})));
  CHECK_FALSE(allclose(tensor({INFINITY}), tensor({-INFINITY})));
  CHECK_FALSE(allclose(tensor({NAN}), tensor({NAN})));
  CHECK(equal(zeros({0}), zeros({0})));
}
