// What the op table can't say of autograd/ops/solve.hpp: singular matrices, NaN, extreme sizes, threads.
#include <cotangent/autograd/ops/solve.hpp>

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/decomposition.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/transforms/jacobian.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {

Tensor random_matrices(const Shape& shape, uint64_t seed) {
  Generator g(seed);
  return randn(shape, float64, g);
}

/// The determinant of a matrix of size 3 by its definition.
Tensor by_definition(const Tensor& a) {
  const auto at = [&](int64_t i, int64_t j) { return a[i][j]; };
  return at(0, 0) * (at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)) -
         at(0, 1) * (at(1, 0) * at(2, 2) - at(1, 2) * at(2, 0)) +
         at(0, 2) * (at(1, 0) * at(2, 1) - at(1, 1) * at(2, 0));
}

}  // namespace

TEST_CASE("det has first and second derivatives at matrices of any rank") {
  const Tensor full = random_matrices({3, 3}, 1), column = random_matrices({3, 1}, 2), row = random_matrices({1, 3}, 3);
  const Tensor rank_one = matmul(column, row),
               rank_two = rank_one + matmul(random_matrices({3, 1}, 4), random_matrices({1, 3}, 5));
  for (const Tensor& a : {full, rank_two, rank_one, zeros({3, 3}, float64), eye(3, 3, float64), -full}) {
    INFO(to_string(a));
    CHECK(close(linalg::det(a), by_definition(a)));
    CHECK(close(jacobian(linalg::det, a), jacobian(by_definition, a)));
    CHECK(close(hessian(linalg::det, a), hessian(by_definition, a)));
  }
}

TEST_CASE("det of a batch: gradients by the inverse or by singular values, whichever a matrix allows") {
  const Tensor orthogonal = linalg::qr(random_matrices({3, 3}, 20)).Q;
  Tensors matrices;
  for (const double least : {1.0, 1e-3, 1e-6, 1e-9, 1e-200, 0.0})
    matrices.push_back(matmul(orthogonal * tensor({1., 2., least}, float64), random_matrices({3, 3}, 21)));
  matrices.push_back(eye(3, 3, float64) * 1e-120);  // its determinant is too small for a number, its cofactors are not
  const Tensor a = stack(matrices, 0).requires_grad_();
  const Tensor got = grad({sum(linalg::det(a))}, {a})[0];
  for (size_t i = 0; i < matrices.size(); ++i) {
    CAPTURE(i);
    const Tensor expected = jacobian(by_definition, matrices[i]);
    CHECK(max(abs(got[int64_t(i)] - expected)).item() <= 1e-12 * max(abs(expected)).item());
  }
  const Tensor low = a.detach().to(float32).requires_grad_();
  const Tensor found = grad({sum(linalg::det(low))}, {low})[0].to(float64);
  for (size_t i = 0; i < 6; ++i) {
    CAPTURE(i);
    const Tensor expected = jacobian(by_definition, low[int64_t(i)].detach().to(float64));
    CHECK(max(abs(found[int64_t(i)] - expected)).item() <= 1e-4 * max(abs(expected)).item());
  }
  Tensor bad = stack({eye(2, 2, float64), eye(2, 2, float64)}, 0);
  bad.data<double>()[1] = NAN;
  const Tensor of_bad = grad({sum(linalg::det(bad.requires_grad_()))}, {bad})[0];
  CHECK(all(isnan(of_bad[0])).item<bool>());
  CHECK(equal(of_bad[1], eye(2, 2, float64)));
}

TEST_CASE("factors by plain loops and by LAPACK, on both sides of the size where one follows the other") {
  for (const int64_t n : {1, 2, 3, 7, 15, 16, 17, 33})
    for (const Dtype dtype : {float32, float64}) {
      CAPTURE(n, dtype);
      const Tensor a = random_matrices({5, n, n}, 22), x = a.to(dtype);
      const double rounding = dtype == float32 ? 1e-4 : 1e-12;
      CHECK(close(linalg::solve(x, matmul(x, x)), x, 100 * rounding));
      const Tensor definite = matmul(x, transpose(x, -1, -2)) + eye(n, n, dtype), l = linalg::cholesky(definite);
      CHECK(close(matmul(l, transpose(l, -1, -2)), definite, 100 * rounding));
      CHECK(equal(triu(l, 1), zeros_like(l)));
      // the determinant of a product of triangles is that of their diagonals
      const Tensor one = eye(n, n, dtype), lower = tril(x, -1) * 0.1 + one, upper = triu(x * 0.1) + one * 2;
      const Tensor product = prod(diagonal(upper, 0, -2, -1), -1);
      CHECK(max(abs(linalg::det(matmul(lower, upper)) / product - 1)).item<double>() < 100 * rounding);
    }
  CHECK_THROWS_WITH(
      linalg::cholesky(stack({eye(3, 3, float64), tensor({{1., 0., 0.}, {0., 1., 0.}, {2., 0., 1.}}, float64)}, 0)),
      Catch::Contains("matrix 1 of the batch (2,) is not positive definite: its leading minor of order 3"));
}

TEST_CASE("logdet: the logarithm of what det is") {
  const Tensor a =
      stack({eye(2, 2, float64) * 3.0, eye(2, 2, float64) * 0.0, tensor({{0., 1.}, {1., 0.}}, float64)}, 0);
  const Values v = linalg::logdet(a).to_vector<double>();
  CHECK(v[0] == Approx(2 * std::log(3.0)));
  CHECK(v[1] == -std::numeric_limits<double>::infinity());
  CHECK(std::isnan(v[2]));
  const Tensor x = (eye(3, 3, float64) * 4.0 + random_matrices({3, 3}, 23)).detach().requires_grad_();
  CHECK(close(grad({linalg::logdet(x)}, {x})[0], transpose(linalg::inv(x), 0, 1).detach()));
  CHECK_THROWS_WITH(linalg::logdet(zeros({2, 3})), Catch::Contains("[logdet] a is (2, 3)"));
}

TEST_CASE("linear systems: NaN and infinity stay in their matrix of the batch") {
  for (const double bad : {static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
    Tensor a = stack({eye(2, 2, float64), eye(2, 2, float64) * 2}, 0);
    a.data<double>()[1] = bad;
    for (const Tensor& y : {linalg::inv(a), linalg::solve(a, ones({2, 2, 1}, float64)), linalg::matrix_exp(a)}) {
      CHECK(all(isnan(y[0])).item<bool>());
      CHECK(all(isfinite(y[1])).item<bool>());
    }
    CHECK(std::isnan(linalg::det(a).to_vector<double>()[0]));
    CHECK(linalg::det(a).to_vector<double>()[1] == 4);
    const auto [sign, size] = linalg::slogdet(a);
    CHECK(std::isnan(size.to_vector<double>()[0]));
    CHECK(sign.to_vector<double>()[1] == 1);
  }
  Tensor b = ones({2, 1}, float64);
  b.data<double>()[0] = NAN;
  CHECK(std::isnan(linalg::solve(eye(2, 2, float64), b).to_vector<double>()[0]));
}

TEST_CASE("slogdet holds where det overflows, and says 0 of a singular matrix") {
  const Tensor a = eye(400, 400, float64) * -10.0;
  CHECK(std::isinf(linalg::det(a).item()));
  const auto [sign, size] = linalg::slogdet(a);
  CHECK(sign.item() == 1);
  CHECK(size.item() == Approx(400 * std::log(10.0)).epsilon(1e-14));
  const auto [zero, least] = linalg::slogdet(zeros({2, 2}, float64));
  CHECK(zero.item() == 0);
  CHECK(least.item() == -std::numeric_limits<double>::infinity());
  CHECK(linalg::slogdet(zeros({0, 0}, float64)).sign.item() == 1);
  CHECK(linalg::det(zeros({2, 0, 0}, float64)).to_vector<double>() == Values{1, 1});
}

TEST_CASE("solve: large batches and matrices, the same for any number of threads") {
  const Tensor a = random_matrices({200, 12, 12}, 6), b = random_matrices({200, 12, 3}, 7);
  const Tensor x = linalg::solve(a, b);
  CHECK(close(matmul(a, x), b, 1e-9));
  const int before = num_threads();
  set_num_threads(3);
  CHECK(equal(linalg::solve(a, b), x));
  set_num_threads(1);
  CHECK(equal(linalg::solve(a, b), x));
  set_num_threads(before);
  const Tensor large = random_matrices({150, 150}, 8) + eye(150, 150, float64) * 30.0;
  CHECK(close(matmul(large, linalg::inv(large)), eye(150, 150, float64), 1e-12));
  const Tensor definite = matmul(large, large.t()), l = linalg::cholesky(definite);
  CHECK(close(matmul(l, l.t()), definite, 1e-9));
}

TEST_CASE("solve: one matrix for many right sides, and its gradient sums over them") {
  Tensor a = random_matrices({3, 3}, 9), b = random_matrices({4, 2, 3, 1}, 10);
  a.requires_grad_(), b.requires_grad_();
  const Tensor x = linalg::solve(a, b);
  CHECK(close(matmul(a, x), b));
  const Tensors got = grad({sum(square(x))}, {a, b});
  const Tensors expected = grad({sum(square(matmul(linalg::inv(a), b)))}, {a, b});
  CHECK(close(got[0], expected[0], 1e-10));
  CHECK(close(got[1], expected[1], 1e-10));
}

TEST_CASE("cholesky and solve_triangular do not read the other triangle") {
  Tensor a = tensor({{4., NAN}, {2., 5.}}, float64);
  CHECK(close(linalg::cholesky(a), tensor({{2., 0.}, {1., 2.}}, float64)));
  CHECK(close(linalg::solve_triangular(a, tensor({{4.}, {7.}}, float64), {.upper = false}), ones({2, 1}, float64)));
}

TEST_CASE("matrix_exp: exact where it is known, from tiny to large") {
  CHECK(equal(linalg::matrix_exp(zeros({2, 3, 3}, float64)), expand(eye(3, 3, float64), {2, 3, 3})));
  const Tensor nilpotent = triu(random_matrices({4, 4}, 11), 1), square = matmul(nilpotent, nilpotent);
  CHECK(close(linalg::matrix_exp(nilpotent),
              eye(4, 4, float64) + nilpotent + square / 2 + matmul(square, nilpotent) / 6));
  for (const double angle : {1e-9, 0.01, 0.2, 0.9, 2.0, 5.0, 40.0, 1000.0}) {
    const Tensor turn = linalg::matrix_exp(tensor({{0., -angle}, {angle, 0.}}, float64));
    const Tensor expected = tensor({{std::cos(angle), -std::sin(angle)}, {std::sin(angle), std::cos(angle)}}, float64);
    INFO(angle);
    CHECK(close(turn, expected, 4e-16 * std::max(1.0, angle) * 4));
    CHECK(close(to(linalg::matrix_exp(to(tensor({{0., -angle}, {angle, 0.}}, float64), float32)), float64), expected,
                2e-7 * std::max(1.0, angle) * 4));
  }
  const Tensor a = random_matrices({5, 5}, 12);
  CHECK(close(matmul(linalg::matrix_exp(a), linalg::matrix_exp(-a)), eye(5, 5, float64), 1e-11));
  CHECK(close(linalg::matrix_exp(a.t()), linalg::matrix_exp(a).t(), 1e-13));
  // determinant of the exponential is the exponential of the trace
  CHECK(linalg::det(linalg::matrix_exp(a)).item() == Approx(std::exp(sum(diagonal(a)).item())).epsilon(1e-11));
  CHECK(std::isinf(linalg::matrix_exp(full({1, 1}, 1e300, float64)).item()));
  CHECK(linalg::matrix_exp(full({1, 1}, -1e300, float64)).item() == 0);
}

TEST_CASE("matrix_exp: the gradient does not depend on how large dy is") {
  Tensor a = random_matrices({3, 3}, 13);
  a.requires_grad_();
  const Tensor y = linalg::matrix_exp(a), dy = random_matrices({3, 3}, 14);
  const auto gradient = [&](double scale) {
    return grad({y}, {a}, {.gradients = {dy * scale}, .retain_graph = true})[0] / scale;
  };
  CHECK(close(gradient(1e12), gradient(1), 1e-13));
  CHECK(close(gradient(1e-12), gradient(1), 1e-13));
  CHECK(equal(grad({y}, {a}, {.gradients = {zeros({3, 3}, float64)}})[0], zeros({3, 3}, float64)));
}
