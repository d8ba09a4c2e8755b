#pragma once
// Products of tensors without history.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// a (..., m, k) times b (..., k, n), whose leading dimensions broadcast without a copy: (..., m, n). One dtype; bool
/// is an error. Low-precision floats are summed in float32 (gemm_half.hpp). A ShapeError or DTypeError names `op`.
Tensor matmul(const char* op, const Tensor& a, const Tensor& b);

/// alpha a b + beta c, for matrices a (m, k) and b (k, n), and c that broadcasts to (m, n). Where beta is 0, c is not
/// read. An undefined c stands for zeros.
Tensor addmm(const char* op, const Tensor& c, const Tensor& a, const Tensor& b, double beta = 1, double alpha = 1);

/// x weight^T + bias, for x (..., in), weight (out, in) and bias (out,), which may be undefined.
Tensor linear(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias);

}  // namespace cotangent::raw
