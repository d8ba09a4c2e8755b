// What the op table can't say of autograd/ops/decomposition.hpp: close, equal and vanishing values, and large matrices.
#include <cotangent/autograd/ops/decomposition.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/solve.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {

Tensor random_matrices(const Shape& shape, uint64_t seed) {
  Generator g(seed);
  return randn(shape, float64, g);
}
Tensor turned(const Tensor& x) { return transpose(x, -2, -1); }
Tensor orthogonal(int64_t n, uint64_t seed) { return linalg::qr(random_matrices({n, n}, seed)).Q; }
/// U diag(s) V' for random U and V.
Tensor with_values(const std::vector<double>& s, uint64_t seed) {
  const int64_t n = static_cast<int64_t>(s.size());
  return matmul(orthogonal(n, seed) * from_vector(s, {n}), orthogonal(n, seed + 1).t());
}
Tensor symmetric_with_values(const std::vector<double>& s, uint64_t seed) {
  const int64_t n = static_cast<int64_t>(s.size());
  const Tensor v = orthogonal(n, seed), a = matmul(v * from_vector(s, {n}), v.t());
  return (a + a.t()) / 2;
}
template <class F>
Tensor gradient(F f, const Tensor& at) {
  Tensor x = at.clone();
  x.requires_grad_();
  return grad({f(x)}, {x})[0];
}
double difference(const Tensor& a, const Tensor& b) { return max(abs(a - b)).item(); }

}  // namespace

TEST_CASE("qr, eigh and svd: the parts are what they should be, of any shape") {
  for (const Shape& shape : {Shape{5, 3}, Shape{3, 5}, Shape{2, 4, 4}, Shape{70, 40}, Shape{40, 70}, Shape{3, 1},
                             Shape{1, 3}, Shape{0, 3}, Shape{3, 0}, Shape{0, 2, 2}}) {
    const Tensor a = random_matrices(shape, 1);
    for (const bool whole : {false, true}) {
      INFO(to_string(shape) << whole);
      const int64_t m = a.size(-2), n = a.size(-1), k = std::min(m, n);
      const auto orthonormal = [](const Tensor& q) {
        return close(matmul(turned(q), q), expand(eye(q.size(-1), -1, float64), matmul(turned(q), q).shape()), 1e-13);
      };
      const auto [q, r] = linalg::qr(a, whole);
      CHECK(q.size(-1) == (whole ? m : k));
      CHECK(r.size(-2) == q.size(-1));
      CHECK(close(matmul(q, r), a, 1e-12));
      CHECK(equal(triu(r), r));
      CHECK(orthonormal(q));
      const auto [u, s, vh] = linalg::svd(a, whole);
      CHECK(u.size(-1) == (whole ? m : k));
      CHECK(vh.size(-2) == (whole ? n : k));
      CHECK(orthonormal(u));
      CHECK(orthonormal(turned(vh)));
      CHECK(close(matmul(narrow(u, -1, 0, k) * unsqueeze(s, -2), narrow(vh, -2, 0, k)), a, 1e-12));
      CHECK(close(linalg::svdvals(a), s, 1e-13));
      if (m != n) continue;
      const auto [l, v] = linalg::eigh(a + turned(a));
      CHECK(orthonormal(v));
      CHECK(close(matmul(v * unsqueeze(l, -2), turned(v)), a + turned(a), 1e-12));
      CHECK(close(linalg::eigvalsh(a + turned(a)), l, 1e-12));
    }
  }
}

TEST_CASE("qr, eigh and svd of a batch are the same for any number of threads, and of each alone") {
  const Tensor a = random_matrices({60, 24, 24}, 18);
  const auto parts = [](const Tensor& x) {
    const auto [q, r] = linalg::qr(x);
    const auto [l, v] = linalg::eigh(x);
    const auto [u, s, vh] = linalg::svd(x);
    return Tensors{q, r, l, v, u, s, vh};
  };
  const int before = num_threads();
  set_num_threads(4);
  const Tensors together = parts(a);
  set_num_threads(1);
  const Tensors expected = parts(a), one = parts(a[37]);
  set_num_threads(before);
  for (size_t i = 0; i < expected.size(); ++i) {
    CHECK(equal(together[i], expected[i]));
    CHECK(equal(one[i], expected[i][37]));
  }
}

TEST_CASE("eigh reads the lower triangle") {
  const Tensor a = tensor({{2., NAN}, {1., 2.}}, float64);
  CHECK(close(linalg::eigh(a).eigenvalues, tensor({1., 3.}, float64), 1e-14));
}

TEST_CASE("eigh: functions of the matrix have exact gradients as far as eigenvalues differ, by the gap") {
  const Tensor w = random_matrices({4, 4}, 2);
  // f(A) = A^3, by eigenvalues and by products
  const auto by_values = [&](const Tensor& a) {
    const auto [l, v] = linalg::eigh(a);
    return sum(w * matmul(v * (l * l * l), v.t()));
  };
  const auto by_products = [&](const Tensor& a) { return sum(w * linalg::matrix_power((a + a.t()) / 2, 3)); };
  for (const double gap : {0.5, 1e-2, 1e-4, 1e-6, 1e-9}) {
    INFO(gap);
    const Tensor a = symmetric_with_values({1, 1 + gap, 2, -1}, 3);
    CHECK(difference(gradient(by_values, a), gradient(by_products, a)) < 1e-14 / gap + 1e-13);
  }
  CHECK_THROWS_AS(gradient(by_values, symmetric_with_values({1, 1, 2, -1}, 3)), GradError);
  CHECK_THROWS_AS(gradient(by_values, eye(4, 4, float64)), GradError);
}

TEST_CASE("eigh: projectors and symmetric functions of the values have gradients at equal eigenvalues") {
  const Tensor w = random_matrices({4, 4}, 4);
  const Tensor a = symmetric_with_values({1, 1, 3, 3}, 5);
  // onto the values near 3: (A - I) / 2 to first order, but for the part that stays within each space
  const auto projector = [&](const Tensor& x) {
    const Tensor v = narrow(linalg::eigh(x).eigenvectors, -1, 2, 2);
    return sum(w * matmul(v, v.t()));
  };
  const Tensor p = (a - eye(4, 4, float64)) / 2, q = eye(4, 4, float64) - p, s = (w + w.t()) / 2;
  CHECK(close(gradient(projector, a), (matmul(matmul(p, s), q) + matmul(matmul(q, s), p)) / 2, 1e-13));
  // the sum of all squares is that of the matrix
  const auto squares = [](const Tensor& x) { return sum(square(linalg::eigvalsh(x))); };
  CHECK(close(gradient(squares, a), a * 2, 1e-13));
  CHECK(close(gradient(squares, eye(4, 4, float64)), eye(4, 4, float64) * 2));
}

TEST_CASE("svd: U f(S) Vh has exact gradients as far as singular values differ, by the gap") {
  const Tensor w = random_matrices({4, 4}, 6);
  // f(s) = s^3 is A A' A
  const auto by_values = [&](const Tensor& a) {
    const auto [u, s, vh] = linalg::svd(a);
    return sum(w * matmul(u * (s * s * s), vh));
  };
  const auto by_products = [&](const Tensor& a) { return sum(w * matmul(a, matmul(a.t(), a))); };
  for (const double gap : {0.5, 1e-2, 1e-4, 1e-6, 1e-9}) {
    INFO(gap);
    const Tensor a = with_values({2, 1 + gap, 1, 0.1}, 7);
    CHECK(difference(gradient(by_values, a), gradient(by_products, a)) < 1e-14 / gap + 1e-13);
  }
  CHECK_THROWS_AS(gradient(by_values, with_values({2, 1, 1, 0.1}, 7)), GradError);
}

TEST_CASE("svd: the orthogonal factor has its gradient at equal singular values, where its formula has no gap") {
  const Tensor w = random_matrices({4, 4}, 8);
  const auto polar = [&](const Tensor& a) {
    const auto [u, s, vh] = linalg::svd(a);
    return sum(w * matmul(u, vh));
  };
  // by Newton's iteration x = (x + x'^-1) / 2, which converges to the same factor
  const auto iterated = [&](const Tensor& a) {
    Tensor x = a;
    for (int i = 0; i < 12; ++i) x = (x + linalg::inv(x).t()) / 2;
    return sum(w * x);
  };
  for (const std::vector<double>& s :
       {std::vector<double>{2, 1, 1, 0.5}, {1, 1, 1, 1}, {3, 2, 1 + 1e-12, 1}, {3, 2, 1 + 1e-8, 1}}) {
    const Tensor a = with_values(s, 9);
    CHECK(difference(gradient(polar, a), gradient(iterated, a)) < 1e-13);
  }
}

TEST_CASE("eigh and svd: a gradient of NaN is passed on as NaN") {
  const Tensor a = random_matrices({3, 3}, 17), bad = full({3, 3}, NAN, float64);
  const auto vectors = [&](const Tensor& x) { return sum(bad * linalg::eigh(x).eigenvectors); };
  CHECK(all(isnan(gradient(vectors, a + a.t()))).item<bool>());
  const auto left = [&](const Tensor& x) {
    const auto [u, s, vh] = linalg::svd(x);
    return sum(bad * u * s);
  };
  CHECK(all(isnan(gradient(left, a))).item<bool>());
}

TEST_CASE("svd of low rank: what does not read the vectors of 0 has a gradient, and the rest an error") {
  const Tensor w = random_matrices({5, 3}, 10);
  const Tensor a = matmul(random_matrices({5, 1}, 11), random_matrices({1, 3}, 12));
  const auto leading = [&](const Tensor& x) {
    const auto [u, s, vh] = linalg::svd(x, false);
    return sum(w * matmul(narrow(u, -1, 0, 1) * narrow(s, -1, 0, 1), narrow(vh, -2, 0, 1)));
  };
  // the best approximation of rank one is, at such a matrix, the identity on its tangent space
  const Tensor pu = matmul(a, linalg::pinv(a)), pv = matmul(linalg::pinv(a), a);
  const Tensor expected = matmul(pu, w) + matmul(w, pv) - matmul(matmul(pu, w), pv);
  CHECK(close(gradient(leading, a), expected, 1e-12));
  const auto others = [&](const Tensor& x) { return sum(w * linalg::svd(x, false).U); };
  CHECK_THROWS_AS(gradient(others, a), GradError);
  const auto sums = [](const Tensor& x) { return sum(square(linalg::svdvals(x))); };
  CHECK(close(gradient(sums, a), a * 2, 1e-12));
}

TEST_CASE("pinv and lstsq of low rank") {
  const Tensor a = matmul(random_matrices({5, 2}, 13), random_matrices({2, 3}, 14)), p = linalg::pinv(a);
  CHECK(close(matmul(matmul(a, p), a), a));
  CHECK(close(matmul(matmul(p, a), p), p));
  CHECK(close(matmul(a, p), matmul(a, p).t()));
  CHECK(close(matmul(p, a), matmul(p, a).t()));
  CHECK(equal(linalg::pinv(zeros({2, 3}, float64)), zeros({3, 2}, float64)));
  CHECK(linalg::pinv(zeros({0, 3}, float64)).shape() == Shape{3, 0});
  // values up to rtol times the largest count as 0
  CHECK(close(linalg::pinv(tensor({{1., 0.}, {0., 0.01}}, float64), 0.1), tensor({{1., 0.}, {0., 0.}}, float64)));
  const Tensor b = random_matrices({5, 2}, 15), x = linalg::lstsq(a, b);
  CHECK(max(abs(matmul(a.t(), matmul(a, x) - b))).item() < 1e-12);  // the normal equations
}

TEST_CASE("qr: NaN and infinity stay in their matrix") {
  Tensor a = random_matrices({2, 3, 2}, 16);
  a.data<double>()[0] = INFINITY;
  const auto [q, r] = linalg::qr(a);
  CHECK(all(isnan(q[0])).item<bool>());
  CHECK(all(isfinite(q[1])).item<bool>());
  CHECK(all(isfinite(r[1])).item<bool>());
}
