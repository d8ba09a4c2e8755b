#pragma once
// Performer: softmax attention in linear time, by random features whose inner products have the exponential kernel as
// their mean (FAVOR+; Choromanski et al., "Rethinking Attention with Performers", arXiv:2009.14794).
#include <optional>

#include <cotangent/autograd/ops/linear_attention.hpp>
#include <cotangent/tensor/random.hpp>

namespace cotangent {

/// m rows like those of a standard normal matrix (m, d): drawn independently, or `orthogonal` within each block of d
/// rows, with lengths drawn anew as those of normal vectors. Each row has the same distribution either way; orthogonal
/// ones estimate with less variance. No gradient. A ValueError unless m and d are at least 1.
Tensor random_projection(int64_t m, int64_t d, bool orthogonal = true, Dtype dtype = default_dtype(),
                         Generator& generator = default_generator());

enum class FavorKernel : uint8_t {
  positive,    ///< m^(-1/2) e^(w.x - |x|^2/2):   the mean of phi(x) . phi(y) is e^(x.y)
  hyperbolic,  ///< (2m)^(-1/2) e^(-|x|^2/2) [e^(w.x), e^(-w.x)]: the same mean, less variance, 2m features
  relu  ///< m^(-1/2) max(w.x, 0): the mean is |x| |y| (sin t + (pi - t) cos t) / (2 pi), t the angle between them
};
/// Random features of x by the rows w of a projection, each plus m^(-1/2) eps.
///   x (.., d), projection (m, d) -> (.., m), for `hyperbolic` (.., 2m)
/// With z = |x + y|^2 and eps = 0 the mean squared error of phi(x) . phi(y) for independent rows is
///   positive:  e^(2 x.y + z) (1 - e^(-z)) / m;   hyperbolic:  (1 - e^(-z))/2 times that
/// No exponent exceeds |w|^2/2, so nothing overflows. A ShapeError if the widths differ.
Tensor favor_features(const Tensor& x, const Tensor& projection, FavorKernel kernel = FavorKernel::positive,
                      double eps = 0);

struct FavorOptions {
  FavorKernel kernel = FavorKernel::positive;
  bool causal = false;
  std::optional<double> eps = {};  ///< added to the features: 1e-4, for relu 1e-3, unless given
  LinearForm form = LinearForm::automatic;
  int64_t chunk = 64;
  Tensor key_mask = {};  ///< bool (B, T), true: may be seen; false for padding
};

/// Linear attention with the features of d^(-1/4) q and d^(-1/4) k: an estimate of softmax(q k^T / sqrt(d)) v.
///   q (B, H, Tq, d), k (B, H, Tk, d), v (B, H, Tk, n), projection (m, d) -> (B, H, Tq, n)
/// The exponents are shifted so that features do not vanish: of each query by its largest one, which cancels but for
/// eps; of the keys by the largest of the head, not if causal: with eps, that would leave a trace of the future.
/// Errors as of linear_attention.
Tensor favor_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& projection,
                       const FavorOptions& options = {}, LinearAttentionState* state = nullptr);

}  // namespace cotangent
