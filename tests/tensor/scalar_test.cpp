// Where a number meets a dtype: what it is compared with, added to, or stored in.
#include <cotangent/tensor/scalar.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/cotangent.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {

constexpr Dtype kIntegers[] = {int64, int32, uint8};
constexpr double kInfinite = INFINITY;
using Truths = std::vector<bool>;

/// What mathematics says of x and y, of which a long double holds every int64 and every double.
struct Comparison {
  Tensor (*with_number)(const Tensor&, const Scalar&);
  Tensor (*with_tensor)(const Tensor&, const Tensor&);
  bool (*expected)(long double x, long double y);
};
const Comparison kComparisons[] = {
    {eq, eq, [](long double x, long double y) { return x == y; }},
    {ne, ne, [](long double x, long double y) { return x != y; }},
    {lt, lt, [](long double x, long double y) { return x < y; }},
    {le, le, [](long double x, long double y) { return x <= y; }},
    {gt, gt, [](long double x, long double y) { return x > y; }},
    {ge, ge, [](long double x, long double y) { return x >= y; }},
};

std::vector<int64_t> edges(Dtype dtype) {
  const auto [low, high] = integers_of(dtype);
  return {low, low + 1, 0, 1, 2, 3, 100, 127, high / 2, high - 1, high};
}
Tensor edge_tensor(Dtype dtype) {
  const std::vector<int64_t> v = edges(dtype);
  return from_vector(v, {std::ssize(v)}).to(dtype);
}

const int64_t kWholes[] = {INT64_MIN,
                           INT64_MIN + 1,
                           -(int64_t{1} << 53) - 1,
                           INT32_MIN - int64_t{1},
                           INT32_MIN,
                           -1,
                           0,
                           1,
                           2,
                           255,
                           256,
                           300,
                           INT32_MAX,
                           INT32_MAX + int64_t{1},
                           (int64_t{1} << 53) + 1,
                           INT64_MAX - 1,
                           INT64_MAX};
const double kFractions[] = {-kInfinite,
                             -1e300,
                             -0x1p63,
                             -0x1.0000000000001p63,
                             -2147483648.5,
                             -.5,
                             -0.,
                             0.,
                             .5,
                             1.,
                             2.5,
                             99.5,
                             254.5,
                             255.,
                             255.5,
                             256.,
                             2147483647.5,
                             0x1p53,
                             0x1p62,
                             0x1.fffffffffffffp62,
                             0x1p63,
                             0x1.0000000000001p63,
                             1e300,
                             kInfinite,
                             NAN};

void check_comparisons(Dtype dtype, const Scalar& number, long double value) {
  const Tensor x = edge_tensor(dtype), apart = stack({x, x}, 1).select(1, 0);
  for (size_t c = 0; c < std::size(kComparisons); ++c) {
    INFO(name(dtype) << ", comparison " << c << " with " << double(value));
    Truths expected;
    for (const int64_t e : edges(dtype))
      expected.push_back(kComparisons[c].expected(static_cast<long double>(e), value));
    CHECK(kComparisons[c].with_number(x, number).to_vector<bool>() == expected);
    CHECK(kComparisons[c].with_number(apart, number).to_vector<bool>() == expected);
  }
}

}  // namespace

TEST_CASE("integers are compared with any number as mathematics does") {
  for (const Dtype dtype : kIntegers) {
    for (const int64_t number : kWholes) check_comparisons(dtype, number, static_cast<long double>(number));
    for (const double number : kFractions) check_comparisons(dtype, number, number);
    check_comparisons(dtype, UINT64_MAX, 0x1p64L - 1);
    check_comparisons(dtype, uint64_t{1} << 63, 0x1p63L);
  }
  CHECK((tensor({255}, uint8) == -1).to_vector<bool>() == Truths{false});
  CHECK((tensor({100}, uint8) < 300).to_vector<bool>() == Truths{true});
  CHECK((tensor({2}) < 2.5).to_vector<bool>() == Truths{true});
  const Tensor truths = tensor({false, true});
  CHECK((truths == 2).to_vector<bool>() == Truths{false, false});
  CHECK((truths < .5).to_vector<bool>() == Truths{true, false});
  CHECK((truths >= 1).to_vector<bool>() == Truths{false, true});
  CHECK((truths != NAN).to_vector<bool>() == Truths{true, true});
  CHECK((zeros({0}, uint8) < 300).shape() == Shape{0});
  const Tensor last = full({1, 2, 2, 2}, 7, uint8).contiguous(MemoryFormat::channels_last);
  CHECK((last < 300).strides() == (last < 8).strides());
}

TEST_CASE("tensors of different dtypes are compared as mathematics does") {
  for (const Dtype da : kIntegers)
    for (const Dtype db : kIntegers) {
      const std::vector<int64_t> va = edges(da), vb = edges(db);
      const Tensor a = unsqueeze(edge_tensor(da), 1), b = edge_tensor(db);
      for (const Comparison& c : kComparisons) {
        Truths expected;
        for (const int64_t x : va)
          for (const int64_t y : vb)
            expected.push_back(c.expected(static_cast<long double>(x), static_cast<long double>(y)));
        CHECK(c.with_tensor(a, b).to_vector<bool>() == expected);
      }
    }
  // a float32 does not hold 2^24 + 1, nor a float16 70000
  CHECK_FALSE(equal(tensor({16777217}), tensor({16777216.f}, float32)));
  CHECK_FALSE(equal(tensor({70000}, int32), tensor({kInfinite}, float16)));
  CHECK(equal(tensor({70000, -3}, int32), tensor({70000., -3.}, float64)));
  CHECK((tensor({true}) < tensor({1.5}, bfloat16)).item<bool>());
}

TEST_CASE("a number that a dtype does not hold is no operand and no element") {
  const Tensor mask = tensor({true, false});
  for (const Dtype dtype : kIntegers)
    for (const Scalar number : {Scalar(kInfinite), Scalar(-kInfinite), Scalar(NAN), Scalar(.5), Scalar(1e30),
                                Scalar(UINT64_MAX), Scalar(-0x1.0000000000001p63), Scalar(0x1p63)}) {
      INFO(name(dtype) << " and " << number.to<double>());
      Tensor x = ones({2}, dtype);
      const auto refuses = [&](const char* op, auto f) {
        const std::string text = error_of(f);
        CHECK_THAT(text, Catch::StartsWith("[" + std::string(op) + "]"));
        CHECK_THAT(text, Catch::Contains("does not fit into " + std::string(name(dtype))));
      };
      refuses("fill_", [&] { x.fill_(number); });
      refuses("fill_", [&] { x[0] = number; });
      refuses("full", [&] { full({2}, number, dtype); });
      refuses("full_like", [&] { full_like(x, number); });
      refuses("masked_fill", [&] { masked_fill(x, mask, number); });
      refuses("index_put_", [&] { x.index_put_({mask}, number); });
      if (number.dtype() != float64) {
        refuses("add", [&] { x + number; });
        refuses("sub", [&] { x - number; });
        refuses("sub", [&] { number - x; });
        refuses("mul", [&] { x* number; });
        refuses("pow", [&] { pow(x, number); });
        refuses("remainder", [&] { remainder(x, number); });
        refuses("fmod", [&] { fmod(x, number); });
        refuses("floor_divide", [&] { floor_divide(x, number); });
        refuses("where", [&] { where(mask, x, number); });
        refuses("where", [&] { where(mask, number, x); });
        refuses("add_", [&] { x += number; });
        refuses("mul_", [&] { x *= number; });
      }
      CHECK(x.to_vector<int64_t>() == std::vector<int64_t>{1, 1});
    }
  CHECK_THROWS_AS(tensor({1}, uint8) + 300, ValueError);
  CHECK_THROWS_AS(tensor({1}, uint8) + -1, ValueError);
  CHECK_THROWS_AS(tensor({300}, uint8), ValueError);
  CHECK_THROWS_AS(tensor({NAN}, int64), ValueError);
  // what is held, is taken, whatever the category of the number
  CHECK(full({1}, 255., uint8).item<int>() == 255);
  CHECK(full({1}, -0x1p63, int64).item<int64_t>() == INT64_MIN);
  CHECK(masked_fill(ones({2}, int32), mask, -7.).to_vector<int>() == std::vector<int>{-7, 1});
  CHECK((full({1}, 255, uint8) - 255).item<int>() == 0);
  CHECK((full({1}, 1, int64) + INT64_MAX).item<int64_t>() == INT64_MIN);  // a sum that does not fit wraps
  CHECK(full({1}, 2, boolean).item<bool>());                              // truth, as to(boolean) has it
  for (const Dtype dtype : {float32, float64, bfloat16, float16}) {       // floats take any number, rounded
    CHECK(full({1}, kInfinite, dtype).item() == kInfinite);
    CHECK(std::isnan(full({1}, NAN, dtype).item()));
    CHECK((zeros({1}, dtype) + 0x1p63).dtype() == dtype);
  }
}

TEST_CASE("clamp of integers is by bounds that they hold, or that bound none of them") {
  const auto of = [](const Tensor& x) { return x.to_vector<int64_t>(); };
  using V = std::vector<int64_t>;
  CHECK(of(clamp(arange(0, 5, 1, int32), 0, 1e10)) == V{0, 1, 2, 3, 4});
  const Tensor bytes = tensor({0, 1, 100, 254, 255}, uint8);
  CHECK(of(clamp(bytes, -5, 300)) == V{0, 1, 100, 254, 255});
  CHECK(of(clamp(bytes, -5.5, 300.5)) == V{0, 1, 100, 254, 255});
  CHECK(of(clamp(bytes, -kInfinite, 100)) == V{0, 1, 100, 100, 100});
  CHECK(of(clamp(bytes, 1, kInfinite)) == V{1, 1, 100, 254, 255});
  CHECK(clamp(bytes, 1, 3).dtype() == uint8);
  const Tensor wide = tensor({INT64_MIN, -(int64_t{1} << 53) - 1, (int64_t{1} << 53) + 1, INT64_MAX});
  CHECK(of(clamp(wide, INT64_MIN, INT64_MAX)) == of(wide));
  CHECK(of(clamp(wide, -1e300, 0x1p63)) == of(wide));
  CHECK(of(clamp(wide, -(int64_t{1} << 53) - 1, (int64_t{1} << 53) + 1)) ==
        V{-(int64_t{1} << 53) - 1, -(int64_t{1} << 53) - 1, (int64_t{1} << 53) + 1, (int64_t{1} << 53) + 1});
  CHECK(of(clamp(tensor({false, true}).to(boolean), -1, 5)) == V{0, 1});
  CHECK(clamp(zeros({0}, int32), 0, 1e10).shape() == Shape{0});
  CHECK_THAT(error_of([&] { clamp(bytes, 300, 400); }), Catch::StartsWith("[clamp] 300 does not fit into uint8"));
  CHECK_THAT(error_of([&] { clamp(bytes, -5, -1); }), Catch::StartsWith("[clamp] -1 does not fit into uint8"));
  CHECK_THAT(error_of([&] { clamp(bytes, .5, 4); }), Catch::StartsWith("[clamp] 0.5 does not fit into uint8"));
  CHECK_THROWS_AS(clamp(bytes, NAN, 4), ValueError);
  CHECK(of(hardtanh(arange(0, 5, 1, int32), 1, 1e10)) == V{1, 1, 2, 3, 4});
  CHECK(of(hardtanh(bytes, -5, 3)) == V{0, 1, 3, 3, 3});
  CHECK(of(hardtanh(bytes)) == V{0, 1, 1, 1, 1});
  CHECK(of(relu6(bytes)) == V{0, 1, 6, 6, 6});
  CHECK_THAT(error_of([&] { hardtanh(bytes, -.5, .5); }), Catch::StartsWith("[hardtanh] 0.5 does not fit into uint8"));
}

TEST_CASE("a number is read as what it is asked for, or not at all") {
  CHECK(tensor({2.9}).item<int>() == 2);
  CHECK(tensor({-.5}).item<uint8_t>() == 0);
  CHECK(tensor({-3}).item<double>() == -3);
  CHECK(tensor({NAN}).item<bool>());
  CHECK(tensor({INT64_MAX}).item<uint64_t>() == INT64_MAX);
  CHECK_THROWS_AS(tensor({NAN}).item<int>(), ValueError);
  CHECK_THROWS_AS(tensor({3e10}).item<int>(), ValueError);
  CHECK_THROWS_AS(tensor({300}).item<uint8_t>(), ValueError);
  CHECK_THROWS_AS(tensor({-1}).item<size_t>(), ValueError);
  CHECK_THROWS_AS(tensor({0x1p63}, float64).item<int64_t>(), ValueError);
  CHECK_THAT(error_of([] { tensor({kInfinite}).item<int>(); }),
             Catch::StartsWith("[item] inf is not among the integers from -2147"));
}

TEST_CASE("ranges that a dtype does not hold are an error") {
  CHECK_THAT(error_of([] { arange(0, 300, 1, uint8); }), Catch::StartsWith("[arange] 256 does not fit into uint8"));
  CHECK_THROWS_AS(arange(-1, 3, 1, uint8), ValueError);
  CHECK_THROWS_AS(arange(INT32_MAX, INT32_MAX + int64_t{2}, 1, int32), ValueError);
  CHECK_THROWS_AS(arange(0, 1, .25, int64), ValueError);
  CHECK(arange(0., 3., 1., int64).to_vector<int>() == std::vector<int>{0, 1, 2});
  CHECK(arange(250, 256, 1, uint8).to_vector<int>().back() == 255);
  CHECK_THAT(error_of([] { linspace(0, 300, 4, uint8); }), Catch::StartsWith("[linspace] 300 is not among"));
  CHECK_THROWS_AS(linspace(0, kInfinite, 2, int64), ValueError);
  CHECK_THROWS_AS(linspace(NAN, 1, 2, int32), ValueError);
  CHECK(linspace(0, 10, 5, int64).to_vector<int>() == std::vector<int>{0, 2, 5, 7, 10});  // without the fractions

  for (const auto& [dtype, n] : {std::pair(uint8, 256), std::pair(bfloat16, 257), std::pair(float16, 2049)}) {
    INFO(name(dtype));
    std::vector<int64_t> v = randperm(n, dtype).to_vector<int64_t>();
    std::sort(v.begin(), v.end());
    CHECK(v == arange(n).to_vector<int64_t>());
    CHECK_THAT(error_of([&, d = dtype, more = n + 1] { randperm(more, d); }), Catch::StartsWith("[randperm]"));
    CHECK_THROWS_AS(randint(0, n + 1, {2}, dtype), ValueError);
  }
  CHECK(randperm(0, boolean).numel() == 0);
  CHECK(randperm(2, boolean).to_vector<int>() != std::vector<int>{0, 0});
  CHECK_THROWS_AS(randperm(3, boolean), ValueError);
  CHECK_THROWS_AS(randint(0, 65536, {2}, float16), ValueError);
  CHECK_THROWS_AS(randint(-1, 5, {2}, uint8), ValueError);
  CHECK_THROWS_AS(one_hot(full({1}, 255, uint8), 255), IndexError);
  CHECK(one_hot(full({1}, 255, uint8), -1).shape() == Shape{1, 256});
}
