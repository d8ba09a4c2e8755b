#pragma once
// Softmax without history. Low-precision floats compute in float32. `dim` counts from 0 (checked_dim).
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// exp(x) / sum(exp(x)) along `dim`, shifted by the maximum.
Tensor softmax(const char* op, const Tensor& x, int dim);
/// x - log(sum(exp(x))) along `dim`, shifted by the maximum.
Tensor log_softmax(const char* op, const Tensor& x, int dim);
/// dx = y (dy - sum(dy y))
Tensor softmax_backward(const char* op, const Tensor& dy, const Tensor& y, int dim);
/// dx = dy - exp(y) sum(dy)
Tensor log_softmax_backward(const char* op, const Tensor& dy, const Tensor& y, int dim);

}  // namespace cotangent::raw
