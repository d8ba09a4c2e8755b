#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

#include <cotangent/cotangent.hpp>

using namespace cotangent;

namespace {

const Dtype kAll[] = {float32, float64, bfloat16, float16, int64, int32, uint8, boolean};

/// The nearest number with `bits` fraction bits and exponents from `lowest` to `highest`, ties to even: in double,
/// where all of this is exact.
double rounded(float x, int bits, int lowest, int highest) {
  const double v = x;
  if (v == 0 || !std::isfinite(v)) return v;
  const int exponent = std::max(std::ilogb(v), lowest);
  const double quantum = std::ldexp(1.0, exponent - bits);
  const double r = std::nearbyint(v / quantum) * quantum;
  const double largest = std::ldexp(2 - std::ldexp(1.0, -bits), highest);
  return std::fabs(r) > largest ? std::copysign(INFINITY, v) : r;
}
double rounded_half(float x) { return rounded(x, 10, -14, 15); }
double rounded_bfloat(float x) { return rounded(x, 7, -126, 127); }

/// What the 16 bits of a half mean, from the definition of binary16.
double meaning(uint16_t bits, int exponent_bits) {
  const int fraction_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const int sign = bits >> 15, exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1);
  const int fraction = bits & ((1 << fraction_bits) - 1);
  double v;
  if (exponent == (1 << exponent_bits) - 1)
    v = fraction ? NAN : INFINITY;
  else if (exponent == 0)
    v = std::ldexp(fraction, 1 - bias - fraction_bits);
  else
    v = std::ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
  return sign ? -v : v;
}

bool same(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

/// Floats of all magnitudes: every pattern of the upper 16 bits with lower bits around the places where rounding turns.
std::vector<float> many_floats() {
  const uint32_t low[] = {0,      1,      0x0fff, 0x1000, 0x1001, 0x1fff, 0x2000, 0x2001,
                          0x3000, 0x5000, 0x7fff, 0x8000, 0x8001, 0xf000, 0xffff};
  std::vector<float> v;
  for (uint32_t high = 0; high < 65536; ++high)
    for (uint32_t l : low) {
      const uint32_t u = high << 16 | l;
      float f;
      std::memcpy(&f, &u, 4);
      v.push_back(f);
    }
  return v;
}

}  // namespace

TEST_CASE("dtypes: names, sizes and categories") {
  const char* names[] = {"float32", "float64", "bfloat16", "float16", "int64", "int32", "uint8", "bool"};
  const int64_t sizes[] = {4, 8, 2, 2, 8, 4, 1, 1};
  for (int i = 0; i < kDtypeCount; ++i) {
    CHECK(std::string(name(kAll[i])) == names[i]);
    CHECK(item_size(kAll[i]) == sizes[i]);
    CHECK(is_floating(kAll[i]) == (i < 4));
    CHECK(is_integral(kAll[i]) == (i >= 4 && i < 7));
  }
  CHECK(dtype_of<const float> == float32);
  CHECK(dtype_of<long long> == int64);
}

TEST_CASE("promotion is PyTorch's") {
  constexpr Dtype f4 = float32, f8 = float64, b2 = bfloat16, f2 = float16, i8 = int64, i4 = int32, u1 = uint8,
                  b1 = boolean;
  const Dtype table[8][8] = {
      {f4, f8, f4, f4, f4, f4, f4, f4}, {f8, f8, f8, f8, f8, f8, f8, f8}, {f4, f8, b2, f4, b2, b2, b2, b2},
      {f4, f8, f4, f2, f2, f2, f2, f2}, {f4, f8, b2, f2, i8, i8, i8, i8}, {f4, f8, b2, f2, i8, i4, i4, i4},
      {f4, f8, b2, f2, i8, i4, u1, u1}, {f4, f8, b2, f2, i8, i4, u1, b1},
  };
  const Dtype scalars[8][3] = {{f4, f4, f4}, {f8, f8, f8}, {b2, b2, b2}, {f2, f2, f2},
                               {i8, i8, f4}, {i4, i4, f4}, {u1, u1, f4}, {b1, i8, f4}};
  for (int a = 0; a < 8; ++a) {
    for (int b = 0; b < 8; ++b) {
      INFO(name(kAll[a]) << " and " << name(kAll[b]));
      CHECK(promote(kAll[a], kAll[b]) == table[a][b]);
      CHECK((ones({2}, kAll[a]) * ones({2}, kAll[b])).dtype() == table[a][b]);
    }
    CHECK(promote(kAll[a], Scalar(true)) == scalars[a][0]);
    CHECK(promote(kAll[a], Scalar(2)) == scalars[a][1]);
    CHECK(promote(kAll[a], Scalar(2.5)) == scalars[a][2]);
  }
}

TEST_CASE("the default dtype decides what new floating tensors are") {
  CHECK(default_dtype() == float32);
  CHECK(zeros({1}).dtype() == float32);
  set_default_dtype(float64);
  CHECK(zeros({1}).dtype() == float64);
  CHECK((ones({1}, int64) * 2.5).dtype() == float64);
  CHECK(tensor({1.5}).dtype() == float64);
  set_default_dtype(float32);
  CHECK_THROWS_WITH(set_default_dtype(int64), Catch::Contains("int64 is not a floating dtype"));
  CHECK(default_dtype() == float32);
}

TEST_CASE("Half and BFloat16 mean what their formats say, for all 65536 patterns") {
  int wrong = 0;
  for (uint32_t u = 0; u < 65536; ++u) {
    const auto bits = static_cast<uint16_t>(u);
    Half h;
    BFloat16 b;
    h.bits = b.bits = bits;
    wrong += !same(static_cast<float>(h), meaning(bits, 5));
    wrong += !same(static_cast<float>(b), meaning(bits, 8));
    const float fh = h, fb = b;  // and back again
    wrong += std::isnan(fh) ? !std::isnan(static_cast<float>(Half(fh))) : Half(fh).bits != bits;
    wrong += std::isnan(fb) ? !std::isnan(static_cast<float>(BFloat16(fb))) : BFloat16(fb).bits != bits;
  }
  CHECK(wrong == 0);
}

TEST_CASE("floats are rounded to the nearest Half and BFloat16, ties to even") {
  int wrong = 0;
  for (const float f : many_floats()) {
    wrong += !same(static_cast<float>(Half(f)), rounded_half(f));
    wrong += !same(static_cast<float>(BFloat16(f)), rounded_bfloat(f));
  }
  CHECK(wrong == 0);
  CHECK(static_cast<float>(Half(65504.f)) == 65504.f);
  CHECK(static_cast<float>(Half(65519.f)) == 65504.f);
  CHECK(std::isinf(static_cast<float>(Half(65520.f))));
  CHECK(static_cast<float>(Half(0x1p-25f)) == 0);
  CHECK(static_cast<float>(Half(0x1.1p-25f)) == 0x1p-24f);
}

TEST_CASE("the kernels convert as the scalar types do") {
  const std::vector<float> v = many_floats();
  const Tensor x = from_vector(v, {static_cast<int64_t>(v.size())});
  const std::vector<float> half = to(to(x, float16), float32).to_vector<float>();
  const std::vector<float> bfloat = to(to(x, bfloat16), float32).to_vector<float>();
  int wrong = 0;
  for (size_t i = 0; i < v.size(); ++i) {
    wrong += !same(half[i], rounded_half(v[i]));
    wrong += !same(bfloat[i], rounded_bfloat(v[i]));
  }
  CHECK(wrong == 0);

  std::vector<Half> all_half(65536);
  std::vector<BFloat16> all_bfloat(65536);
  for (uint32_t u = 0; u < 65536; ++u) all_half[u].bits = all_bfloat[u].bits = static_cast<uint16_t>(u);
  const std::vector<double> from_half = to(from_vector(all_half, {65536}), float64).to_vector<double>();
  const std::vector<double> from_bfloat = to(from_vector(all_bfloat, {65536}), float64).to_vector<double>();
  const std::vector<float> wide_half = to(from_vector(all_half, {65536}), float32).to_vector<float>();
  const std::vector<float> wide_bfloat = to(from_vector(all_bfloat, {65536}), float32).to_vector<float>();
  for (uint32_t u = 0; u < 65536; ++u) {
    wrong += !same(from_half[u], meaning(static_cast<uint16_t>(u), 5));
    wrong += !same(from_bfloat[u], meaning(static_cast<uint16_t>(u), 8));
    wrong += !same(wide_half[u], from_half[u]) + !same(wide_bfloat[u], from_bfloat[u]);
  }
  CHECK(wrong == 0);
}

TEST_CASE("conversions between all dtypes keep small whole numbers, and truncate") {
  const Tensor whole = tensor({0, 1, 2, 3, 100, 127}, float64);
  for (Dtype from : kAll)
    for (Dtype by : kAll) {
      INFO(name(from) << " to " << name(by));
      const Tensor x = to(whole, from), y = to(x, by);
      CHECK(y.dtype() == by);
      const bool truth = from == boolean || by == boolean;
      for (int64_t i = 0; i < 6; ++i) {
        const double v = whole[i].item();
        CHECK(y[i].item() == (truth ? double(v != 0) : v));
      }
    }
  CHECK(to(tensor({-1.7, 1.7, -0.4}), int32).to_vector<int64_t>() == std::vector<int64_t>{-1, 1, 0});
  CHECK(to(tensor({0.3, 0.0, NAN}), boolean).to_vector<int64_t>() == std::vector<int64_t>{1, 0, 1});
  CHECK(to(tensor({300, -1}), uint8).to_vector<int64_t>() == std::vector<int64_t>{44, 255});
  CHECK(tensor({int64_t{1} << 60}).item<int64_t>() == int64_t{1} << 60);
}

TEST_CASE("Scalar keeps 64-bit integers exact") {
  const int64_t big = (int64_t{1} << 62) + 1;
  CHECK(Scalar(big).to<int64_t>() == big);
  CHECK(Scalar(2.9).to<int>() == 2);
  CHECK(Scalar(true).dtype() == boolean);
  CHECK(Scalar(1).dtype() == int64);
  CHECK(Scalar(1.f).dtype() == float64);
  CHECK((full({1}, 1, int64) + big).item<int64_t>() == big + 1);
}
