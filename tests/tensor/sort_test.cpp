#include <cotangent/tensor/sort.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <catch2/catch.hpp>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>

using namespace cotangent;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();

// NaN is larger than all.
bool before(double a, double b) { return std::isnan(b) ? !std::isnan(a) : a < b; }

std::vector<int64_t> stable_order(const std::vector<double>& v, bool descending) {
  std::vector<int64_t> order(v.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return descending ? before(v[size_t(b)], v[size_t(a)]) : before(v[size_t(a)], v[size_t(b)]);
  });
  return order;
}

}  // namespace

TEST_CASE("sort is stable in every dtype, for short and for long lines") {
  const Dtype dtype = GENERATE(float32, float64, bfloat16, float16, int64, int32, uint8, boolean);
  const int64_t n = GENERATE(1, 7, 128, 129, 3000);
  const bool descending = GENERATE(false, true);
  Generator g(1);
  const bool has_sign = dtype != uint8 && dtype != boolean;
  // values that come many times, of both signs and of several digits
  const Tensor x = raw::cast(randint(has_sign ? -300 : 0, 300, {n}, int64, g), dtype);
  const raw::Ordered y = raw::sort(x, 0, descending);
  const auto v = x.to_vector<double>();
  const auto expected = stable_order(v, descending);
  CHECK((y.indices.to_vector<int64_t>() == expected));
  const auto values = y.values.to_vector<double>();
  for (size_t i = 0; i < v.size(); ++i) CHECK(values[i] == v[size_t(expected[i])]);
  CHECK(y.values.dtype() == dtype);

  const int64_t k = (n + 1) / 2, few = (n + 9) / 10;
  for (int64_t count : {k, few}) {
    const raw::Ordered top = raw::topk(x, count, 0, descending, true);
    CHECK((top.indices.to_vector<int64_t>() == std::vector<int64_t>(expected.begin(), expected.begin() + count)));
    auto any = raw::topk(x, count, 0, descending, false).indices.to_vector<int64_t>();
    auto wanted = std::vector<int64_t>(expected.begin(), expected.begin() + count);
    std::sort(any.begin(), any.end());
    std::sort(wanted.begin(), wanted.end());
    CHECK((any == wanted));
  }
}

TEST_CASE("NaN comes after infinity, and the zeros are equal") {
  const Dtype dtype = GENERATE(float32, float64, float16);
  const Tensor x =
      raw::cast(from_vector(std::vector<double>{kNan, 1, -kInf, 0.0, -0.0, kInf, -kNan, -2, 0.0}, {9}), dtype);
  CHECK(raw::sort(x, 0, false).indices.to_vector<int64_t>() == std::vector<int64_t>{2, 7, 3, 4, 8, 1, 5, 0, 6});
  CHECK(raw::sort(x, 0, true).indices.to_vector<int64_t>() == std::vector<int64_t>{0, 6, 5, 1, 3, 4, 8, 7, 2});
  CHECK(raw::topk(x, 3, 0, true, true).indices.to_vector<int64_t>() == std::vector<int64_t>{0, 6, 5});
  CHECK(raw::topk(x, 1, 0, false, true).indices.to_vector<int64_t>() == std::vector<int64_t>{2});
  CHECK(std::signbit(raw::sort(x, 0, false).values.to_vector<double>()[2]) == false);
  CHECK(std::signbit(raw::sort(x, 0, false).values.to_vector<double>()[3]) == true);
}

TEST_CASE("extreme integers are in order") {
  const int64_t low = std::numeric_limits<int64_t>::min(), high = std::numeric_limits<int64_t>::max();
  const Tensor x = from_vector(std::vector<int64_t>{0, high, -1, low, 1, high - 1}, {6});
  CHECK(raw::sort(x, 0, false).values.to_vector<int64_t>() == std::vector<int64_t>{low, -1, 0, 1, high - 1, high});
}

TEST_CASE("any dimension of any layout is sorted, by any number of threads", "[threads]") {
  const int threads = num_threads();
  Generator g(2);
  const Tensor x = randn({7, 150, 9}, float32, g);
  const auto all = x.to_vector<double>();
  const Shape s = x.shape();
  for (int dim = 0; dim < 3; ++dim) {
    set_num_threads(1);
    const raw::Ordered one = raw::sort(x, dim, false);
    set_num_threads(3);
    const raw::Ordered y = raw::sort(x, dim, false), turned = raw::sort(x.transpose(0, 2), 2 - dim, false);
    CHECK(y.indices.to_vector<int64_t>() == one.indices.to_vector<int64_t>());
    CHECK(y.indices.to_vector<int64_t>() == turned.indices.transpose(0, 2).to_vector<int64_t>());
    int64_t inner = 1;
    for (int d = dim + 1; d < 3; ++d) inner *= s[d];
    const auto indices = y.indices.to_vector<int64_t>();
    for (int64_t line = 0; line < x.numel() / s[dim]; ++line) {
      const int64_t start = line / inner * inner * s[dim] + line % inner;
      std::vector<double> v;
      std::vector<int64_t> found;
      for (int64_t i = 0; i < s[dim]; ++i)
        v.push_back(all[size_t(start + i * inner)]), found.push_back(indices[size_t(start + i * inner)]);
      REQUIRE(found == stable_order(v, false));
    }
  }
  set_num_threads(threads);
}

TEST_CASE("empty lines and empty selections are in order") {
  CHECK(raw::sort(zeros({3, 0}), 1, false).values.shape() == Shape{3, 0});
  CHECK(raw::sort(zeros({0, 3}), 1, false).indices.shape() == Shape{0, 3});
  CHECK(raw::topk(zeros({3, 4}), 0, 1, true, true).values.shape() == Shape{3, 0});
}
