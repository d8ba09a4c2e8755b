#pragma once
// The element-wise functions of one and of two operands, and their loops.
#include <cstdint>

namespace cotangent::kernels {

/// y = f(x). p and q are parameters: the slope of leaky_relu, the bounds of clamp, the beta of swish.
enum class Unary : uint8_t {
  copy,
  neg,
  abs,
  sign,
  square,
  sqrt,
  rsqrt,
  reciprocal,
  exp,
  expm1,
  log,
  log1p,
  sin,
  cos,
  tanh,
  sigmoid,
  erf,
  relu,
  clamp,
  leaky_relu,
  relu_squared,
  threshold,
  heaviside,
  elu,
  selu,
  gelu,
  gelu_tanh,
  silu,
  swish,
  mish,
  softplus,
  log_sigmoid,
  softsign,
  hardsigmoid,
  hardswish,
  softshrink,
  hardshrink,
  tanhshrink,
  power,
  floor,
  ceil,
  round,
  trunc,
  is_nan,
  is_finite,
  logical_not,
  count
};

/// y = f(a, b), where either may be one repeated element. The `_backward` ones take the gradient first, then what the
/// rule keeps (the output y or the input x), and give the gradient of the input.
enum class Binary : uint8_t {
  add,
  sub,
  mul,
  div,
  pow,
  minimum,
  maximum,
  remainder,
  floor_divide,
  tanh_backward,
  sigmoid_backward,
  relu_backward,
  clamp_backward,
  hardtanh_backward,
  leaky_relu_backward,
  relu_squared_backward,
  threshold_backward,
  elu_backward,
  selu_backward,
  gelu_backward,
  gelu_tanh_backward,
  silu_backward,
  swish_backward,
  mish_backward,
  softplus_backward,
  softsign_backward,
  hardsigmoid_backward,
  hardswish_backward,
  shrink_backward,
  tanhshrink_backward,
  scaled_sub,
  bce_with_logits,
  bce_with_logits_slope,
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  logical_and,
  logical_or,
  logical_xor,
  count
};
inline bool is_comparison(Binary op) { return op >= Binary::eq; }
inline bool is_predicate(Unary op) { return op >= Unary::is_nan; }

/// Which operands of a Binary are arrays: both, the first (the second is one element), the second.
enum class Layout : uint8_t { both, array_scalar, scalar_array };

using UnaryLoop = void (*)(const void* x, void* y, int64_t n, double p, double q);
using BinaryLoop = void (*)(const void* a, const void* b, void* y, int64_t n, Layout layout, double p, double q);
using UnaryTable = UnaryLoop[static_cast<int>(Unary::count)][8];  ///< by Dtype; nullptr where there is no such function
using BinaryTable = BinaryLoop[static_cast<int>(Binary::count)][8];

}  // namespace cotangent::kernels
