#pragma once
// Systems of linear equations, determinants, and functions of square matrices, with the names of torch.linalg, by
// LAPACK. Matrices are the last two dimensions; those before them are a batch, whose matrices threads share. float16
// and bfloat16 are computed in float32. An error names the matrix of the batch. NaN or infinity in a matrix give NaN
// for it alone, but for `cholesky`, where they are an error. dy is the gradient of the result y, and A' the transpose.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::linalg {

/// x with A x = b, or without `left` x A = b, by LU with partial pivoting; the factors serve the gradient, too.
///   A (.., n, n), b (.., n, k), or without left (.., k, n) -> as b;   the batches broadcast
///   A (.., n, n), b (.., n) of the same batch, or of rank 1 -> as b, a vector for each matrix
///   db = A'^-1 dy,   dA = -db x'
/// A ValueError for a singular matrix: one whose factors have a 0 on the diagonal.
Tensor solve(const Tensor& a, const Tensor& b, bool left = true);

struct TriangularOptions {
  bool upper = true;           ///< which triangle of A counts
  bool left = true;            ///< A x = b, else x A = b
  bool unitriangular = false;  ///< the diagonal is not read, and counts as 1
};
/// x with A x = b, where the other triangle of A counts as 0 and is not read.
///   A (.., n, n), b (.., n, k), or without left (.., k, n) -> as b;   the batches broadcast
///   db = A'^-1 dy,   dA = -db x' in the triangle that counts, 0 elsewhere
/// A ValueError for a 0 on the diagonal.
Tensor solve_triangular(const Tensor& a, const Tensor& b, const TriangularOptions& options = {});

/// The inverse. Where it is only to be multiplied with, solve is quicker and more accurate.
///   (.., n, n) -> (.., n, n);   dA = -y' dy y'. A ValueError for a singular matrix.
Tensor inv(const Tensor& a);

/// The determinant, 1 of a matrix of size 0.
///   (.., n, n) -> (..);   dA = dy C with the matrix of cofactors C, which is y A'^-1 where that exists
/// Where the inverse is far from exact, C comes from the singular values, as second derivatives always do: both are
/// right at singular matrices, too. The third takes the inverse. For products of many factors, which leave the range of
/// the numbers, there is slogdet.
Tensor det(const Tensor& a);

/// The determinant as sign * e^logabsdet: 0 and -infinity for a singular matrix.
///   (.., n, n) -> two of (..);   dA = dlogabsdet A'^-1, and the sign has no gradient
/// A GradError in the backward pass for a singular matrix.
struct SignLogDet {
  Tensor sign, logabsdet;
};
SignLogDet slogdet(const Tensor& a);
/// ln(det(a)), as torch.logdet: -infinity for a singular matrix, NaN for a negative determinant.   dA = dy A'^-1
Tensor logdet(const Tensor& a);

/// The lower triangle L, with a positive diagonal, for which L L' is A. Of A, which is taken to be symmetric, the lower
/// triangle is read.
///   (.., n, n) -> (.., n, n);   dA = (S + S') / 2 with S = L'^-1 P L^-1, where P is the lower triangle of L' dy with
///   half its diagonal
/// A ValueError unless A is positive definite: it names the first leading minor that is not positive.
/// Murray, "Differentiation of the Cholesky decomposition" (arXiv:1602.07527).
Tensor cholesky(const Tensor& a);

/// The product of n times A: I for 0, and powers of the inverse below 0.   (.., m, m) -> (.., m, m)
Tensor matrix_power(const Tensor& a, int64_t n);

/// e^A = I + A + A A / 2 + .., by scaling, Pade approximants and squaring, to rounding errors times about the norm of
/// A.
///   (.., n, n) -> (.., n, n);   dA is the upper right block of e^[[A', dy], [0, A']]
/// Higham, "The scaling and squaring method for the matrix exponential revisited" (SIAM J. Matrix Anal. Appl. 2005).
Tensor matrix_exp(const Tensor& a);

}  // namespace cotangent::linalg
