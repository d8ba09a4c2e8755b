#pragma once
// Activation functions, element by element. relu, relu6 and hardtanh keep integers; the others convert them to
// default_dtype() first. x is the argument, y the result and dy its gradient. At a kink the slope is one of the two
// beside it, as in PyTorch: 0 where one of them is, else the one on the left, but for hardswish at 3, which takes 1.
// sigmoid and tanh are in math.hpp, softmax in softmax.hpp, what combines several elements in gated.hpp, rrelu in
// random.hpp.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

// ---- thresholds and rectifiers ----

/// x where x > threshold, else value.   dx = dy where x > threshold, else 0
Tensor threshold(const Tensor& x, double threshold, double value);
/// The step function: 0 below 0, 1 above, `value` at 0.   dx = 0 everywhere: it is trained by the perceptron's rule
Tensor heaviside(const Tensor& x, double value = 0);

/// max(x, 0).   dx = dy where y > 0, else 0; so 0 at the kink. A temporary that nobody else holds is written over.
Tensor relu(const Tensor& x);
Tensor relu(Tensor&& x);
/// x limited to [0, 6].   dx = dy where 0 < x < 6, else 0; so 0 at both kinks
Tensor relu6(const Tensor& x);
/// max(x, 0)^2 (So et al., arXiv:2109.08668).   dx = 2 dy max(x, 0)
Tensor relu_squared(const Tensor& x);
/// x above 0, slope * x below.   dx = dy where x > 0, else slope * dy; so the slope at the kink
Tensor leaky_relu(const Tensor& x, double slope = 0.01);
/// leaky_relu with a learned slope: one for all, or one a channel, of dimension 1 (He et al., arXiv:1502.01852).
///   x (N, C, ..) or any shape, weight (C) or one element;   dx = dy where x > 0, else weight * dy;   dweight = the sum
///   of dy min(x, 0)
/// A ShapeError when the weight fits neither way.
Tensor prelu(const Tensor& x, const Tensor& weight);

// ---- exponential units ----

/// x above 0, alpha (e^x - 1) below (Clevert, Unterthiner and Hochreiter, arXiv:1511.07289).   dx = dy where x > 0,
/// else dy alpha e^x
Tensor elu(const Tensor& x, double alpha = 1);
/// x above 0, alpha (e^(x/alpha) - 1) below: its slope is continuous for every alpha (Barron, arXiv:1704.07483).
///   dx = dy where x > 0, else dy e^(x/alpha). A ValueError for alpha = 0.
Tensor celu(const Tensor& x, double alpha = 1);
/// 1.0507 elu(x, 1.6733): the constants that keep the mean 0 and the variance 1 of a normal x (Klambauer et al.,
/// arXiv:1706.02515).
Tensor selu(const Tensor& x);

// ---- smooth rectifiers ----

/// How gelu computes the normal distribution function: exactly, or within 4.7e-4 (tanh) or 2.0e-2 (sigmoid) of the
/// result.
enum class Gelu : uint8_t { erf, tanh, sigmoid };
/// x * Phi(x), where Phi is the normal distribution function (Hendrycks and Gimpel, arXiv:1606.08415). Its minimum is
/// -0.16997 at -0.7518.
///   erf:  y = x/2 (1 + erf(x / sqrt(2)));   dx = dy (Phi(x) + x phi(x)), phi the normal density
///   tanh: y = x/2 (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3);   dx = dy ((1 + tanh(u))/2 + x/2 (1 - tanh(u)^2)
///   du/dx)
///   sigmoid: swish(x, 1.702)
Tensor gelu(const Tensor& x, Gelu form = Gelu::erf);
/// x * sigmoid(x), also called swish (Elfwing, Uchibe and Doya 2017).   dx = dy s (1 + x (1 - s)), s = sigmoid(x). Its
/// minimum is -0.27846 at -1.2785.
Tensor silu(const Tensor& x);
/// x * sigmoid(beta x), between x/2 (beta = 0) and relu (beta large) (Ramachandran, Zoph and Le, arXiv:1710.05941).
///   dx = dy s (1 + beta x (1 - s)), s = sigmoid(beta x)
Tensor swish(const Tensor& x, double beta);
/// The same with a learned beta, which broadcasts to x.   dbeta = dy x^2 s (1 - s), summed
Tensor swish(const Tensor& x, const Tensor& beta);
/// x * tanh(softplus(x)) (Misra, arXiv:1908.08681).   dx = dy (t + x (1 - t^2) sigmoid(x)), t = tanh(softplus(x)). Its
/// minimum is -0.30884 at -1.1924.
Tensor mish(const Tensor& x);
/// log(1 + e^(beta x)) / beta: a smooth relu; x itself where beta x > threshold.   dx = dy sigmoid(beta x), dy above
/// the threshold. A ValueError for beta = 0.
Tensor softplus(const Tensor& x, double beta = 1, double threshold = 20);

/// (x + sqrt(x^2 + b)) / 2: near softplus, without an exponential (Barron, arXiv:2112.11687). It is sqrt(b)/2 at 0, and
/// relu for b = 0.   dx = dy (1 + x / sqrt(x^2 + b)) / 2. A ValueError unless b is finite and 0 or more.
Tensor squareplus(const Tensor& x, double b = 4);

// ---- functions with two limits ----

/// log(sigmoid(x)) = -log(1 + e^-x), without underflow.   dx = dy sigmoid(-x)
Tensor log_sigmoid(const Tensor& x);
/// x / (1 + |x|).   dx = dy / (1 + |x|)^2
Tensor softsign(const Tensor& x);
/// (x + 3) / 6 limited to [0, 1] (Howard et al., arXiv:1905.02244).   dx = dy / 6 where -3 < x < 3, else 0
Tensor hardsigmoid(const Tensor& x);
/// x * hardsigmoid(x): exactly 0 below -3 and x above 3 (Howard et al., arXiv:1905.02244).   dx = 0 where x <= -3, dy
/// where x >= 3, else dy (x/3 + 1/2)
Tensor hardswish(const Tensor& x);
/// x limited to [low, high].   dx = dy where low < x < high, else 0. A ValueError if low > high; of integers as clamp.
Tensor hardtanh(const Tensor& x, double low = -1, double high = 1);

// ---- shrinkage ----

/// x moved towards 0 by lambda, not beyond.   dx = dy where |x| > lambda, else 0. A ValueError for lambda < 0.
Tensor softshrink(const Tensor& x, double lambda = 0.5);
/// x where |x| > lambda, else 0.   dx = dy where |x| > lambda, else 0. A ValueError for lambda < 0.
Tensor hardshrink(const Tensor& x, double lambda = 0.5);
/// x - tanh(x).   dx = dy tanh(x)^2
Tensor tanhshrink(const Tensor& x);

}  // namespace cotangent
