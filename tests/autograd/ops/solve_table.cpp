// The op table of autograd/ops/solve.hpp.
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/solve.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tests/autograd/ops/naive_matrices.hpp>

namespace cotangent {
namespace {

const InputSpec pair = values({2, 2}, {2, 1, -0.5, 1.5}),
                three = values({3, 3}, {2, 1, 0.5, -1, 1.5, 0.25, 0.5, -0.75, 3}),
                several = values({2, 2, 2}, {2, 1, -0.5, 1.5, 0.5, -2, 1, 0.25});

Results call_solve(Arguments x) { return linalg::solve(x[0], x[1]); }
Results solve_right(Arguments x) { return linalg::solve(x[0], x[1], false); }
Results solve_naively(Arguments x) {
  return matmul(for_each_grid(x[0], [](const Grid& a, int64_t) { return inverse(a); }), x[1].detach());
}

template <bool Upper, bool Unit>
Results triangular(Arguments x) {
  return linalg::solve_triangular(x[0], x[1], {.upper = Upper, .unitriangular = Unit});
}
template <bool Upper, bool Unit>
Results triangular_naively(Arguments x) {
  return matmul(for_each_grid(x[0],
                              [](Grid a, int64_t) {
                                for (int64_t i = 0; i < a.rows; ++i)
                                  for (int64_t j = 0; j < a.rows; ++j)
                                    if (i == j ? Unit : (i < j) != Upper) a(i, j) = i == j;
                                return inverse(a);
                              }),
                x[1].detach());
}

Results determinants(Arguments x) {
  return squeeze(squeeze(for_each_grid(x[0],
                                       [](const Grid& a, int64_t) {
                                         return Grid{1, 1, {determinant(a)}};
                                       }),
                         -1),
                 -1);
}

/// The lower triangle and its mirror image, exact in any dtype.
Tensor symmetric(const Tensor& x) { return tril(x) + transpose(tril(x, -1), -2, -1); }
Results call_cholesky(Arguments x) { return linalg::cholesky(symmetric(x[0])); }
Results cholesky_naively(Arguments x) {
  return for_each_grid(x[0], [](const Grid& a, int64_t) {
    Grid l{a.rows, a.rows};
    for (int64_t i = 0; i < a.rows; ++i)
      for (int64_t j = 0; j <= i; ++j) {
        double rest = a(i, j);
        for (int64_t k = 0; k < j; ++k) rest -= l(i, k) * l(j, k);
        l(i, j) = i == j ? ::sqrt(rest) : rest / l(j, j);
      }
    return l;
  });
}

template <int N>
Results power(Arguments x) {
  return linalg::matrix_power(x[0], N);
}
template <int N>
Results power_naively(Arguments x) {
  return for_each_grid(x[0], [](const Grid& a, int64_t) {
    Grid y = identity_grid(a.rows);
    for (int i = 0; i < ::abs(N); ++i) y = product(y, N < 0 ? inverse(a) : a);
    return y;
  });
}

Results call_exp(Arguments x) { return linalg::matrix_exp(x[0]); }
/// By the series, of a 1024th of the matrix.
Results exp_naively(Arguments x) {
  return for_each_grid(x[0], [](Grid a, int64_t) {
    for (double& v : a.values) v /= 1024;
    Grid y = identity_grid(a.rows), term = y;
    for (int k = 1; k < 20; ++k) {
      term = product(term, a);
      for (double& v : term.values) v /= k;
      for (size_t i = 0; i < y.values.size(); ++i) y.values[i] += term.values[i];
    }
    for (int i = 0; i < 10; ++i) y = product(y, y);
    return y;
  });
}

}  // namespace

COTANGENT_OP_TABLE(solve) {
  return {
      {.name = "solve",
       .samples = {{{pair, normal({2, 3})}, call_solve, solve_naively},
                   {{three, normal({2, 3, 1})}, call_solve, solve_naively},
                   {{several, normal({2, 2})},
                    call_solve,
                    [](Arguments x) -> Results {
                      return squeeze(solve_naively(Tensors{x[0], unsqueeze(x[1], -1)})[0], -1);
                    }},
                   {{several, normal({3, 1, 2, 1})}, call_solve, solve_naively},
                   {{pair, normal({2})},
                    call_solve,
                    [](Arguments x) -> Results {
                      return squeeze(solve_naively(Tensors{x[0], unsqueeze(x[1], -1)})[0], -1);
                    }},
                   {{pair, normal({3, 2})},
                    solve_right,
                    [](Arguments x) -> Results {
                      return transpose(solve_naively(Tensors{x[0].t(), x[1].t()})[0], 0, 1);
                    }},
                   {{values({1, 1}, {-2}), normal({1, 1})}, call_solve, solve_naively},
                   {{normal({0, 0}), normal({0, 2})}, call_solve}},
       .errors = {{{normal({2}), normal({2})}, call_solve, "[solve] a is (2,); it must be a matrix"},
                  {{normal({2, 3}), normal({2, 1})}, call_solve, "[solve] a is (2, 3); its matrices must be square"},
                  {{pair, normal({3, 2})}, call_solve, "[solve] a is (2, 2) and b is (3, 2); b must have 2 rows"},
                  {{pair, normal({2, 3})}, solve_right, "b must have 2 columns"},
                  {{pair, normal({2})}, solve_right, "b is a vector"},
                  {{several, normal({3, 2, 1})}, call_solve, "[solve]"},
                  {{pair, integers({2, 1}, 0, 3)}, call_solve, "they must have one dtype"},
                  {{integers({2, 2}, 0, 3), normal({2, 1})}, call_solve, "[solve] a is int64; it must be floating"},
                  {{values({3, 2, 2}, {1, 0, 0, 1, 1, 2, 2, 4, 0, 0, 0, 0}), normal({2, 1})},
                   call_solve,
                   "[solve] matrix 1 of the batch (3,) is singular"},
                  {{values({1, 1}, {0}), normal({1})}, call_solve, "[solve] the matrix is singular"}}},
      {.name = "solve_triangular",
       .samples = {{{three, normal({3, 2})}, triangular<true, false>, triangular_naively<true, false>},
                   {{three, normal({3, 1})}, triangular<false, false>, triangular_naively<false, false>},
                   {{pair, normal({2, 2})}, triangular<true, true>, triangular_naively<true, true>},
                   {{several, normal({2, 1})}, triangular<false, true>, triangular_naively<false, true>},
                   {{pair, normal({2, 2, 1})}, triangular<false, false>, triangular_naively<false, false>},
                   {{pair, normal({3, 2})},
                    [](Arguments x) -> Results {
                      return linalg::solve_triangular(x[0], x[1], {.upper = false, .left = false});
                    },
                    [](Arguments x) -> Results {
                      return transpose(triangular_naively<true, false>(Tensors{x[0].t(), x[1].t()})[0], 0, 1);
                    }},
                   {{values({1, 1}, {-2}), normal({1, 1})}, triangular<true, false>, triangular_naively<true, false>}},
       .errors = {{{normal({2, 3}), normal({2, 1})}, triangular<true, false>, "[solve_triangular] a is (2, 3)"},
                  {{pair, normal({2})}, triangular<true, false>, "b must have 2 rows"},
                  {{values({2, 2}, {1, 2, 3, 0}), normal({2, 1})},
                   triangular<true, false>,
                   "[solve_triangular] the matrix is singular: element 1 of its diagonal is 0"}}},
      {.name = "inv",
       .samples = {{{pair}, [](Arguments x) -> Results { return linalg::inv(x[0]); }, power_naively<-1>},
                   {{three}, [](Arguments x) -> Results { return linalg::inv(x[0]); }, power_naively<-1>},
                   {{several}, [](Arguments x) -> Results { return linalg::inv(x[0]); }, power_naively<-1>}},
       .errors = {{{values({2, 2}, {1, 2, 2, 4})},
                   [](Arguments x) -> Results { return linalg::inv(x[0]); },
                   "[inv] the matrix is singular"}}},
      {.name = "det",
       .samples = {{{pair}, [](Arguments x) -> Results { return linalg::det(x[0]); }, determinants},
                   {{normal({3, 3})}, [](Arguments x) -> Results { return linalg::det(x[0]); }, determinants},
                   {{several}, [](Arguments x) -> Results { return linalg::det(x[0]); }, determinants},
                   {{normal({1, 1})}, [](Arguments x) -> Results { return linalg::det(x[0]); }, determinants}},
       .errors = {{{normal({2, 1})}, [](Arguments x) -> Results { return linalg::det(x[0]); }, "must be square"}},
       .recorded_as = {"cofactor"}},
      {.name = "slogdet",
       .samples = {{{pair},
                    [](Arguments x) -> Results {
                      const auto [sign, size] = linalg::slogdet(x[0]);
                      return Tensors{sign, size};
                    },
                    [](Arguments x) -> Results {
                      const Tensor d = determinants(x)[0];
                      return Tensors{sign(d), log(abs(d))};
                    }},
                   {{three},
                    [](Arguments x) -> Results { return linalg::slogdet(-x[0]).logabsdet; },
                    [](Arguments x) -> Results { return log(abs(determinants(x)[0])); }},
                   {{several},
                    [](Arguments x) -> Results { return linalg::slogdet(x[0]).logabsdet; },
                    [](Arguments x) -> Results { return log(abs(determinants(x)[0])); }}},
       .errors = {{{normal({2, 1})},
                   [](Arguments x) -> Results { return linalg::slogdet(x[0]).sign; },
                   "[slogdet] a is"},
                  {{values({2, 2}, {1, 2, 2, 4})},
                   [](Arguments x) -> Results {
                     linalg::slogdet(x[0]).logabsdet.backward();
                     return x[0];
                   },
                   "[slogdet] the gradient does not exist"}}},
      {.name = "cholesky",
       .samples = {{{values({2, 2}, {2, 9, -0.5, 1.5})}, call_cholesky, cholesky_naively},
                   {{values({3, 3}, {2, 9, 9, -1, 1.5, 9, 0.5, -0.75, 3})}, call_cholesky, cholesky_naively},
                   {{values({2, 1, 1}, {2, 4})}, call_cholesky, cholesky_naively}},
       .errors = {{{normal({2, 3})}, [](Arguments x) -> Results { return linalg::cholesky(x[0]); }, "must be square"},
                  {{values({2, 2, 2}, {1, 0, 0, 1, 1, 0, 2, 1})},
                   call_cholesky,
                   "[cholesky] matrix 1 of the batch (2,) is not positive definite: its leading minor of order 2"},
                  {{values({1, 1}, {NAN})}, call_cholesky, "[cholesky] the matrix has elements that are NaN"}}},
      {.name = "logdet",
       .samples = {{{values({2, 2}, {2, 1, 0.5, 3})},
                    [](Arguments x) -> Results { return linalg::logdet(x[0]); },
                    [](Arguments x) -> Results { return log(determinants(x)[0]); }},
                   {{values({2, 2, 2}, {2, 0.25, -1, 3, 1, 2, -2, 0.5})},
                    [](Arguments x) -> Results { return linalg::logdet(x[0]); },
                    [](Arguments x) -> Results { return log(determinants(x)[0]); }}},
       .errors = {{{normal({2, 1})}, [](Arguments x) -> Results { return linalg::logdet(x[0]); }, "[logdet] a is"}}},
      {.name = "matrix_power",
       .samples = {{{pair}, power<3>, power_naively<3>},
                   {{several}, power<2>, power_naively<2>},
                   {{pair}, power<-2>, power_naively<-2>},
                   {{pair}, power<1>, power_naively<1>},
                   {{constant(pair)}, power<0>, power_naively<0>}},
       .errors = {{{normal({2, 1})}, power<2>, "[matrix_power] a is (2, 1)"},
                  {{values({1, 1}, {0})}, power<-1>, "is singular"}}},
      {.name = "matrix_exp",
       .samples = {{{pair}, call_exp, exp_naively},
                   {{three}, call_exp, exp_naively},
                   {{uniform({2, 2, 2}, -0.1, 0.1)}, call_exp, exp_naively},
                   {{values({2, 2}, {5, -4, 6, -8})}, call_exp, exp_naively},
                   {{normal({1, 1})}, call_exp, exp_naively}},
       .errors = {{{normal({2, 3})}, call_exp, "[matrix_exp] a is (2, 3); its matrices must be square"}}},
  };
}

}  // namespace cotangent
