#include <cotangent/tensor/matmul.hpp>

#include <catch2/catch.hpp>
#include <cmath>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tensor/views.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {
Tensor product(const Tensor& a, const Tensor& b) { return raw::matmul("matmul", a, b); }

/// Small integers, whose products are exact in every dtype.
Tensor small_integers(const Shape& shape, Dtype dtype = float64) {
  Tensor x = arange(0, shape.product(), 1, float64).reshape(shape);
  for (int64_t i = 0; i < x.numel(); ++i) x.data<double>()[i] = static_cast<double>(i * 7 % 5 - 2);
  return raw::cast(x, dtype);
}
}  // namespace

TEST_CASE("matmul of two matrices, by hand") {
  const Tensor a = tensor({{1, 2, 3}, {4, 5, 6}}, float64), b = tensor({{1, 0}, {0, 1}, {2, -1}}, float64);
  CHECK(product(a, b).to_vector<double>() == Values{7, -1, 16, -1});
  CHECK(product(b, a).to_vector<double>() == Values{1, 2, 3, 4, 5, 6, -2, -1, 0});
}

TEST_CASE("matmul takes every dtype but bool") {
  const Values expected = product(small_integers({3, 4}), small_integers({4, 2})).to_vector<double>();
  for (Dtype dtype : {float32, bfloat16, float16, int64, int32}) {
    const Tensor y = product(small_integers({3, 4}, dtype), small_integers({4, 2}, dtype));
    CHECK(y.dtype() == dtype);
    CHECK(y.to_vector<double>() == expected);
  }
  const Tensor bytes = tensor({{200, 100}}, uint8);
  CHECK(product(bytes, tensor({{1}, {1}}, uint8)).item() == 44);  // wraps around
  CHECK_THROWS_WITH(product(tensor({{true}}), tensor({{true}})), Catch::Contains("not defined for bool"));
}

TEST_CASE("matmul repeats batch dimensions as broadcasting does") {
  const Tensor a = small_integers({2, 1, 3, 4}), b = small_integers({3, 4, 2});
  const Tensor y = product(a, b);
  CHECK(y.shape() == Shape{2, 3, 3, 2});
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j) CHECK(y[i][j].to_vector<double>() == product(a[i][0], b[j]).to_vector<double>());
}

TEST_CASE("a batched matmul takes no memory but its result") {
  const Tensor a = small_integers({64, 8, 8}, float32), b = small_integers({8, 8}, float32).expand({64, 8, 8});
  product(a, b);
  reset_peak_memory();
  const int64_t before = memory_stats().current_bytes;
  const Tensor y = product(a, b.transpose(1, 2));
  CHECK(memory_stats().current_bytes - before < 2 * y.numel() * 4);
  CHECK(y[63].to_vector<float>() == product(a[63], b[63].t()).to_vector<float>());
}

TEST_CASE("matmul and linear take views without a copy changing the result") {
  const Tensor a = small_integers({6, 8}), b = small_integers({8, 10});
  const Values expected = product(a.slice(1, 0, 8, 2).clone(), b.slice(0, 0, 4).clone()).to_vector<double>();
  CHECK(product(a.slice(1, 0, 8, 2), b.slice(0, 0, 4)).to_vector<double>() == expected);
  const Tensor x = small_integers({4, 3, 2}).permute({2, 1, 0}), w = small_integers({5, 4});
  const Tensor y = raw::linear("linear", x, w, small_integers({5}));
  CHECK(y.to_vector<double>() ==
        raw::linear("linear", x.clone(), w.t().clone().t(), small_integers({5})).to_vector<double>());
  const Tensor one = product(x.clone().reshape({6, 4}), w.t());
  for (int64_t i = 0; i < 6; ++i)
    for (int64_t j = 0; j < 5; ++j)
      CHECK(y.reshape({6, 5})[i][j].item() == one[i][j].item() + small_integers({5})[j].item());
}

TEST_CASE("linear in integers and low precision") {
  const Tensor x = small_integers({2, 3}), w = small_integers({4, 3}), b = small_integers({4});
  const Values expected = raw::linear("linear", x, w, b).to_vector<double>();
  for (Dtype dtype : {float32, bfloat16, float16, int64, int32}) {
    const Tensor y = raw::linear("linear", raw::cast(x, dtype), raw::cast(w, dtype), raw::cast(b, dtype));
    CHECK(y.dtype() == dtype);
    CHECK(y.to_vector<double>() == expected);
  }
  CHECK_THROWS_WITH(raw::linear("linear", x, raw::cast(w, float32), b), Catch::Contains("one dtype"));
}

TEST_CASE("addmm reads c only where beta is not 0") {
  const Tensor a = small_integers({2, 3}), b = small_integers({3, 2}), nan = full({2, 2}, NAN, float64);
  CHECK(raw::addmm("addmm", nan, a, b, 0, 2).to_vector<double>() ==
        raw::binary("mul", raw::Binary::mul, product(a, b), 2).to_vector<double>());
  CHECK(raw::addmm("addmm", {}, a, b).to_vector<double>() == product(a, b).to_vector<double>());
}

TEST_CASE("products give the same bits for any number of threads", "[threads]") {
  const int before = num_threads();
  manual_seed(1);
  const Tensor a = randn({5, 70, 130}), b = randn({130, 90}), c = randn({3, 1, 70, 130}), w = randn({90, 130}),
               bias = randn({90});
  std::vector<std::vector<float>> results[3];
  for (int threads : {1, 2, 5}) {
    set_num_threads(threads);
    results[0].push_back(product(a, b).to_vector<float>());
    results[1].push_back(product(c, a.transpose(1, 2)).to_vector<float>());
    results[2].push_back(raw::linear("linear", a, w, bias).to_vector<float>());
  }
  set_num_threads(before);
  for (const auto& r : results) {
    CHECK(r[1] == r[0]);
    CHECK(r[2] == r[0]);
  }
}
