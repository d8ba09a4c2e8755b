#include <cotangent/autograd/ops/decomposition.hpp>

#include <cmath>
#include <limits>

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
#include <cotangent/autograd/ops/solve.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/lapack.hpp>

namespace cotangent::linalg {
namespace {

Tensor skew(const Tensor& x) { return x - transposed(x); }
/// x as a column, or a row, that broadcasts over matrices.
Tensor column(const Tensor& x) { return unsqueeze(x, -1); }
Tensor row(const Tensor& x) { return unsqueeze(x, -2); }
/// diag(x) added to matrices.
Tensor plus_diagonal(const Tensor& matrices, const Tensor& x) {
  return matrices + column(x) * eye(x.size(-1), -1, x.dtype());
}

double rounding(const Tensor& x) {
  return x.dtype() == float32 ? std::numeric_limits<float>::epsilon() : std::numeric_limits<double>::epsilon();
}

/// The gradient of the first n vectors, the columns of dx, if there is none of the others, which may be any.
Tensor only_first(const char* op, const char* of, const Tensor& dx, int64_t n) {
  const Tensor others = narrow(dx, -1, n, dx.size(-1) - n).detach();
  if (any(others != 0).item<bool>())
    fail<GradError>(
        "[{}] the last {} columns of {} have a gradient, but may be any that are orthogonal to the first {}; take the "
        "reduced form",
        op, others.size(-1), of, n);
  return narrow(dx, -1, 0, n);
}

/// The Householder form for m >= n, or m = n at least.
QR tall_qr(const Tensor& a, bool complete) {
  const raw::QR found = raw::qr("qr", a, complete);
  Tensor y[] = {found.q, found.r};
  record_all("qr", {a}, y, Keep::output(0) | Keep::output(1), NoAttributes{},
             [](const Backward& b, NoAttributes) -> Gradients {
               Tensor q = b.output(0), r = b.output(1), dq, dr = b.grad(1);
               const int64_t n = r.size(-1);
               if (b.has_grad(0)) dq = only_first("qr", "the complete Q", b.grad(0), n);
               q = narrow(q, -1, 0, n), r = narrow(r, -2, 0, n), dr = narrow(dr, -2, 0, n);
               Tensor w = matmul(dr, transposed(r));
               if (dq.defined()) w = w - matmul(transposed(q), dq);
               w = triu(w);
               Tensor inner = matmul(q, w + transposed(triu(w, 1)));
               if (dq.defined()) inner = inner + dq;
               return {solve_triangular(transposed(r), inner, {.upper = false, .left = false})};
             });
  return {y[0], y[1]};
}

}  // namespace

QR qr(const Tensor& a, bool complete) {
  COTANGENT_AUTOCAST(qr, a, complete);
  check_matrix("qr", a);
  if (is_low_precision(a.dtype())) return in_float32<to>(qr, a, complete);
  const int64_t m = a.size(-2), n = a.size(-1);
  if (m >= n) return tall_qr(a, complete);
  const QR first = tall_qr(narrow(a, -1, 0, m), false);
  return {first.Q, cat({first.R, matmul(transposed(first.Q), narrow(a, -1, m, n - m))}, -1)};
}

namespace {

[[noreturn]] void fail_for_ties(const char* op) {
  fail<GradError>(
      "[{}] two values are equal to rounding, and the gradient depends on which of their vectors were found, or on how "
      "the values part: it does not exist, or can't be known",
      op);
}
/// The largest size in each of the last two dimensions, as (.., 1, 1).
Tensor largest(const Tensor& x) { return amax(abs(x.detach()), {-2, -1}, true); }

/// Gaps between values, of which `all` are the largest ones, and which of them are ties.
struct Gaps {
  Gaps(const Tensor& gap_, const Tensor& all, int64_t n) : gap(gap_) {
    const Tensor size = abs(gap.detach());
    error = rounding(all) * static_cast<double>(n);
    tie = size <= all * error;
    small = size <= all * std::sqrt(error);
  }
  Tensor gap, tie, small;
  double error;

  /// part / gap. What is rounding errors alone counts as 0, so that a small gap does not enlarge them; `scale` is how
  /// large the terms of `part` are. An error where a tie divides more than that.
  Tensor divide(const char* op, const Tensor& part, const Tensor& scale) const {
    const Tensor size = abs(part.detach());
    if (any(tie && size > scale * std::sqrt(error)).item<bool>()) fail_for_ties(op);
    const Tensor vanishes = tie || (small && size <= scale * (8 * error));
    return where(vanishes, 0, part / where(vanishes, 1, gap));
  }
  /// An error where a tie's vectors have a gradient at all: that of its values says how they part, for one basis.
  void check_unread(const char* op, const Tensor& gradient) const {
    if (any(tie && gradient.detach() != 0).item<bool>()) fail_for_ties(op);
  }
};

Tensor off_diagonal(const Tensor& x) { return where(eye(x.size(-1), -1, x.dtype()) == 1, 0, x); }

Gradients eigh_gradient(const Backward& b) {
  const Tensor l = b.output(0), v = b.output(1);
  Tensor inner = zeros_like(v);
  if (b.has_grad(1) && v.numel() > 0) {
    const Tensor m = matmul(transposed(v), b.grad(1));
    const Gaps gaps(row(l) - column(l), largest(column(l)), l.size(-1));
    if (b.has_grad(0)) gaps.check_unread("eigh", off_diagonal(m));
    inner = gaps.divide("eigh", skew(m) * 0.5, largest(m));
  }
  if (b.has_grad(0)) inner = plus_diagonal(inner, b.grad(0));
  const Tensor da = matmul(matmul(v, inner), transposed(v));
  return {(da + transposed(da)) * 0.5};  // symmetric in spite of rounding
}

}  // namespace

Eigh eigh(const Tensor& a) {
  COTANGENT_AUTOCAST(eigh, a);
  check_square("eigh", a);
  if (is_low_precision(a.dtype())) return in_float32<to>(eigh, a);
  const raw::Eigen found = raw::eigh("eigh", a, true);
  Tensor y[] = {found.values, found.vectors};
  record_all("eigh", {a}, y, Keep::output(0) | Keep::output(1), NoAttributes{},
             [](const Backward& b, NoAttributes) -> Gradients { return eigh_gradient(b); });
  return {y[0], y[1]};
}

Tensor eigvalsh(const Tensor& a) {
  COTANGENT_AUTOCAST(eigvalsh, a);
  check_square("eigvalsh", a);
  if (grad_enabled() && a.requires_grad()) return eigh(a).eigenvalues;
  if (is_low_precision(a.dtype())) return in_float32<to>(eigvalsh, a);
  return raw::eigh("eigvalsh", a, false).values;
}

namespace {

/// The part of du that is orthogonal to all vectors, divided by s.
Tensor outside(const Tensor& u, const Tensor& du, const Gaps& from_zero, bool values_read) {
  if (values_read) from_zero.check_unread("svd", du);
  return from_zero.divide("svd", du - matmul(u, matmul(transposed(u), du)), largest(du));
}

Gradients svd_gradient(const Backward& b) {
  Tensor u = b.output(0), vh = b.output(2), du, dv;
  const Tensor s = b.output(1);
  const int64_t k = s.size(-1), m = u.size(-2), n = vh.size(-1);
  if (b.has_grad(0)) du = only_first("svd", "U", b.grad(0), k);
  if (b.has_grad(2)) dv = only_first("svd", "Vh, transposed,", transposed(b.grad(2)), k);
  u = narrow(u, -1, 0, k), vh = narrow(vh, -2, 0, k);
  if (k == 0) return {matmul(u, vh)};
  const Tensor v = transposed(vh);
  const bool values_read = b.has_grad(1);
  Tensor inner = zeros_like(row(s) + column(s)), outer;
  if (du.defined() || dv.defined()) {
    const Tensor none = zeros_like(inner), top = largest(column(s));
    const Tensor pu = du.defined() ? matmul(transposed(u), du) : none, pv = dv.defined() ? matmul(vh, dv) : none;
    const Tensor x = skew(pu), y = skew(pv), size = maximum(largest(pu), largest(pv));
    const Gaps sums(row(s) + column(s), top, std::max(m, n)), gaps(row(s) - column(s), top, std::max(m, n)),
        from_zero(row(s), top, std::max(m, n));
    if (values_read) gaps.check_unread("svd", off_diagonal(abs(pu) + abs(pv)));
    inner = (sums.divide("svd", x - y, size) + gaps.divide("svd", x + y, size)) * 0.5;
    if (du.defined() && m > k) outer = matmul(outside(u, du, from_zero, values_read), vh);
    if (dv.defined() && n > k) {
      const Tensor right = matmul(u, transposed(outside(v, dv, from_zero, values_read)));
      outer = outer.defined() ? outer + right : right;
    }
  }
  if (values_read) inner = plus_diagonal(inner, b.grad(1));
  const Tensor da = matmul(matmul(u, inner), vh);
  return {outer.defined() ? da + outer : da};
}

}  // namespace

SVD svd(const Tensor& a, bool full_matrices) {
  COTANGENT_AUTOCAST(svd, a, full_matrices);
  check_matrix("svd", a);
  if (is_low_precision(a.dtype())) return in_float32<to>(svd, a, full_matrices);
  const raw::SVD found = raw::svd("svd", a, full_matrices, true);
  Tensor y[] = {found.u, found.s, found.vh};
  record_all("svd", {a}, y, Keep::output(0) | Keep::output(1) | Keep::output(2), NoAttributes{},
             [](const Backward& b, NoAttributes) -> Gradients { return svd_gradient(b); });
  return {y[0], y[1], y[2]};
}

Tensor svdvals(const Tensor& a) {
  COTANGENT_AUTOCAST(svdvals, a);
  check_matrix("svdvals", a);
  if (grad_enabled() && a.requires_grad()) return svd(a, false).S;
  if (is_low_precision(a.dtype())) return in_float32<to>(svdvals, a);
  return raw::svd("svdvals", a, false, false).s;
}

Tensor pinv(const Tensor& a, double rtol) {
  COTANGENT_AUTOCAST(pinv, a, rtol);
  check_matrix("pinv", a);
  if (is_low_precision(a.dtype())) return in_float32<to>(pinv, a, rtol);
  Tensor y;
  {
    NoGrad guard;
    const raw::SVD found = raw::svd("pinv", a, false, true);
    if (rtol < 0) rtol = rounding(a) * static_cast<double>(std::max(a.size(-1), a.size(-2)));
    y = transposed(found.vh);
    if (found.s.size(-1) > 0) {
      const Tensor none = found.s <= amax(found.s, -1, true) * rtol;
      y = y * row(where(none, 0, reciprocal(where(none, 1, found.s))));
    }
    y = matmul(y, transposed(found.u));
  }
  return record(
      "pinv", {a}, y, Keep::input(0) | Keep::output(), NoAttributes{},
      [](const Backward& b, NoAttributes) -> Gradients {
        const Tensor &x = b.input(0), &dy = b.grad();
        const Tensor p = b.output(), pt = transposed(p), dyt = transposed(dy);
        const Tensor left = matmul(matmul(dyt, p), pt), right = matmul(pt, matmul(p, dyt));
        return {left - matmul(x, matmul(p, left)) + right - matmul(matmul(right, p), x) - matmul(pt, matmul(dy, pt))};
      });
}

Tensor lstsq(const Tensor& a, const Tensor& b) {
  COTANGENT_AUTOCAST(lstsq, a, b);
  check_matrix("lstsq", a);
  if (b.rank() < 2 || b.size(-2) != a.size(-2))
    fail<ShapeError>("[lstsq] a is {} and b is {}; b must have {} rows for each matrix", a.shape(), b.shape(),
                     a.size(-2));
  if (is_low_precision(a.dtype())) return in_float32<to>(lstsq, a, b);
  return matmul(pinv(a), b);
}

}  // namespace cotangent::linalg
