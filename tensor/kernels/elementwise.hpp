#pragma once
// The element-wise functions of one and of two operands, and their loops.
#include <cstdint>

namespace cotangent::kernels {

/// y = f(x), and dx = gradient(dy, x or y), where f has one; see unary.cpp. p and q are parameters: the slope of
/// leaky_relu, the bounds of clamp, the beta of swish.
enum class Unary : uint8_t {
  neg,
  abs,
  sign,
  square,
  relu,
  clamp,
  hardtanh,
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
  power,
  leaky_relu,
  relu_squared,
  threshold,
  heaviside,
  elu,
  celu,
  selu,
  gelu,
  gelu_tanh,
  silu,
  swish,
  mish,
  softplus,
  squareplus,
  log_sigmoid,
  softsign,
  hardsigmoid,
  hardswish,
  softshrink,
  hardshrink,
  tanhshrink,
  floor,
  ceil,
  round,
  trunc,
  is_nan,
  is_finite,
  logical_not,
  count
};

/// y = f(a, b), where either may be one repeated element; see binary.cpp.
enum class Binary : uint8_t {
  add,
  sub,
  mul,
  div,
  pow,
  minimum,
  maximum,
  remainder,
  fmod,
  floor_divide,
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

/// Which operands of a Binary are arrays: both, the second (the first is one element), the first.
enum class Layout : uint8_t { both, scalar_array, array_scalar };

using UnaryLoop = void (*)(const void* x, void* y, int64_t n, double p, double q);
using GradientLoop = void (*)(const void* dy, const void* kept, void* dx, int64_t n, double p, double q);
using BinaryLoop = void (*)(const void* a, const void* b, void* y, int64_t n, Layout layout, double p, double q);
/// By Dtype; nullptr where there is no such function.
struct UnaryTable {
  UnaryLoop value[static_cast<int>(Unary::count)][8];
  GradientLoop gradient[static_cast<int>(Unary::count)][2];
};
using BinaryTable = BinaryLoop[static_cast<int>(Binary::count)][8];

}  // namespace cotangent::kernels
