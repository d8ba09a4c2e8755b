#pragma once
// More encodings that are added to the embeddings, or stand for them. nn/attention/position.hpp has the common ones.
#include <cotangent/nn/attention/position.hpp>
#include <cotangent/nn/linear.hpp>

namespace cotangent::nn {

struct CapeOptions {
  double global_shift = 5;   ///< Dmax, in tokens: of a whole sequence
  double local_shift = 0.5;  ///< emax: of each token
  double scaling = 1.03;     ///< lmax, at least 1: of a whole sequence
  bool center = false;       ///< positions less their mean, also in evaluation
  double base = 10'000;      ///< of the sinusoids
};

/// Sinusoidal positions that are augmented in training, so that a model learns to do without their absolute values:
///   p_i <- exp(l) (p_i + D + e_i), D ~ U(-Dmax, Dmax) and l ~ U(-log lmax, log lmax) of each sequence, e_i ~ U(-emax,
///   emax) of each token;   x (.., T, width) + sinusoids(p) -> the same shape
/// In evaluation, and with the maxima 0, 0 and 1, it is SinusoidalEncoding. The numbers come from the default
/// generator. A ValueError for shifts below 0 or a scaling below 1. Likhomanenko et al., arXiv:2106.03143.
struct CapeEncoding : Module {
  explicit CapeEncoding(int64_t width, const CapeOptions& options = {});
  int64_t width;
  CapeOptions options;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x, int64_t start = 0);
  std::string settings() const override;
};

struct FloaterOptions {
  double step = 0.01;    ///< of time, from one token to the next
  int64_t substeps = 5;  ///< steps of Runge and Kutta for it
  bool adjoint = false;  ///< gradients by the adjoint equation, in memory that does not grow with the substeps
  Dtype dtype = default_dtype();
};

/// Positions that flow: p_0 is learned, and p_(k+1) = p_k + the integral of h(p, t) from step * k to step * (k + 1), by
/// the method of Runge and Kutta of fourth order, for as many tokens as there are.
///   x (.., T, width) -> x + p, the same shape;   initial p_0 (width), 0 at the start
/// `dynamics` is h, (1, width + 1) -> (1, width), of p with t behind it; its copies share their parameters, so that the
/// encodings of several layers, made with one, share h. By default it is two linear maps with tanh between them.
/// The adjoint equation da/dt = -a dh/dp is integrated backwards from token to token, from the kept values of p: its
/// gradients are those of the other way but for the error of the integration; second derivatives take the other way.
/// A table is computed in each call: T substeps 4 evaluations of h. A ValueError for a width, a step or substeps that
/// are not above 0. Liu et al., "FLOATER" (arXiv:2003.09229).
struct FloaterEncoding : Module {
  explicit FloaterEncoding(int64_t width, const FloaterOptions& options = {});
  FloaterEncoding(int64_t width, Sequential dynamics, const FloaterOptions& options = {});
  Parameter initial;
  Sequential dynamics;
  FloaterOptions options;
  COTANGENT_MODULE(initial, dynamics)
  Tensor forward(const Tensor& x, int64_t start = 0);
  /// The encodings of the positions start to start + count - 1: (count, width).
  Tensor rows(int64_t start, int64_t count);
  std::string settings() const override;
};

/// Which tokens, or which of the `width` components, share a number of ComplexEmbedding.
enum class ComplexSharing : uint8_t { none, tokens, components };

struct ComplexEmbeddingOptions {
  ComplexSharing frequency = ComplexSharing::none;
  ComplexSharing phase = ComplexSharing::none;
  Dtype dtype = default_dtype();
};

/// Word and position in one complex number: component c of the token j at position k is r_jc exp(i (w_jc k + th_jc)).
///   indices (.., T) of integers -> (.., T, width, 2), pairs (re, im) as of autograd/ops/complex.hpp;   amplitude r
///   (tokens, width), normal; frequency w, those of sinusoidal positions at the start; phase th, uniform in a turn:
///   each (tokens, width), (1, width) or (tokens, 1)
/// The modulus does not depend on k, and w = 0 takes the position away. A ValueError for sizes below 1; errors of
/// indices as with embedding. Wang et al., arXiv:1912.12333.
struct ComplexEmbedding : Module {
  ComplexEmbedding(int64_t tokens, int64_t width, const ComplexEmbeddingOptions& options = {});
  Parameter amplitude, frequency, phase;
  COTANGENT_MODULE(amplitude, frequency, phase)
  Tensor forward(const Tensor& indices, int64_t start = 0);
  std::string settings() const override;
};

/// (A + iB) z + c.   z (.., in, 2) -> (.., out, 2);   real A and imag B (out, in), bias c (out, 2)
/// The variance of A + iB at the start is 1/in. Real numbers for a real layer after it are complex::abs(y), or both
/// parts side by side: flatten(y, -2).
struct ComplexLinear : Module {
  ComplexLinear(int64_t in, int64_t out, const LinearOptions& options = {});
  Parameter real, imag, bias;
  COTANGENT_MODULE(real, imag, bias)
  Tensor forward(const Tensor& z);
  std::string settings() const override;
};

}  // namespace cotangent::nn
