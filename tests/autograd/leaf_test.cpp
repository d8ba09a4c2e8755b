#include <catch2/catch.hpp>

#include <cmath>

#include <cotangent/cotangent.hpp>

using namespace cotangent;

TEST_CASE("requires_grad_ makes leaves of floating tensors") {
  Tensor x = ones({2});
  CHECK(x.is_leaf());
  CHECK_FALSE(x.requires_grad());
  CHECK_FALSE(x.grad().defined());
  CHECK(x.requires_grad_().requires_grad());
  CHECK(x.is_leaf());
  const Tensor y = x * 2;
  CHECK(y.requires_grad());
  CHECK_FALSE(y.is_leaf());
  CHECK_FALSE((x > 0).requires_grad());
  CHECK_FALSE(x.requires_grad_(false).requires_grad());
  CHECK_FALSE((x * 2).requires_grad());
  for (Dtype dtype : {float16, bfloat16, float64}) CHECK(ones({1}, dtype).requires_grad_().requires_grad());
  for (Dtype dtype : {int64, int32, uint8, boolean}) {
    Tensor n = ones({1}, dtype);
    CHECK_THROWS_WITH(n.requires_grad_(), Catch::Contains(name(dtype)) && Catch::Contains("to(float32)"));
    CHECK_NOTHROW(n.requires_grad_(false));
  }
}

TEST_CASE("requires_grad_ refuses the result of an op") {
  Tensor x = ones({2});
  x.requires_grad_();
  Tensor y = x * 2;
  CHECK_THROWS_WITH(y.requires_grad_(), Catch::Contains("result of mul") && Catch::Contains("detach()"));
  CHECK_THROWS_AS(y.requires_grad_(false), GradError);
  Tensor base = zeros({4}), part = slice(base, 0, 1, 3);
  base.copy_(full({4}, 2) * x[0]);
  CHECK(part.requires_grad());  // through its base
  CHECK_FALSE(part.is_leaf());
  CHECK_THROWS_AS(part.requires_grad_(), GradError);
}

TEST_CASE("all handles of a tensor share the gradient") {
  Tensor x = ones({2}, float64);
  const Tensor same = x;
  x.requires_grad_();
  CHECK(same.requires_grad());
  sum(x * 3).backward();
  CHECK(equal(same.grad(), full({2}, 3, float64)));
}

TEST_CASE("a view that becomes a leaf stands on its own") {
  Tensor x = ones({4}, float64), part = slice(x, 0, 0, 2);
  part.requires_grad_();
  sum(part * 3).backward();
  CHECK(equal(part.grad(), full({2}, 3, float64)));
  CHECK_FALSE(x.requires_grad());
}

TEST_CASE("set_grad replaces and clears") {
  Tensor x = ones({2}, float64);
  CHECK_THROWS_WITH(x.set_grad(ones({2}, float64)), Catch::Contains("does not require a gradient"));
  x.requires_grad_();
  x.set_grad(full({2}, 5, float64));
  sum(x).backward();
  CHECK(equal(x.grad(), full({2}, 6, float64)));
  x.set_grad({});
  CHECK_FALSE(x.grad().defined());
  CHECK_THROWS_WITH(x.set_grad(ones({3}, float64)), Catch::Contains("float64 (3,)") && Catch::Contains("float64 (2,)"));
  CHECK_THROWS_AS(x.set_grad(ones({2}, float32)), GradError);
  CHECK_THROWS_WITH((x * 2).set_grad(ones({2}, float64)), Catch::Contains("result of mul"));
}

TEST_CASE("detach cuts the history and keeps the memory") {
  Tensor x = ones({2}, float64);
  x.requires_grad_();
  const Tensor y = x * 2, d = y.detach();
  CHECK_FALSE(d.requires_grad());
  CHECK(d.is_leaf());
  CHECK(d.shares_storage(y));
  CHECK(y.requires_grad());
  sum(d * x).backward();
  CHECK(equal(x.grad(), full({2}, 2, float64)));
}

TEST_CASE("a write to a detached tensor is seen by what saved the memory") {
  Tensor x = ones({2}, float64);
  x.requires_grad_();
  const Tensor y = exp(x);
  Tensor d = y.detach();
  d.mul_(2);
  CHECK(y.to_vector<double>()[0] == Approx(2 * std::exp(1.0)));
  CHECK_THROWS_WITH(sum(y).backward(), Catch::Contains("[exp] output 0 of shape (2,) was written in place"));
}

TEST_CASE("a gradient that is not there says when it would be") {
  const Tensor x = ones({2}).requires_grad_(), y = x * 2;
  CHECK_THROWS_WITH(x.grad().sum(),
                    Catch::Contains("undefined before backward(), and of results without retain_grad()"));
  y.sum().backward();
  CHECK(x.grad().sum().item() == 4);
  CHECK_THROWS_WITH(y.grad().item(), Catch::Contains("results without retain_grad()"));
}
