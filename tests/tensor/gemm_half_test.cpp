// Products of float16 and bfloat16 against sums in float64.
#include <catch2/catch.hpp>

#include <cmath>

#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/matmul.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tensor/views.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {

constexpr Dtype kHalves[] = {bfloat16, float16};

Tensor product(const Tensor& a, const Tensor& b) { return raw::matmul("matmul", a, b); }
/// Of one dtype and another as numbers: NaN equals NaN.
bool alike(const Tensor& x, const Tensor& y) {
  const Values p = x.to_vector<double>(), q = y.to_vector<double>();
  return x.shape() == y.shape() && std::equal(p.begin(), p.end(), q.begin(), q.end(), [](double u, double v) {
           return u == v || (std::isnan(u) && std::isnan(v));
         });
}

/// The largest error of y = alpha a b + beta c + bias, divided by what it may be: one rounding of the result, and those
/// of k + 2 sums in float32.
double excess(const Tensor& y, const Tensor& a, const Tensor& b, double alpha = 1, double beta = 0,
              const Tensor& c = {}, const Tensor& bias = {}) {
  const int64_t m = a.size(0), k = a.size(1), n = b.size(1);
  const Values u = a.to_vector<double>(), v = b.to_vector<double>(), got = y.to_vector<double>();
  const Values w = c.defined() ? c.to_vector<double>() : Values{},
               s = bias.defined() ? bias.to_vector<double>() : Values{};
  const double rounding = y.dtype() == bfloat16 ? 0x1p-9 : 0x1p-12, least = y.dtype() == bfloat16 ? 0x1p-120 : 0x1p-25;
  double most = got.size() == size_t(m * n) ? 0 : INFINITY;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0, sizes = 0;
      for (int64_t l = 0; l < k; ++l) {
        const double p = alpha * u[size_t(i * k + l)] * v[size_t(l * n + j)];
        sum += p, sizes += std::fabs(p);
      }
      for (const double p : {w.empty() ? 0 : beta * w[size_t(i * n + j)], s.empty() ? 0 : s[size_t(j)]})
        sum += p, sizes += std::fabs(p);
      const double may = 2 * rounding * std::fabs(sum) + double(k + 3) * 0x1p-23 * sizes + least;
      const double error = std::fabs(got[size_t(i * n + j)] - sum) / may;
      most = error >= 0 ? std::max(most, error) : INFINITY;
    }
  return most;
}

/// A matrix of a dtype in one of the ways to lie.
enum class Lie { rows, columns, steps, within, repeated };
Tensor matrix(int64_t r, int64_t c, Dtype dtype, Lie lie, uint64_t seed) {
  Generator generator(seed);
  const auto random = [&](const Shape& shape) { return raw::cast(randn(shape, float32, generator), dtype); };
  switch (lie) {
    case Lie::rows: return random({r, c});
    case Lie::columns: return random({c, r}).t();
    case Lie::steps: return random({r, 2 * c}).slice(1, 0, 2 * c, 2);
    case Lie::within: {  // NaN lies around it
      const Tensor x = full({r + 1, c + 3}, NAN, dtype);
      const Tensor part = x.slice(0, 0, r).slice(1, 1, c + 1);
      raw::copy_into("copy", random({r, c}), part);
      return part;
    }
    case Lie::repeated: break;
  }
  return random({1, c}).expand({r, c});
}

}  // namespace

TEST_CASE("products of halves at many sizes, in every layout", "[products]") {
  const int64_t sizes[][3] = {{1, 1, 1},     {1, 40, 7},    {7, 1, 40},   {2, 3, 1},    {3, 2, 2},
                              {5, 16, 3},    {8, 17, 64},   {9, 31, 65},  {33, 32, 2},  {31, 33, 63},
                              {64, 48, 127}, {40, 70, 129}, {129, 10, 9}, {130, 65, 34}};
  const Lie lies[] = {Lie::rows, Lie::columns, Lie::steps, Lie::within, Lie::repeated};
  for (const Dtype dtype : kHalves)
    for (const auto& [m, n, k] : sizes)
      for (const Lie x : lies)
        for (const Lie z : lies) {
          INFO(name(dtype) << " (" << m << ", " << k << ") by (" << k << ", " << n << "), " << int(x) << int(z));
          const Tensor a = matrix(m, k, dtype, x, 1), b = matrix(k, n, dtype, z, 2), y = product(a, b);
          CHECK(y.dtype() == dtype);
          CHECK(excess(y, a, b) <= 1);
        }
}

TEST_CASE("sums of halves keep what cancels, as float32 does", "[products]") {
  // twice the same numbers with opposite signs, and a little more: the rounding of the result hides no error
  for (const Dtype dtype : kHalves)
    for (const int64_t half : {20, 700, 1500}) {
      const Tensor p = matrix(6, half, dtype, Lie::rows, 1), q = matrix(half, 40, dtype, Lie::rows, 2);
      const Tensor a = zeros({6, 2 * half + 1}, dtype), b = zeros({2 * half + 1, 40}, dtype);
      raw::copy_into("copy", p, a.slice(1, 0, half)), raw::copy_into("copy", p, a.slice(1, half, 2 * half));
      raw::copy_into("copy", q, b.slice(0, 0, half));
      raw::copy_into("copy", raw::cast(raw::matmul("matmul", -eye(half), raw::cast(q, float32)), dtype),
                     b.slice(0, half, 2 * half));
      raw::fill_into(a.slice(1, 2 * half, 2 * half + 1), 0.015625);
      raw::fill_into(b.slice(0, 2 * half, 2 * half + 1), 0.015625);
      CHECK(excess(product(a, b), a, b) <= 1);
      CHECK(excess(product(a, b.t().clone().t()), a, b) <= 1);
    }
}

TEST_CASE("linear and addmm of halves add a bias, and multiples", "[products]") {
  for (const Dtype dtype : kHalves)
    for (const auto& [m, n, k] : {std::array<int64_t, 3>{1, 5, 3}, {3, 40, 33}, {70, 129, 50}, {4, 6, 0}, {9, 1, 20}}) {
      INFO(name(dtype) << " (" << m << ", " << k << ") by (" << k << ", " << n << ")");
      const Tensor a = matrix(m, k, dtype, Lie::rows, 1), w = matrix(n, k, dtype, Lie::rows, 2),
                   c = matrix(m, n, dtype, Lie::rows, 3), bias = matrix(1, n, dtype, Lie::rows, 4).reshape({n});
      CHECK(excess(raw::linear("linear", a, w, bias), a, w.t(), 1, 0, {}, bias) <= 1);
      CHECK(excess(raw::linear("linear", a, w, {}), a, w.t()) <= 1);
      CHECK(excess(raw::addmm("addmm", c, a, w.t(), 0.3, -1.7), a, w.t(), -1.7, 0.3, c) <= 1);
      CHECK(excess(raw::addmm("addmm", full({m, n}, NAN, dtype), a, w.t(), 0, 2), a, w.t(), 2) <= 1);
    }
}

TEST_CASE("products of halves: a batch is its matrices, also repeated and empty ones", "[products]") {
  for (const Dtype dtype : kHalves) {
    Generator generator(1);
    const auto random = [&](const Shape& shape) { return raw::cast(randn(shape, float32, generator), dtype); };
    const Tensor a = random({2, 1, 9, 35}), b = random({3, 35, 33}), y = product(a, b);
    CHECK(y.shape() == Shape{2, 3, 9, 33});
    for (int i = 0; i < 2; ++i)
      for (int j = 0; j < 3; ++j) CHECK(alike(y[i][j], product(a[i][0], b[j])));
    const Tensor t = random({3, 33, 35}).transpose(1, 2), z = product(a[0], t);
    for (int j = 0; j < 3; ++j) CHECK(alike(z[j], product(a[0][0], t[j])));
    for (const Shape& s : {Shape{0, 4, 3}, Shape{2, 0, 3}, Shape{2, 4, 3}}) {
      const Tensor e = product(zeros({s[1], s[0]}, dtype), zeros({s[0], s[2]}, dtype));
      CHECK(e.shape() == Shape{s[1], s[2]});
      CHECK(alike(e, zeros({s[1], s[2]}, dtype)));
    }
    CHECK(product(zeros({3, 0}, dtype), zeros({0, 0}, dtype)).shape() == Shape{3, 0});
  }
}

TEST_CASE("products of halves pass on NaN and infinity, and no further", "[products]") {
  for (const Dtype dtype : kHalves)
    for (const int64_t k : {3, 8, 33})
      for (const bool transposed : {false, true}) {
        const auto turn = [&](const Tensor& x) { return transposed ? x.t().clone().t() : x; };
        const Tensor clean = product(full({9, k}, 2, dtype), full({k, 35}, 0.5, dtype));
        for (const double value : {double(NAN), double(INFINITY), -double(INFINITY)}) {
          Tensor a = full({9, k}, 2, dtype), b = full({k, 35}, 0.5, dtype);
          raw::fill_into(a[8][k - 1], value);
          const Tensor y = product(turn(a), turn(b));
          for (int64_t i = 0; i < 9; ++i) CHECK(alike(y[i], i == 8 ? full({35}, value, dtype) : clean[i]));
          raw::fill_into(b[k - 1][34], value);
          const Tensor z = product(turn(full({9, k}, 2, dtype)), turn(b)).t();
          for (int64_t j = 0; j < 35; ++j) CHECK(alike(z[j], j == 34 ? full({9}, value, dtype) : clean.t()[j]));
          a = zeros({9, k}, dtype);  // 0 times infinity
          CHECK(std::isnan(product(turn(a), turn(b))[3][34].item()));
          CHECK(product(turn(a), turn(b))[3][33].item() == 0);
        }
      }
  const Tensor large = full({2, 40}, 300, float16);  // beyond float16's range, but not float32's
  CHECK(product(large, large.t())[0][0].item() == INFINITY);
  CHECK(raw::addmm("addmm", {}, large, large.t(), 0, 0x1p-10)[0][0].item() == 3516);  // 3515.6, among even numbers
}

TEST_CASE("the smallest bfloat16 count, or count as 0", "[products]") {
  const double least = 0x1p-126, below = 0x1p-130;
  const Tensor a = full({9, 34}, least, bfloat16), b = full({34, 3}, 0x1p100, bfloat16);
  CHECK(product(a, b)[8][2].item() == 34 * 0x1p-26);
  const double sum = product(full({9, 34}, below, bfloat16), b)[8][2].item();
  CHECK((sum == 0 || sum == 34 * 0x1p-30));
  const Tensor h = full({9, 34}, 0x1p-24, float16);  // float16's are no exception
  CHECK(product(h, ones({34, 3}, float16))[8][2].item() == 34 * 0x1p-24);
}

TEST_CASE("products of halves give the same bits for any number of threads", "[threads]") {
  const int before = num_threads();
  for (const Dtype dtype : kHalves) {
    // the last two in several layers of k, and of rows
    for (const auto& [m, n, k] :
         {std::array<int64_t, 3>{1, 2000, 70}, {2000, 1, 70}, {150, 170, 90}, {1030, 60, 4100}}) {
      const Tensor a = matrix(m, k, dtype, Lie::rows, 1), b = matrix(k, n, dtype, Lie::rows, 2);
      Tensors results[2];
      for (const int threads : {1, 2, 5}) {
        set_num_threads(threads);
        results[0].push_back(product(a, b));
        results[1].push_back(product(a.t().clone().t(), b.t().clone().t()));
      }
      for (const Tensors& r : results) {
        CHECK(alike(r[1], r[0]));
        CHECK(alike(r[2], r[0]));
      }
      CHECK(alike(results[0][0].slice(0, m - 1, m), product(a.slice(0, m - 1, m).expand({2, k}), b).slice(0, 0, 1)));
      const Tensor last = a.slice(0, m - 1, m);
      CHECK(excess(results[1][0].slice(0, m - 1, m), last, b) <= 1);
    }
  }
  set_num_threads(before);
}

TEST_CASE("a product of halves widens parts of its operands, not the whole") {
  for (const Dtype dtype : kHalves) {
    const Tensor a = matrix(10000, 256, dtype, Lie::rows, 1), b = matrix(256, 8, dtype, Lie::rows, 2);
    product(a, b);
    reset_peak_memory();
    const int64_t held = memory_stats().current_bytes;
    const Tensor y = product(a, b);
    CHECK(memory_stats().peak_bytes - held < a.numel() * 2 / 3);
  }
}
