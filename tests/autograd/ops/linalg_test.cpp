#include <cotangent/autograd/ops/linalg.hpp>

#include <catch2/catch.hpp>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/einsum.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/error.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/check_gradients.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {
/// The gradients of sum(y * dy).
Tensors gradients(const Tensor& y, const Tensor& dy, const Tensors& inputs) {
  return grad({y}, inputs, {.gradients = {dy}, .retain_graph = true});
}

void check_same(const Tensors& a, const Tensors& b) {
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) CHECK(allclose(a[i], b[i], 1e-11, 1e-11));
}
}  // namespace

TEST_CASE("the gradients of matmul, by hand") {
  Tensor a = tensor({{1, 2}, {3, 4}}, float64).requires_grad_(), b = tensor({{5}, {6}}, float64).requires_grad_();
  const Tensor y = matmul(a, b);
  CHECK(y.to_vector<double>() == std::vector<double>{17, 39});
  const Tensors g = gradients(y, tensor({{1}, {10}}, float64), {a, b});
  CHECK(g[0].to_vector<double>() == std::vector<double>{5, 6, 50, 60});
  CHECK(g[1].to_vector<double>() == std::vector<double>{31, 42});
}

TEST_CASE("the gradient of a broadcast batch is that of repeated operands") {
  manual_seed(1);
  const Shape shapes[][2] = {{{2, 3, 4, 5}, {5, 6}},       {{4, 5}, {2, 3, 5, 6}},    {{2, 1, 4, 5}, {1, 3, 5, 6}},
                             {{2, 3, 4, 5}, {2, 1, 5, 6}}, {{3, 4, 5}, {2, 1, 5, 6}}, {{1, 1, 4, 5}, {1, 5, 6}}};
  for (const auto& [shape_a, shape_b] : shapes) {
    Tensor a = randn(shape_a, float64).requires_grad_(), b = randn(shape_b, float64).requires_grad_();
    // as elementwise products, (.., 4, 5, 1) * (.., 1, 5, 6), summed over the middle
    const Tensor y = matmul(a, b), expected = sum(unsqueeze(a, -1) * unsqueeze(b, -3), -2);
    CHECK(allclose(y, expected, 1e-12, 1e-12));
    const Tensor dy = randn(y.shape(), float64);
    check_same(gradients(y, dy, {a, b}), gradients(expected, dy, {a, b}));
  }
}

TEST_CASE("the gradients of large products, which are packed and cut") {
  manual_seed(2);
  Tensor x = randn({130, 210}, float64).requires_grad_(), w = randn({70, 210}, float64).requires_grad_(),
         b = randn({70}, float64).requires_grad_();
  const Tensor y = linear(x, w, b), expected = sum(unsqueeze(x, 1) * unsqueeze(w, 0), 2) + b;
  CHECK(allclose(y, expected, 1e-11, 1e-11));
  const Tensor dy = randn(y.shape(), float64);
  check_same(gradients(y, dy, {x, w, b}), gradients(expected, dy, {x, w, b}));
  check_same(gradients(addmm(b, x, w.t(), 2, 3), dy, {x, w, b}),
             gradients(b * 2 + expected * 3 - b * 3, dy, {x, w, b}));
}

TEST_CASE("the gradient of a factor lies in memory as the factor does") {
  for (const bool a_by_columns : {false, true})
    for (const bool b_by_columns : {false, true}) {
      const Tensor a = randn(a_by_columns ? Shape{2, 4, 3} : Shape{2, 3, 4}, float64).requires_grad_();
      const Tensor b = randn(b_by_columns ? Shape{2, 5, 4} : Shape{2, 4, 5}, float64).requires_grad_();
      const Tensor x = a_by_columns ? transpose(a, -2, -1) : a, y = b_by_columns ? transpose(b, -2, -1) : b;
      const Tensor dz = randn({2, 3, 5}, float64);
      const Tensors at_factors = gradients(matmul(x, y), dz, {x, y}), at_leaves = gradients(matmul(x, y), dz, {a, b});
      CHECK(at_factors[0].strides() == x.strides());
      CHECK(at_factors[1].strides() == y.strides());
      for (const Tensor& gradient : at_leaves) CHECK(gradient.is_contiguous());
      check_same(at_factors, {matmul(dz, transpose(y, -2, -1)), matmul(transpose(x, -2, -1), dz)});
    }
}

TEST_CASE("a product keeps only the factor that a gradient reads") {
  Tensor x = randn({2, 3}, float64), w = randn({3, 2}, float64).requires_grad_();
  const Tensor y = matmul(x, w);
  {
    Tensor values = w.detach();
    values.fill_(0);  // the gradient of w does not read w
  }
  y.backward(ones({2, 2}, float64));
  CHECK(allclose(w.grad(), expand(unsqueeze(sum(x, 0), 1), {3, 2})));
  const Tensor z = matmul(x, w);
  x.fill_(0);
  CHECK_THROWS_AS(z.backward(ones({2, 2}, float64)), GradError);
}

TEST_CASE("linear equals matmul and add, with inputs of any rank and layout") {
  manual_seed(3);
  const Tensor w = randn({4, 3}, float64), b = randn({4}, float64);
  for (const Tensor& x : {randn({3}, float64), randn({5, 3}, float64), randn({2, 5, 3}, float64),
                          randn({3, 5, 2}, float64).permute({2, 1, 0}), randn({0, 3}, float64)}) {
    CHECK(allclose(linear(x, w, b), matmul(x, w.t()) + b, 1e-12, 1e-12));
    CHECK(allclose(linear(x, w), matmul(x, w.t()), 1e-12, 1e-12));
  }
}

TEST_CASE("the third derivative of a product of matrices") {
  Tensor a = tensor({{2.0}}, float64).requires_grad_();
  const Tensor y = matmul(matmul(a, a), matmul(a, a));  // a^4
  const Tensor d1 = grad({y}, {a}, {.create_graph = true})[0], d2 = grad({d1}, {a}, {.create_graph = true})[0];
  CHECK(d1.item() == 32);
  CHECK(d2.item() == 48);
  CHECK(grad({d2}, {a})[0].item() == 48);
}

TEST_CASE("products of integers") {
  const Tensor a = tensor({{1, 2}, {3, 4}}), b = tensor({10, 100});
  CHECK(matmul(a, b).to_vector<int64_t>() == std::vector<int64_t>{210, 430});
  CHECK(addmm(b, a, a).to_vector<int64_t>() == std::vector<int64_t>{17, 110, 25, 122});
  CHECK(outer(b, b).to_vector<int64_t>() == std::vector<int64_t>{100, 1000, 1000, 10000});
}

TEST_CASE("products of integers are integers") {
  for (const Dtype dtype : {int64, int32, uint8}) {
    INFO(name(dtype));
    const Tensor a = tensor({{1, 2}, {3, 4}}, dtype), c = tensor({10, 20}, dtype);
    for (const Tensor& y : {addmm(c, a, a), addmm(c, a, a, 2, 3), matmul(a, a), linear(a, a, c), outer(c, c),
                            matmul(a, c), einsum("ij,jk->ik", {a, a})})
      CHECK(y.dtype() == dtype);
    CHECK(addmm(c, a, a, 2, 3).to_vector<int64_t>() == std::vector<int64_t>{41, 70, 65, 106});
    CHECK(addmm(c, a, a, 0).to_vector<int64_t>() == std::vector<int64_t>{7, 10, 15, 22});
    CHECK(addmm(zeros({2, 2}, dtype), zeros({2, 0}, dtype), zeros({0, 2}, dtype)).to_vector<int64_t>() ==
          std::vector<int64_t>(4, 0));
    CHECK_THAT(error_of([&] { addmm(c, a, a, .5); }), Catch::StartsWith("[addmm] 0.5 does not fit into"));
    CHECK_THAT(error_of([&] { addmm(c, a, a, 1, 2.5); }), Catch::StartsWith("[addmm] 2.5 does not fit into"));
    CHECK_THROWS_AS(addmm(c.to(float32), a, a), DTypeError);
    CHECK_THROWS_AS(addmm(c, a, a.to(float32)), DTypeError);
    CHECK_THROWS_AS(addmm(zeros({3, 2, 2}, dtype), a, a), ShapeError);
    CHECK_THROWS_AS(matmul(a, a.to(float32)), DTypeError);
    CHECK_THROWS_AS(linear(a, a.to(float32)), DTypeError);
  }
  const Tensor big = full({1, 1}, (int64_t{1} << 53) + 1, int64), one = ones({1, 1}, int64);
  CHECK(addmm(one, big, one).item<int64_t>() == (int64_t{1} << 53) + 2);
  CHECK_THROWS_AS(addmm(ones({1}, boolean), ones({1, 1}, boolean), ones({1, 1}, boolean)), DTypeError);
}
