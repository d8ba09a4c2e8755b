// The op table of autograd/ops/decomposition.hpp. Signs of vectors are free: their absolute values are looked at.
#include <algorithm>

#include <cotangent/autograd/ops/decomposition.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tests/autograd/ops/naive_matrices.hpp>

namespace cotangent {
namespace {

const InputSpec matrix = values({3, 3}, {2, 1, 0.5, -1, 1.5, 0.25, 0.5, -0.75, 3}),
                tall = values({3, 2}, {2, 1, -0.5, 1.5, 0.25, -1}), wide = values({2, 3}, {2, 1, -0.5, 0.25, 1.5, -1}),
                several = values({2, 2, 2}, {2, 1, -0.5, 1.5, 0.5, -2, 1, 0.5});

template <bool Complete>
Results call_qr(Arguments x) {
  const auto [q, r] = linalg::qr(x[0], Complete);
  return Tensors{q, r};
}
Results sizes_of_qr(Arguments x) {
  const auto [q, r] = linalg::qr(x[0]);
  return Tensors{abs(q), abs(r)};
}
/// By Gram and Schmidt.
Grid orthonormal(const Grid& a) {
  Grid q{a.rows, std::min(a.rows, a.columns)};
  for (int64_t j = 0; j < q.columns; ++j) {
    for (int64_t i = 0; i < a.rows; ++i) q(i, j) = a(i, j);
    double norm = 0;
    for (int64_t k = 0; k < j; ++k) {
      double dot = 0;
      for (int64_t i = 0; i < a.rows; ++i) dot += q(i, k) * a(i, j);
      for (int64_t i = 0; i < a.rows; ++i) q(i, j) -= dot * q(i, k);
    }
    for (int64_t i = 0; i < a.rows; ++i) norm += q(i, j) * q(i, j);
    for (int64_t i = 0; i < a.rows; ++i) q(i, j) /= ::sqrt(norm);
  }
  return q;
}
Results qr_naively(Arguments x) {
  const Tensor q = for_each_grid(x[0], [](const Grid& a, int64_t) { return orthonormal(a); });
  return Tensors{abs(q), abs(triu(matmul(transpose(q, -2, -1), x[0].detach())))};
}

Tensor symmetric(const Tensor& x) { return tril(x) + transpose(tril(x, -1), -2, -1); }
Results call_eigh(Arguments x) {
  const auto [values, vectors] = linalg::eigh(symmetric(x[0]));
  return Tensors{values, abs(vectors)};
}
Results call_eigvalsh(Arguments x) { return linalg::eigvalsh(symmetric(x[0])); }
/// The values, ascending, in the first row, and the vectors as columns below: by Jacobi's rotations.
Grid eigen(Grid a) {
  const int64_t n = a.rows;
  Grid v = identity_grid(n);
  for (int sweep = 0; sweep < 30; ++sweep)
    for (int64_t p = 0; p < n; ++p)
      for (int64_t q = p + 1; q < n; ++q) {
        const double angle = 0.5 * ::atan2(2 * a(p, q), a(q, q) - a(p, p));
        Grid turn = identity_grid(n), back = turn;
        turn(p, p) = turn(q, q) = ::cos(angle), turn(p, q) = ::sin(angle), turn(q, p) = -turn(p, q);
        for (int64_t i = 0; i < n; ++i)
          for (int64_t j = 0; j < n; ++j) back(i, j) = turn(j, i);
        a = product(back, product(a, turn)), v = product(v, turn);
      }
  Grid y{n + 1, n};
  for (int64_t j = 0; j < n; ++j) {
    int64_t rank = 0;
    for (int64_t k = 0; k < n; ++k) rank += a(k, k) < a(j, j);
    y(0, rank) = a(j, j);
    for (int64_t i = 0; i < n; ++i) y(i + 1, rank) = v(i, j);
  }
  return y;
}
Tensors eigen_of(const Tensor& x) {
  const Tensor y = for_each_grid(x, [](const Grid& a, int64_t) { return eigen(a); });
  return {select(y, -2, 0), abs(narrow(y, -2, 1, x.size(-1)))};
}

template <bool Full>
Results call_svd(Arguments x) {
  const auto [u, s, vh] = linalg::svd(x[0], Full);
  return Tensors{abs(u), s, abs(vh)};
}
Results call_svdvals(Arguments x) { return linalg::svdvals(x[0]); }
/// From the smaller of A' A and A A'.
Results svd_naively(Arguments x) {
  const Tensor a = x[0].detach(), at = transpose(a, -2, -1);
  const bool many_rows = a.size(-2) >= a.size(-1);
  const Tensor y = for_each_grid(many_rows ? matmul(at, a) : matmul(a, at), [](const Grid& g, int64_t) {
    Grid turned = eigen(g);  // and in descending order
    for (int64_t i = 0; i < turned.rows; ++i) std::reverse(&turned(i, 0), &turned(i, 0) + turned.columns);
    return turned;
  });
  const Tensor s = sqrt(select(y, -2, 0)), v = narrow(y, -2, 1, y.size(-1));
  const Tensor other = matmul(many_rows ? a : at, v) / unsqueeze(s, -2);
  return Tensors{abs(many_rows ? other : v), s, abs(transpose(many_rows ? v : other, -2, -1))};
}

Results call_pinv(Arguments x) { return linalg::pinv(x[0]); }
Results pinv_naively(Arguments x) {
  const Tensor a = x[0].detach(), at = transpose(a, -2, -1);
  const auto inverse_of = [](const Tensor& g) {
    return for_each_grid(g, [](const Grid& m, int64_t) { return inverse(m); });
  };
  return a.size(-2) >= a.size(-1) ? matmul(inverse_of(matmul(at, a)), at) : matmul(at, inverse_of(matmul(a, at)));
}
Results call_lstsq(Arguments x) { return linalg::lstsq(x[0], x[1]); }
Results lstsq_naively(Arguments x) { return matmul(pinv_naively(x)[0], x[1].detach()); }

}  // namespace

COTANGENT_OP_TABLE(decomposition) {
  return {
      {.name = "qr",
       .samples = {{{matrix}, call_qr<false>},
                   {{tall}, call_qr<false>},
                   {{wide}, call_qr<true>},
                   {{tall}, sizes_of_qr, qr_naively},
                   {{wide}, sizes_of_qr, qr_naively},
                   {{several}, sizes_of_qr, qr_naively},
                   {{tall}, [](Arguments x) -> Results { return linalg::qr(x[0], true).R; }}},
       .errors = {{{normal({3})}, call_qr<false>, "[qr] a is (3,); it must be a matrix"},
                  {{normal({3, 2})},
                   [](Arguments x) -> Results {
                     linalg::qr(x[0], true).Q.backward(ones({3, 3}, float64));
                     return x[0];
                   },
                   "[qr] the last 1 columns of the complete Q have a gradient"},
                  {{values({2, 2}, {1, 2, 2, 4})},
                   [](Arguments x) -> Results {
                     linalg::qr(x[0] * 0).Q.backward(ones({2, 2}, float64));
                     return x[0];
                   },
                   "is singular"}},
       .recorded_as = {"cat", "narrow", "matmul", "abs", "solve_triangular"}},
      {.name = "eigh",
       .samples = {{{matrix}, call_eigh, [](Arguments x) -> Results { return eigen_of(symmetric(x[0].detach())); }},
                   {{several}, call_eigh, [](Arguments x) -> Results { return eigen_of(symmetric(x[0].detach())); }},
                   {{normal({2, 1, 1})}, call_eigh}},
       .errors = {{{normal({2, 3})},
                   [](Arguments x) -> Results { return linalg::eigvalsh(linalg::eigh(x[0]).eigenvectors); },
                   "[eigh] a is (2, 3); its matrices must be square"},
                  {{values({2, 1, 1}, {1, INFINITY})},
                   call_eigh,
                   "[eigh] matrix 1 of the batch (2,) has elements that are NaN or infinite"},
                  {{values({2, 2}, {1, 0, 0, 1})},
                   [](Arguments x) -> Results {
                     linalg::eigh(x[0]).eigenvectors.backward(tensor({{1., 2.}, {3., 4.}}, float64));
                     return x[0];
                   },
                   "[eigh] two values are equal to rounding"}}},
      {.name = "eigvalsh",
       .samples = {{{matrix},
                    call_eigvalsh,
                    [](Arguments x) -> Results { return eigen_of(symmetric(x[0].detach()))[0]; }},
                   {{constant(several)},
                    call_eigvalsh,
                    [](Arguments x) -> Results { return eigen_of(symmetric(x[0].detach()))[0]; }}},
       .errors = {{{normal({2, 3})},
                   [](Arguments x) -> Results { return linalg::eigvalsh(x[0]); },
                   "[eigvalsh] a is (2, 3)"}},
       .recorded_as = {"eigh"}},
      {.name = "svd",
       .samples = {{{matrix}, call_svd<true>, svd_naively},
                   {{tall}, call_svd<false>, svd_naively},
                   {{wide}, call_svd<false>, svd_naively},
                   {{several}, call_svd<false>, svd_naively},
                   {{uniform({2, 1, 1}, 0.5, 2)}, call_svd<true>, svd_naively},
                   {{wide}, [](Arguments x) -> Results { return linalg::svd(x[0]).S; }}},
       .errors = {{{normal({3})}, call_svd<true>, "[svd] a is (3,)"},
                  {{values({1, 1}, {NAN})}, call_svd<true>, "[svd] the matrix has elements that are NaN"},
                  {{normal({3, 2})},
                   [](Arguments x) -> Results {
                     linalg::svd(x[0]).U.backward(ones({3, 3}, float64));
                     return x[0];
                   },
                   "[svd] the last 1 columns of U have a gradient"}}},
      {.name = "svdvals",
       .samples = {{{matrix}, call_svdvals, [](Arguments x) -> Results { return svd_naively(x)[1]; }},
                   {{constant(wide)}, call_svdvals, [](Arguments x) -> Results { return svd_naively(x)[1]; }}},
       .errors = {{{normal({3})}, call_svdvals, "[svdvals] a is (3,)"}},
       .recorded_as = {"svd"}},
      {.name = "pinv",
       .samples = {{{matrix}, call_pinv, pinv_naively},
                   {{tall}, call_pinv, pinv_naively},
                   {{wide}, call_pinv, pinv_naively},
                   {{several}, call_pinv, pinv_naively}},
       .errors = {{{normal({3})}, call_pinv, "[pinv] a is (3,)"}}},
      {.name = "lstsq",
       .samples = {{{tall, normal({3, 2})}, call_lstsq, lstsq_naively},
                   {{wide, normal({2, 2, 1})}, call_lstsq, lstsq_naively},
                   {{matrix, normal({3, 1})}, call_lstsq, lstsq_naively}},
       .errors = {{{tall, normal({2, 1})}, call_lstsq, "[lstsq] a is (3, 2) and b is (2, 1); b must have 3 rows"},
                  {{tall, normal({3})}, call_lstsq, "b must have 3 rows"}},
       .recorded_as = {"pinv", "matmul"}},
  };
}

}  // namespace cotangent
