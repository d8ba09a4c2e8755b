#pragma once
// Decompositions of matrices into orthogonal and simple ones, with the names of torch.linalg, by LAPACK. Matrices are
// the last two dimensions; those before them are a batch, whose matrices threads share. float16 and bfloat16 are
// computed in float32. k is min(m, n), A' the transpose of A, and skew(X) = X - X'.
//
// What the vectors are is in part free: their sign, and for equal values any basis of what they span. A function of
// them has a gradient where it does not depend on that choice. The gradient's error grows as the inverse of the gap
// between two values that the function treats in different ways. Values that are equal to rounding are a GradError in
// the backward pass, unless it is known without dividing by their gap: because the function does not read their
// vectors, or because it is the same for every choice of them and does not read the values (projectors, the factor
// U Vh).
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::linalg {

/// A = Q R with orthonormal columns of Q and an upper triangle R.
struct QR {
  Tensor Q, R;
};
/// By Householder's reflections; signs of R's diagonal may be any.
///   (.., m, n) -> Q (.., m, k), R (.., k, n);   or `complete`, (.., m, m) and (.., m, n)
///   dA = (dQ + Q (W + W' - diag(W))) R'^-1 with the upper triangle W of dR R' - Q' dQ, for m >= n; more columns than
///   rows are R's first m and Q' times the others
/// The gradient wants the first k columns to be independent: a ValueError otherwise. The columns that complete Q for
/// m > n are free, and have none: a GradError if it is asked for. NaN or infinity give NaN for their matrix.
QR qr(const Tensor& a, bool complete = false);

/// A = V diag(L) V' for a symmetric A: eigenvalues in ascending order, and orthonormal eigenvectors as columns.
struct Eigh {
  Tensor eigenvalues, eigenvectors;
};
/// Of A, which is taken to be symmetric, the lower triangle is read.
///   (.., n, n) -> (.., n), (.., n, n);   dA = V (diag(dL) + skew(V' dV) / 2 / (L_j - L_i)) V', which is symmetric
/// Errors: a ValueError for NaN and infinity; of equal eigenvalues, see above.
Eigh eigh(const Tensor& a);
/// The eigenvalues alone, in less time.   (.., n, n) -> (.., n);   dA = V diag(dL) V'
Tensor eigvalsh(const Tensor& a);

/// A = U diag(S) Vh with orthonormal columns of U and rows of Vh, and singular values from the largest to the smallest.
struct SVD {
  Tensor U, S, Vh;
};
/// (.., m, n) -> (.., m, m), (.., k), (.., n, n);   or without full_matrices (.., m, k), (.., k), (.., k, n)
///   dA = U (diag(dS) + (X - Y) / (2 (s_i + s_j)) + (X + Y) / (2 (s_j - s_i))) Vh with X = skew(U' dU) and
///   Y = skew(V' dV), and, where U or V is not square, (I - U U') dU diag(1 / S) Vh + U diag(1 / S) dVh (I - V V')
/// A singular value of 0 counts as equal to another 0, and to those beyond the k, if there are any. What full_matrices
/// adds has no gradient: a GradError if it is asked for. A ValueError for NaN and infinity.
SVD svd(const Tensor& a, bool full_matrices = true);
/// The singular values alone, in less time.   (.., m, n) -> (.., k);   dA = U diag(dS) Vh
Tensor svdvals(const Tensor& a);

/// The pseudo-inverse of Moore and Penrose: V diag(1 / S) U', with 0 for singular values up to rtol times the largest.
/// rtol below 0 stands for max(m, n) times the rounding error.
///   (.., m, n) -> (.., n, m);   dA = -y' dy y' + (I - A y) dy' y y' + y' y dy' (I - y A), along matrices of this rank
Tensor pinv(const Tensor& a, double rtol = -1);

/// The x of least norm among those for which the norm of A x - b is least, by the pseudo-inverse.
///   A (.., m, n), b (.., m, k) -> (.., n, k);   gradients as of pinv(a) b; the batches broadcast
Tensor lstsq(const Tensor& a, const Tensor& b);

}  // namespace cotangent::linalg
