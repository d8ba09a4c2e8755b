#pragma once
// Factorisations of matrices by LAPACK, without history. Matrices are the last two dimensions, those before them a
// batch, whose matrices threads share. float32 and float64 only. Errors name `op`, and the place in the batch.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// P a = L U of square matrices: U and, below its diagonal, L in `factors` (.., n, n); row i was exchanged with
/// pivots[i] - 1 (int32, (.., n)). A singular matrix has a 0 on U's diagonal; NaN or infinity make all factors NaN.
struct LU {
  Tensor factors, pivots;
};
LU lu(const char* op, const Tensor& a);
/// x with a x = b, or a^T x = b.   factors (.., n, n), b (.., n, k) -> (.., n, k), over one batch, that expand may have
/// made. A ValueError if a is singular.
Tensor lu_solve(const char* op, const LU& a, const Tensor& b, bool transposed);

/// The determinant as it is, and as sign * e^log_size; log_size is -infinity where it is 0.   (.., n, n) -> (..)
struct Determinant {
  Tensor value, sign, log_size;
};
Determinant determinant(const LU& a);

/// x with a x = b for a triangle of a, whose other elements are not read; with `unit`, nor is the diagonal, which
/// counts as 1. The batch may be expanded. A ValueError for a 0 on the diagonal.
Tensor triangular_solve(const char* op, const Tensor& a, const Tensor& b, bool upper, bool unit);

/// The lower triangle l with l l^T = a, of whose elements the lower triangle is read. A ValueError unless a is positive
/// definite.
Tensor cholesky(const char* op, const Tensor& a);

/// a = q r with orthonormal columns of q and an upper triangle r, of min(m, n) columns and rows, or `complete`, of m.
/// NaN or infinity in a matrix make all of its q and r NaN.   (.., m, n) -> (.., m, k), (.., k, n)
struct QR {
  Tensor q, r;
};
QR qr(const char* op, const Tensor& a, bool complete);

/// The eigenvalues of symmetric matrices, of which the lower triangle is read, in ascending order, and the eigenvectors
/// as columns, undefined without `vectors`. A ValueError for NaN and infinity.
struct Eigen {
  Tensor values, vectors;
};
Eigen eigh(const char* op, const Tensor& a, bool vectors);

/// a = u diag(s) vh with s in descending order: k = min(m, n) columns of u and rows of vh, or all of them if `full`,
/// or none, undefined, without `vectors`. A ValueError for NaN and infinity.
///   (.., m, n) -> (.., m, k), (.., k), (.., k, n)
struct SVD {
  Tensor u, s, vh;
};
SVD svd(const char* op, const Tensor& a, bool full, bool vectors);

/// The matrix of cofactors of a square matrix with factors `lu`, the gradient of its determinant: the determinant times
/// the inverse, or where that is far from exact, of a large condition or none, in float64 and by singular values. NaN
/// where a has any.
Tensor cofactor(const char* op, const Tensor& a, const LU& lu);
/// The same, and dy times its derivative, by singular values alone, without an inverse. A ValueError for NaN.
Tensor cofactor_by_svd(const char* op, const Tensor& a);
Tensor cofactor_gradient(const char* op, const Tensor& a, const Tensor& dy);

/// e^a of square matrices. NaN or infinity in one make all of its result NaN.
Tensor matrix_exp(const char* op, const Tensor& a);

}  // namespace cotangent::raw
