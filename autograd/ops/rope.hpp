#pragma once
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// Which elements of a vector make a pair: neighbours 2i and 2i + 1, or i and i + r/2. A fixed permutation of the
/// columns of the projection before turns one into the other.
enum class RopeLayout : uint8_t { interleaved, half_split };

struct RopeOptions {
  RopeLayout layout = RopeLayout::interleaved;
  int64_t width = 0;     ///< r: the first r elements are rotated, an even number; 0 stands for all
  double base = 10'000;  ///< of the frequencies
  double growth = 0;     ///< g: pair i at m is also multiplied by z_i^(g (m - center)), z_i = (2i + 0.4 r) / (1.4 r)
  double center = 0;     ///< the position at which nothing is multiplied
};

/// Rotary positions: pair i of a vector at position m is turned by the angle m base^(-2i/r).
///     (a, b) -> (a cos - b sin, a sin + b cos);   the gradient is turned back
/// so that the inner product of a rotated query and key depends on the difference of their positions only.
///   x (.., T, d), positions (T), or of a shape that broadcasts to (.., T): integers or fractions, which get no
///   gradient -> x's shape
/// Angles are computed in float64, which is exact enough for positions in the millions. A ShapeError if x is a scalar
/// or vector or the positions do not fit; a ValueError if r is odd or exceeds d, or the base is not above 0. Su et al.,
/// "RoFormer" (arXiv:2104.09864). Sun et al., arXiv:2212.10554 (xPos: growth 1/512 of queries, -1/512 of keys).
Tensor rope(const Tensor& x, const Tensor& positions, const RopeOptions& options = {});
/// At the positions start, start + 1, ...
Tensor rope(const Tensor& x, int64_t start = 0, const RopeOptions& options = {});

}  // namespace cotangent
