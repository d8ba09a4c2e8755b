// The members of Tensor that stand for functions, each against its function.
#include <catch2/catch.hpp>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/scan.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/autograd/ops/statistics.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/indexing.hpp>

using namespace cotangent;

namespace {

/// Above 0, so that every function is defined.
const Tensor& values() {
  static const Tensor x = tensor({{{0.5, 2.0, 1.5}, {3.0, 0.25, 1.0}}, {{4.0, 0.75, 5.0}, {2.5, 6.0, 0.125}}});
  return x;
}

}  // namespace

TEST_CASE("reductions as members") {
  const Tensor& x = values();
#define CHECK_REDUCTION(f)                            \
  CHECK(equal(x.f(), f(x)));                          \
  CHECK(equal(x.f(-1), f(x, -1)));                    \
  CHECK(equal(x.f({0, 2}), f(x, {0, 2})));            \
  CHECK(equal(x.f(1, true), f(x, 1, true)));          \
  CHECK(x.f({0, 2}, true).shape() == Shape{1, 2, 1}); \
  CHECK_THROWS_AS(x.f(3), IndexError)
  CHECK_REDUCTION(sum);
  CHECK_REDUCTION(mean);
  CHECK_REDUCTION(prod);
  CHECK_REDUCTION(amax);
  CHECK_REDUCTION(amin);
  CHECK_REDUCTION(all);
  CHECK_REDUCTION(any);
  CHECK_REDUCTION(logsumexp);
#undef CHECK_REDUCTION
  CHECK(equal(x.var(), var(x)));
  CHECK(equal(x.var({0, 1}), var(x, {0, 1})));
  CHECK(equal(x.var(1, {.correction = 0, .keepdim = true}), var(x, 1, {.correction = 0, .keepdim = true})));
  CHECK(equal(x.std(), cotangent::std(x)));
  CHECK(equal(x.std(-1), cotangent::std(x, -1)));
  CHECK(equal(x.std(1, {.correction = 0}), cotangent::std(x, 1, {.correction = 0})));
  CHECK(equal(x.norm(), norm(x)));
  CHECK(equal(x.norm(1, 0, true), norm(x, 1, 0, true)));
}

TEST_CASE("extremes and their places as members") {
  const Tensor& x = values();
  CHECK(x.max().item() == 6);
  CHECK(x.min().item() == 0.125);
  CHECK(x.argmax().item<int64_t>() == 10);
  CHECK(x.argmin().item<int64_t>() == 11);
  const auto [largest, at] = x.max(0);
  CHECK(equal(largest, max(x, 0).values));
  CHECK(equal(at, x.argmax(0)));
  const Extreme smallest = x.min(-1, true);
  CHECK(equal(smallest.values, min(x, -1, true).values));
  CHECK(equal(smallest.indices, x.argmin(-1, true)));
}

TEST_CASE("functions of each element, softmax, products and sums along a dimension as members") {
  const Tensor& x = values();
#define CHECK_FUNCTION(f) CHECK(equal(x.f(), f(x)))
  CHECK_FUNCTION(exp);
  CHECK_FUNCTION(log);
  CHECK_FUNCTION(sqrt);
  CHECK_FUNCTION(square);
  CHECK_FUNCTION(abs);
  CHECK_FUNCTION(sin);
  CHECK_FUNCTION(cos);
  CHECK_FUNCTION(tanh);
  CHECK_FUNCTION(sigmoid);
  CHECK_FUNCTION(relu);
#undef CHECK_FUNCTION
  CHECK(equal(x.pow(3), pow(x, 3)));
  CHECK(equal(x.pow(x), pow(x, x)));
  CHECK(equal(x.softmax(1), softmax(x, 1)));
  CHECK(equal(x.log_softmax(-1), log_softmax(x, -1)));
  CHECK(equal(x.cumsum(1), cumsum(x, 1)));
  CHECK(equal(x[0].matmul(x[1].t()), matmul(x[0], t(x[1]))));
}

TEST_CASE("members carry gradients, and undefined tensors refuse them") {
  const Tensor x = values().clone().requires_grad_();
  (x.log() * x).mean(0).sum().backward();
  CHECK(allclose(x.grad(), (log(values()) + 1) / 2));
  CHECK_THROWS_AS(Tensor().exp(), ValueError);
  CHECK_THROWS_AS(Tensor().sum(0), ValueError);
  CHECK_THROWS_AS(Tensor().size(), ValueError);
}

TEST_CASE("size() and dim() are PyTorch's names of shape() and rank()") {
  CHECK(values().size() == Shape{2, 2, 3});
  CHECK(values().dim() == 3);
}

TEST_CASE("lists of dimensions and of indices may be made at run time") {
  const Tensor& x = values();
  const std::vector<int64_t> order{2, 0, 1};
  CHECK(equal(x.permute(order), x.permute({2, 0, 1})));
  CHECK(equal(x.sum(std::vector<int64_t>{0, 2}), x.sum({0, 2})));

  std::vector<Index> indices(2, Slice());
  indices.push_back(1);
  CHECK(equal(x.index(indices), x.select(2, 1)));
  indices.back() = tensor({2, 0});
  CHECK(equal(x.index(indices), x.index({Ellipsis, tensor({2, 0})})));
  CHECK(x.index(std::vector<Index>()).shape() == x.shape());
  CHECK(x.index({}).shape() == x.shape());

  Tensor y = x.clone(), z = x.clone();
  y.index_put_(indices, zeros({2}));
  y.index_put_(std::vector<Index>{0}, 7);
  z.index_put_({Ellipsis, tensor({2, 0})}, 0);
  z[0] = 7;
  CHECK(equal(y, z));
  indices.resize(4, None);
  CHECK(x.index(indices).shape() == Shape{2, 2, 2, 1});
  indices.resize(5, 0);
  CHECK_THROWS_WITH(x.index(indices), "[index] 4 dimensions are indexed, but shape (2, 2, 3) has 3");
}
