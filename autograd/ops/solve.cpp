#include <cotangent/autograd/ops/solve.hpp>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/matrices_internal.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/lapack.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent::linalg {
namespace {

/// The shapes of A and b with the batches broadcast; b as it stands on the right of A x = b.
struct SystemShapes {
  Shape a, b;
};
SystemShapes system_shapes(const char* op, const Tensor& a, const Tensor& b, bool left) {
  check_square(op, a);
  if (b.dtype() != a.dtype())
    fail<DTypeError>("[{}] a is {} and b is {}; they must have one dtype, convert one with to()", op, a.dtype(),
                     b.dtype());
  if (b.rank() < 2 || b.size(left ? -2 : -1) != a.size(-1))
    fail<ShapeError>("[{}] a is {} and b is {}; b must have {} {} for each matrix", op, a.shape(), b.shape(),
                     a.size(-1), left ? "rows" : "columns");
  const auto batch = [](const Tensor& x) { return x.shape().slice(0, x.rank() - 2); };
  SystemShapes full{broadcast_shapes(op, batch(a), batch(b)), {}};
  full.b = full.a;
  for (int d : {-2, -1}) full.a.push_back(a.size(d)), full.b.push_back(b.size(d));
  return full;
}

/// A x = b, or with A', for factors of A; all of one batch. Derivatives of any order take the same factors.
Tensor system(const Tensor& a, const raw::LU& lu, const Tensor& b, bool transpose) {
  return record("solve", {a, b, lu.factors, lu.pivots}, raw::lu_solve("solve", lu, b, transpose),
                Keep::input(0) | Keep::input(2) | Keep::input(3) | Keep::output(), transpose,
                [](const Backward& back, bool turned) -> Gradients {
                  const Tensor x = back.output();
                  const Tensor db = system(back.input(0), {back.input(2), back.input(3)}, back.grad(), !turned);
                  if (!back.needs(0)) return {Tensor(), db};
                  return {-(turned ? matmul(x, transposed(db)) : matmul(db, transposed(x))), db};
                });
}

}  // namespace

Tensor solve(const Tensor& a, const Tensor& b, bool left) {
  COTANGENT_AUTOCAST(solve, a, b, left);
  constexpr const char* op = "solve";
  if (is_low_precision(a.dtype())) return in_float32<to>(solve, a, b, left);
  if (a.rank() >= 2 && (b.rank() == 1 || (b.rank() == a.rank() - 1 && b.shape() == a.shape().slice(0, b.rank())))) {
    if (!left) fail<ShapeError>("[{}] b is a vector, {}; x a = b wants matrices", op, b.shape());
    return squeeze(solve(a, unsqueeze(b, -1)), -1);
  }
  const SystemShapes full = system_shapes(op, a, b, left);
  if (!left) return transposed(solve(transposed(a), transposed(b)));
  raw::LU lu = raw::lu(op, a);  // once, however many systems A is repeated for
  lu.factors = raw::expand(op, lu.factors, full.a);
  lu.pivots = raw::expand(op, lu.pivots, full.a.slice(0, full.a.rank() - 1));
  return system(expand(a, full.a), lu, expand(b, full.b), false);
}

namespace {

struct Triangle {
  bool upper, unit;
};
Tensor triangular(const Tensor& a, const Tensor& b, Triangle part) {
  return record("solve_triangular", {a, b}, raw::triangular_solve("solve_triangular", a, b, part.upper, part.unit),
                Keep::input(0) | Keep::output(), part, [](const Backward& back, Triangle p) -> Gradients {
                  const Tensor db = triangular(transposed(back.input(0)), back.grad(), {!p.upper, p.unit});
                  if (!back.needs(0)) return {Tensor(), db};
                  const Tensor da = -matmul(db, transposed(back.output()));
                  return {p.upper ? triu(da, p.unit) : tril(da, -int64_t{p.unit}), db};
                });
}

}  // namespace

Tensor solve_triangular(const Tensor& a, const Tensor& b, const TriangularOptions& options) {
  COTANGENT_AUTOCAST(solve_triangular, a, b, options);
  constexpr const char* op = "solve_triangular";
  const auto& [upper, left, unit] = options;
  if (is_low_precision(a.dtype())) return in_float32<to>(solve_triangular, a, b, options);
  const SystemShapes full = system_shapes(op, a, b, left);
  if (left) return triangular(expand(a, full.a), expand(b, full.b), {upper, unit});
  return transposed(triangular(transposed(expand(a, full.a)), transposed(expand(b, full.b)), {!upper, unit}));
}

Tensor inv(const Tensor& a) {
  COTANGENT_AUTOCAST(inv, a);
  check_square("inv", a);
  if (is_low_precision(a.dtype())) return in_float32<to>(inv, a);
  return record("inv", {a}, raw::lu_solve("inv", raw::lu("inv", a), identity_like(a), false), Keep::output(),
                NoAttributes{}, [](const Backward& b, NoAttributes) -> Gradients {
                  const Tensor turned = transposed(b.output());
                  return {-matmul(matmul(turned, b.grad()), turned)};
                });
}

namespace {

Tensor on_matrices(const Tensor& x) { return unsqueeze(unsqueeze(x, -1), -1); }

/// The gradient of det; its own is exact at singular matrices, and one further by the inverse.
Tensor cofactor(const Tensor& a, const raw::LU& lu) {
  return record("cofactor", {a}, raw::cofactor("det", a, lu), Keep::input(0), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  if (!b.creates_graph()) return {raw::cofactor_gradient("det", b.input(0), b.grad())};
                  return b.through([](std::span<const Tensor> x,
                                      const void*) -> Tensor { return on_matrices(det(x[0])) * transposed(inv(x[0])); },
                                   nullptr);
                });
}

}  // namespace

Tensor det(const Tensor& a) {
  COTANGENT_AUTOCAST(det, a);
  check_square("det", a);
  if (is_low_precision(a.dtype())) return in_float32<to>(det, a);
  const raw::LU lu = raw::lu("det", a);
  return record("det", {a, lu.factors, lu.pivots}, raw::determinant(lu).value, Keep::inputs(3), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  return {on_matrices(b.grad()) * cofactor(b.input(0), {b.input(1), b.input(2)})};
                });
}

SignLogDet slogdet(const Tensor& a) {
  COTANGENT_AUTOCAST(slogdet, a);
  check_square("slogdet", a);
  if (is_low_precision(a.dtype())) return in_float32<to>(slogdet, a);
  const raw::LU lu = raw::lu("slogdet", a);
  const raw::Determinant d = raw::determinant(lu);
  Tensor y[] = {d.sign, d.log_size};
  record_all("slogdet", {a, lu.factors, lu.pivots}, y, Keep::inputs(3) | Keep::output(0), NoAttributes{},
             [](const Backward& b, NoAttributes) -> Gradients {
               if (any(b.output(0).detach() == 0).item<bool>())
                 fail<GradError>("[slogdet] the gradient does not exist, as a matrix is singular; det has one there");
               const Tensor& x = b.input(0);
               return {on_matrices(b.grad(1)) * system(x, {b.input(1), b.input(2)}, identity_like(x), true)};
             });
  return {y[0], y[1]};
}

Tensor logdet(const Tensor& a) {
  check_square("logdet", a);
  if (is_low_precision(a.dtype())) return in_float32<to>(logdet, a);
  const SignLogDet d = slogdet(a);
  return d.logabsdet + log(d.sign);
}

Tensor cholesky(const Tensor& a) {
  COTANGENT_AUTOCAST(cholesky, a);
  check_square("cholesky", a);
  if (is_low_precision(a.dtype())) return in_float32<to>(cholesky, a);
  return record("cholesky", {a}, raw::cholesky("cholesky", a), Keep::output(), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  const Tensor l = b.output(), lt = transposed(l);
                  const Tensor p = tril(matmul(lt, b.grad())), halved = (p + tril(p, -1)) * 0.5;
                  const Tensor s = solve_triangular(lt, solve_triangular(l, halved, {.upper = false, .left = false}));
                  return {(s + transposed(s)) * 0.5};
                });
}

Tensor matrix_power(const Tensor& a, int64_t n) {
  COTANGENT_AUTOCAST(matrix_power, a, n);
  check_square("matrix_power", a);
  if (is_low_precision(a.dtype())) return in_float32<to>(matrix_power, a, n);
  uint64_t left = n < 0 ? -static_cast<uint64_t>(n) : static_cast<uint64_t>(n);
  if (left == 0) return clone(identity_like(a));
  Tensor power = n < 0 ? inv(a) : clone(a), y;
  while (true) {
    if (left & 1) y = y.defined() ? matmul(y, power) : power;
    if ((left /= 2) == 0) return y;
    power = matmul(power, power);
  }
}

Tensor matrix_exp(const Tensor& a) {
  COTANGENT_AUTOCAST(matrix_exp, a);
  check_square("matrix_exp", a);
  if (is_low_precision(a.dtype())) return in_float32<to>(matrix_exp, a);
  return record("matrix_exp", {a}, raw::matrix_exp("matrix_exp", a), Keep::input(0), NoAttributes{},
                [](const Backward& b, NoAttributes) -> Gradients {
                  const Tensor at = transposed(b.input(0));
                  const int64_t n = at.size(-1);
                  // dA is linear in dy, which is made no larger than A, so as not to add to the squarings
                  const auto size = [](const Tensor& x) { return sum(abs(x.detach()), DimList{-2, -1}, true); };
                  const Tensor &dy = b.grad(), ratio = size(at) / size(dy), fine = isfinite(ratio) && ratio != 0;
                  const Tensor factor = where(fine, ratio, 1);
                  const Tensor rows = cat({cat({at, dy * factor}, -1), cat({zeros_like(at), at}, -1)}, -2);
                  return {narrow(narrow(matrix_exp(rows), -2, 0, n), -1, n, n) / factor};
                });
}

}  // namespace cotangent::linalg
