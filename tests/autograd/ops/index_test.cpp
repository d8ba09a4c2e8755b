#include <cotangent/autograd/ops/index.hpp>

#include <limits>

#include <catch2/catch.hpp>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/linear_attention.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/rope.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

using namespace cotangent;

TEST_CASE("the padding row of an embedding gets no gradient, at any order") {
  Tensor w = arange(8.0).to(float64).reshape({4, 2});
  w.requires_grad_();
  const Tensor indices = tensor({{1, 3, 1}, {3, 0, 0}});
  const int64_t padding = GENERATE(3, -1);
  sum(embedding(w, indices, padding)).backward();
  CHECK(w.grad().to_vector<double>() == std::vector<double>{2, 2, 2, 2, 0, 0, 0, 0});

  const Tensor y = embedding(w, indices, padding);
  CHECK(y.select(0, 0).select(0, 1).to_vector<double>() == std::vector<double>{6, 7});
  const Tensor dw = grad({sum(square(y))}, {w}, {.create_graph = true})[0];  // 2 n w, and 0 for the padding
  CHECK(dw.to_vector<double>() == std::vector<double>{0, 4, 8, 12, 0, 0, 0, 0});
  const Tensor ddw = grad({sum(dw * dw)}, {w})[0];  // 2 (2 n)^2 w through what was looked up
  CHECK(ddw.to_vector<double>() == std::vector<double>{0, 32, 64, 96, 0, 0, 0, 0});
}

TEST_CASE("an index that is written in place before the backward pass is an error") {
  Tensor w = ones({3, 2});
  w.requires_grad_();
  const Tensor index = tensor({0, 1});
  const Tensor y = embedding(w, index);
  index[0] = 2;
  CHECK_THROWS_WITH(sum(y).backward(), Catch::Contains("[embedding] input 1 of shape (2,) was written in place"));
}

TEST_CASE("indices of every integer dtype do") {
  const Tensor x = arange(12.0).reshape({3, 4});
  const Dtype dtype = GENERATE(int64, int32, uint8);
  CHECK(index_select(x, 1, tensor({3, 0}, dtype)).to_vector<double>() == std::vector<double>{3, 0, 7, 4, 11, 8});
  CHECK(gather(x, 0, tensor({{2, 0, 1, 1}}, dtype)).to_vector<double>() == std::vector<double>{8, 1, 6, 7});
}

TEST_CASE("empty indices give empty results and gradients of zero") {
  Tensor x = ones({3, 2});
  x.requires_grad_();
  const Tensor none = zeros({0}, int64);
  const Tensor y = index_select(x, 0, none);
  CHECK(y.shape() == Shape{0, 2});
  sum(y).backward();
  CHECK(x.grad().to_vector<double>() == std::vector<double>(6, 0.0));
  CHECK(gather(x, 1, zeros({3, 0}, int64)).shape() == Shape{3, 0});
  CHECK(equal(scatter_add(x, 1, zeros({0, 2}, int64), zeros({0, 2})), x));
  CHECK(embedding(x, zeros({2, 0}, int64)).shape() == Shape{2, 0, 2});
  CHECK_THROWS_AS(index_select(zeros({0, 2}), 0, tensor({0})), IndexError);
}

TEST_CASE("triangles of matrices that are views") {
  const Tensor x = arange(1, 7).reshape({2, 3}).t();  // ((1, 4), (2, 5), (3, 6))
  CHECK(tril(x).to_vector<int64_t>() == std::vector<int64_t>{1, 0, 2, 5, 3, 6});
  CHECK(triu(x).to_vector<int64_t>() == std::vector<int64_t>{1, 4, 0, 5, 0, 0});
  CHECK(tril(x, -3).to_vector<int64_t>() == std::vector<int64_t>(6, 0));
  CHECK(triu(x, std::numeric_limits<int64_t>::min()).to_vector<int64_t>() == x.to_vector<int64_t>());
  CHECK(tril(ones({2, 2}, boolean)).to_vector<bool>() == std::vector<bool>{true, false, true, true});
  CHECK(triu(zeros({0, 3})).shape() == Shape{0, 3});
}

TEST_CASE("functions of extreme integers name themselves") {
  CHECK_THROWS_WITH(one_hot(full({2}, INT64_MAX, int64)), Catch::StartsWith("[one_hot]"));
  CHECK_THROWS_WITH(one_hot(zeros({2}, int64), int64_t{1} << 62), Catch::StartsWith("[one_hot]"));
  CHECK_THROWS_WITH(one_hot(zeros({2}, int64), -2), Catch::StartsWith("[one_hot] -2 classes"));
  CHECK_THROWS_WITH(max(zeros({0})), Catch::StartsWith("[max]"));
  CHECK_THROWS_WITH(min(zeros({0})), Catch::StartsWith("[min]"));
  CHECK_THROWS_WITH(amax(zeros({0})), Catch::StartsWith("[amax]"));
  CHECK_THROWS_WITH(rope(ones({2, 3, 4}), INT64_MAX), Catch::StartsWith("[rope]"));
  CHECK_THROWS_WITH(toeplitz(ones({5}), INT64_MAX, INT64_MAX), Catch::StartsWith("[toeplitz]"));
  CHECK_THROWS_WITH(cosformer_features(ones({3, 4}), INT64_MAX, INT64_MAX), Catch::StartsWith("[cosformer_features]"));
  CHECK_THROWS_WITH(cosformer_features(ones({3, 4}), INT64_MIN, 0), Catch::StartsWith("[cosformer_features]"));
}
