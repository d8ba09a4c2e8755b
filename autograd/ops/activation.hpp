#pragma once
// Activation functions, element by element. relu and relu6 keep integers; the others convert them to default_dtype()
// first. x is the argument, y the result and dy its gradient.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// max(x, 0).   dx = dy where y > 0, else 0; so 0 at the kink
Tensor relu(const Tensor& x);
/// x limited to [0, 6].   dx = dy where 0 < x < 6, else 0; so 0 at both kinks
Tensor relu6(const Tensor& x);
/// x above 0, slope * x below.   dx = dy where x > 0, else slope * dy; so the slope at the kink
Tensor leaky_relu(const Tensor& x, double slope = 0.01);

/// How gelu computes the normal distribution function.
enum class Gelu : uint8_t { erf, tanh };
/// x * Phi(x), where Phi is the normal distribution function (Hendrycks and Gimpel 2016).
///   erf:  y = x/2 (1 + erf(x / sqrt(2)));   dx = dy (Phi(x) + x phi(x)), phi the normal density
///   tanh: y = x/2 (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3);   dx = dy ((1 + tanh(u))/2 + x/2 (1 - tanh(u)^2)
///   du/dx)
Tensor gelu(const Tensor& x, Gelu form = Gelu::erf);
/// x * sigmoid(x), also called swish (Elfwing, Uchibe and Doya 2017).   dx = dy s (1 + x (1 - s)), s = sigmoid(x)
Tensor silu(const Tensor& x);
/// log(1 + e^(beta x)) / beta: a smooth relu; x itself where beta x > threshold.   dx = dy sigmoid(beta x), dy above
/// the threshold. A ValueError for beta = 0.
Tensor softplus(const Tensor& x, double beta = 1, double threshold = 20);
/// log(sigmoid(x)) = -log(1 + e^-x), without underflow.   dx = dy sigmoid(-x)
Tensor log_sigmoid(const Tensor& x);

}  // namespace cotangent
