#include <cotangent/autograd/ops/join.hpp>

#include <catch2/catch.hpp>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>

using namespace cotangent;

TEST_CASE("cat and stack promote to the common dtype, and gradients come back in each one's own") {
  Tensor a = ones({2}, float32), b = ones({3}, float64);
  a.requires_grad_(), b.requires_grad_();
  const Tensor y = cat({a, arange(1), b});
  CHECK(y.dtype() == float64);
  sum(y * arange(1, 7)).backward();
  CHECK(a.grad().dtype() == float32);
  CHECK(a.grad().to_vector<float>() == std::vector<float>{1, 2});
  CHECK(b.grad().to_vector<double>() == std::vector<double>{4, 5, 6});
  CHECK(stack({tensor({1, 2}), tensor({true, false})}).to_vector<int64_t>() == std::vector<int64_t>{1, 2, 1, 0});
}

TEST_CASE("the same tensor may be joined twice") {
  Tensor x = ones({2, 2});
  x.requires_grad_();
  sum(stack({x, x * 2, x}, 2)).backward();
  CHECK(x.grad().to_vector<float>() == std::vector<float>(4, 4.0f));
}

TEST_CASE("split, chunk and unbind are views, and one unused part has a gradient of zero") {
  Tensor x = arange(6.0).reshape({3, 2});
  const Tensors rows = unbind(x);
  REQUIRE(rows.size() == 3);
  CHECK(rows[1].shares_storage(x));
  Tensor row = rows[1];
  row.fill_(9);
  CHECK(x.to_vector<double>() == std::vector<double>{0, 1, 9, 9, 4, 5});

  Tensor w = ones({5, 2});
  w.requires_grad_();
  const Tensors parts = split(w, 2);
  REQUIRE(parts.size() == 3);
  CHECK(parts[2].shape() == Shape{1, 2});
  sum(parts[0] * 2 + parts[2]).backward();
  CHECK(w.grad().to_vector<float>() == std::vector<float>{2, 2, 2, 2, 0, 0, 0, 0, 2, 2});
  CHECK(chunk(ones({0, 2}), 3).size() == 3);
  CHECK(unbind(ones({0, 2})).empty());
}

TEST_CASE("the gradient of what is unbound lies in memory as it does") {
  const Tensor w = arange(24.0).reshape({2, 3, 4}).requires_grad_();
  const Tensor x = permute(w, {1, 2, 0});
  const Tensors parts = unbind(x);
  const Tensor y = parts[0] + parts[2] * parts[2];
  const Tensor dx = grad({sum(y)}, {x}, {.retain_graph = true})[0];
  CHECK(dx.strides() == x.strides());
  CHECK(equal(dx.select(0, 0), ones({4, 2}, float64)));
  CHECK(equal(dx.select(0, 1), zeros({4, 2}, float64)));
  CHECK(equal(dx.select(0, 2), 2 * x.detach().select(0, 2)));

  const Tensor row = ones({1, 2}).requires_grad_(), repeated = expand(row, {3, 2});  // no memory of its own to lie as
  sum(unbind(repeated)[1] * 5).backward();
  CHECK(row.grad().to_vector<float>() == std::vector<float>{5, 5});
}

TEST_CASE("an in-place write on a part reaches its base and the other parts") {
  Tensor w = ones({4});
  w.requires_grad_();
  const Tensor x = w * 1;
  Tensors parts = split(x, 2);
  parts[0] *= 3;
  sum(x * x).backward();  // (3w)^2 and w^2
  CHECK(w.grad().to_vector<float>() == std::vector<float>{18, 18, 2, 2});

  w.set_grad(Tensor());
  Tensor y = w * 1;
  const Tensors halves = chunk(y, 2);
  y *= 5;
  sum(halves[1]).backward();
  CHECK(w.grad().to_vector<float>() == std::vector<float>{0, 0, 5, 5});
}

TEST_CASE("a std::vector of tensors serves wherever a list is taken, and takes what is given") {
  std::vector<Tensor> list{ones({2}), full({2}, 3)};
  for (Tensor& x : list) x.requires_grad_();
  CHECK(stack(list).shape() == Shape{2, 2});
  const std::vector<Tensor> gradients = grad({sum(list[0] * list[1])}, list);
  CHECK(gradients[0].to_vector<float>() == std::vector<float>{3, 3});
  const std::vector<Tensor> parts = split(list[1], 1);
  CHECK(parts.size() == 2);
}

TEST_CASE("splits into extreme sizes and numbers of parts") {
  const Tensor x = arange(4);
  for (int64_t n : {int64_t{1} << 31, int64_t{1} << 62, INT64_MAX}) {
    CHECK(split(x, n).size() == 1);
    CHECK(chunk(x, n).size() == 4);
    CHECK_THROWS_WITH(chunk(zeros({0}), n), Catch::StartsWith("[chunk]"));
    CHECK_THROWS_WITH(split(x, {n, n, 4}), Catch::StartsWith("[split]"));
    CHECK_THROWS_WITH(split(zeros({1}).expand({n}), 1), Catch::StartsWith("[split]"));
    CHECK_THROWS_WITH(unbind(zeros({1}).expand({n})), Catch::StartsWith("[unbind]"));
  }
  CHECK_THROWS_WITH(split(x, {INT64_MAX, INT64_MAX, 6}), Catch::StartsWith("[split]"));
  for (int64_t n : {int64_t{1} << 50, int64_t{1} << 62, INT64_MAX}) {
    const Tensor large = zeros({1}).expand({n});
    CHECK_THROWS_WITH(cat({large, large}), Catch::StartsWith("[cat]"));
  }
  CHECK_THROWS_WITH(split(x, INT64_MIN), Catch::StartsWith("[split]"));
  CHECK_THROWS_WITH(chunk(x, INT64_MIN), Catch::StartsWith("[chunk]"));
  CHECK_THROWS_WITH(chunk(x, 2, 1), Catch::StartsWith("[chunk]"));
  CHECK_THROWS_WITH(chunk(ones({}), 2), Catch::StartsWith("[chunk]"));
}
