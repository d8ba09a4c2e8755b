#include <cotangent/tensor/index.hpp>

#include <catch2/catch.hpp>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>

using namespace cotangent;

TEST_CASE("pick reads any dimensions of any layout") {
  const Tensor x = arange(120).reshape({2, 3, 4, 5});
  auto expected = [](const Tensor& v, const std::vector<int64_t>& index) {  // dimensions 1 and 2 as one
    std::vector<int64_t> y;
    const auto all = v.to_vector<int64_t>();
    const int64_t n = v.size(1) * v.size(2), inner = v.size(3);
    for (int64_t o = 0; o < v.size(0); ++o)
      for (int64_t i : index)
        for (int64_t j = 0; j < inner; ++j) y.push_back(all[size_t((o * n + i) * inner + j)]);
    return y;
  };
  const std::vector<int64_t> index{11, 0, 5, 5, 2, 7};
  const Tensor places = from_vector(index, {6});
  for (const Tensor& v : {x, x.permute({3, 1, 2, 0}), x.permute({1, 2, 0, 3}), x.permute({0, 2, 1, 3}),
                          x.slice(3, 0, 5, 2), x.select(3, 1).unsqueeze(3).expand({2, 3, 4, 6})}) {
    std::vector<int64_t> some;
    for (int64_t i : index) some.push_back(i % (v.size(1) * v.size(2)));
    const Tensor y = raw::pick(v, {1, 2}, from_vector(some, {6}), {2, 3});
    CHECK(y.shape() == Shape{v.size(0), 2, 3, v.size(3)});
    CHECK(y.to_vector<int64_t>() == expected(v, some));
  }
  CHECK(raw::pick(x, {0, 4}, places, {6}).to_vector<int64_t>() == index);
  CHECK(raw::pick(x, {1, 1}, zeros({0}, int64), {0}).shape() == Shape{2, 0, 4, 5});
}

TEST_CASE("put writes what pick reads, and the last of two writes to one place stays") {
  const Tensor x = zeros({3, 4}, int64).t();  // (4, 3)
  const Tensor index = tensor({2, 0, 2});
  raw::put(x, {0, 1}, index, tensor({{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}));
  CHECK(x.to_vector<int64_t>() == std::vector<int64_t>{4, 5, 6, 0, 0, 0, 7, 8, 9, 0, 0, 0});
  CHECK(raw::last_of_each(index, 4).to_vector<bool>() == std::vector<bool>{false, true, true});
  CHECK(!raw::last_of_each(tensor({2, 0, 3}), 4).defined());
}

TEST_CASE("sums by index do not depend on the threads", "[threads]") {
  const int threads = num_threads();
  Generator g(1);
  const int64_t inner = GENERATE(1, 3, 64);
  const Tensor index = randint(0, 999, {5000}, int64, g), values = randn({2, 5000, inner}, float32, g);
  set_num_threads(1);
  const Tensor one = raw::pick_sum(values, {2, 1000, inner}, {1, 1}, index, 17);
  set_num_threads(3);
  CHECK(equal(raw::pick_sum(values, {2, 1000, inner}, {1, 1}, index, 17), one));
  set_num_threads(threads);

  std::vector<double> expected(size_t(2 * 1000 * inner));
  const auto v = values.to_vector<double>();
  const auto at = index.to_vector<int64_t>();
  for (int64_t o = 0; o < 2; ++o)
    for (int64_t i = 0; i < 5000; ++i)
      for (int64_t j = 0; j < inner && at[size_t(i)] != 17; ++j)
        expected[size_t((o * 1000 + at[size_t(i)]) * inner + j)] += v[size_t((o * 5000 + i) * inner + j)];
  CHECK(allclose(one, from_vector(expected, one.shape()), 1e-5, 1e-5));
}

TEST_CASE("low-precision sums by index are rounded once") {
  const Tensor ones_ = ones({1000, 2}, bfloat16);
  const Tensor y = raw::pick_sum(ones_, {3, 2}, {0, 1}, zeros({1000}, int64));
  CHECK(y.dtype() == bfloat16);
  CHECK(y.to_vector<double>() == std::vector<double>{1000, 1000, 0, 0, 0, 0});  // 1 + 1 + ... in bfloat16 stops at 256
  const Tensor z = zeros({2, 1}, float16);
  raw::scatter_add_into(z, 1, zeros({2, 4000}, int64), ones({2, 4000}, float16));
  CHECK(z.to_vector<double>() == std::vector<double>{4000, 4000});
}

TEST_CASE("nonzero gives positions in row-major order") {
  CHECK(raw::nonzero(tensor({{true, false, true}, {false, false, true}})).to_vector<int64_t>() ==
        std::vector<int64_t>{0, 2, 5});
  CHECK(raw::nonzero(tensor({{true, false}, {true, false}}).t()).to_vector<int64_t>() == std::vector<int64_t>{0, 1});
  CHECK(raw::nonzero(zeros({0, 3}, boolean)).numel() == 0);
  CHECK(raw::nonzero(full({}, true, boolean)).to_vector<int64_t>() == std::vector<int64_t>{0});
}

TEST_CASE("checked_index wraps negative indices when asked to") {
  const Tensor i = tensor({-1, 2, -3});
  CHECK(raw::checked_index("op", i, 3, 0, true).to_vector<int64_t>() == std::vector<int64_t>{2, 2, 0});
  CHECK_THROWS_WITH(
      raw::checked_index("op", i, 2, 4, true),
      "[op] index 2, at position 1 of the index, is out of range for dimension 4 of size 2; it must be from -2 to 1");
  CHECK_THROWS_AS(raw::checked_index("op", i, 3, 0), IndexError);
  CHECK_THROWS_AS(raw::checked_index("op", tensor({true}), 3, 0), DTypeError);
}
