#pragma once
// Products of matrices and vectors. Operands of one product have one dtype; low-precision floats are multiplied in
// float32.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// The matrix product of the last two dimensions; those before them are a batch and broadcast (without a copy).
///   a (..., m, k), b (..., k, n) -> (..., m, n);   da = dy b^T, db = a^T dy, each summed over the batch where it was
///   repeated
/// A vector on the left is a row (k,) -> (1, k), on the right a column (k,) -> (k, 1), and that dimension is dropped
/// again: two vectors give their dot product. k = 0 gives zeros. A ShapeError for rank 0, or if the k of a and b
/// differ.
Tensor matmul(const Tensor& a, const Tensor& b);

/// x W^T + bias, in one pass: a layer's weight is stored as (out, in).
///   x (..., in), weight (out, in), bias (out,) or undefined for none -> (..., out)
///   dx = dy W, dW = dy^T x, dbias = dy, the last two summed over all rows of x
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

/// beta c + alpha a b, in one pass, for matrices a and b. c broadcasts to (m, n), and is not read where beta is 0.
///   c (m, n), a (m, k), b (k, n) -> (m, n);   dc = beta dy, da = alpha dy b^T, db = alpha a^T dy
Tensor addmm(const Tensor& c, const Tensor& a, const Tensor& b, double beta = 1, double alpha = 1);

/// All products of an element of a and one of b.
///   a (m,), b (n,) -> (m, n);   da = dy b, db = dy^T a
Tensor outer(const Tensor& a, const Tensor& b);

}  // namespace cotangent
