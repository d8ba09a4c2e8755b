#pragma once
// Mathematical functions, element by element. Integers and bools are converted to default_dtype() first, except by abs,
// sign, square and the rounding functions, which keep them. y is the result and dy its gradient.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// e^x.   dx = dy * y
Tensor exp(const Tensor& x);
/// e^x - 1, exact near 0.   dx = dy * (y + 1)
Tensor expm1(const Tensor& x);
/// The natural logarithm; NaN below 0.   dx = dy / x
Tensor log(const Tensor& x);
/// log(1 + x), exact near 0.   dx = dy / (1 + x)
Tensor log1p(const Tensor& x);
/// dx = dy / (2 y): infinite at 0
Tensor sqrt(const Tensor& x);
/// 1 / sqrt(x).   dx = -dy * y^3 / 2
Tensor rsqrt(const Tensor& x);
/// 1 / x.   dx = -dy * y^2
Tensor reciprocal(const Tensor& x);
/// x^2.   dx = 2 dy * x
Tensor square(const Tensor& x);
/// dx = dy * cos(x)
Tensor sin(const Tensor& x);
/// dx = -dy * sin(x)
Tensor cos(const Tensor& x);
/// dx = dy * (1 - y^2)
Tensor tanh(const Tensor& x);
/// 1 / (1 + e^-x).   dx = dy * y * (1 - y)
Tensor sigmoid(const Tensor& x);
/// 2/sqrt(pi) * the integral of e^(-t^2) from 0 to x.   dx = dy * 2/sqrt(pi) * e^(-x^2)
Tensor erf(const Tensor& x);
/// |x|.   dx = dy * sign(x), 0 at 0
Tensor abs(const Tensor& x);
/// -1, 0 or 1.   dx = 0
Tensor sign(const Tensor& x);
/// Rounded down, up, to the nearest (halves to even), towards 0.   dx = 0
Tensor floor(const Tensor& x);
Tensor ceil(const Tensor& x);
Tensor round(const Tensor& x);
Tensor trunc(const Tensor& x);

/// A temporary that nobody else holds, as in tanh(a + b), is written over.
Tensor exp(Tensor&& x);
Tensor sqrt(Tensor&& x);
Tensor tanh(Tensor&& x);
Tensor sigmoid(Tensor&& x);

}  // namespace cotangent
