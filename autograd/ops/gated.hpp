#pragma once
// Gated linear units and maxout: activation functions of several inputs, which make a dimension of x smaller. The first
// half of `dim` holds the values a, the second half the gates b, as in PyTorch's glu.
//   x (.., 2n, ..) -> (.., n, ..);   with y = a g(b): da = dy g(b), db = dy a g'(b)
// A ShapeError if the size of `dim` is odd. Integers are converted to default_dtype().
#include <cotangent/autograd/ops/activation.hpp>

namespace cotangent {

/// a * sigmoid(b) (Dauphin et al., arXiv:1612.08083).
Tensor glu(const Tensor& x, int64_t dim = -1);
/// a * b: the gate without an activation. This and those below: Shazeer, arXiv:2002.05202.
Tensor bilinear_glu(const Tensor& x, int64_t dim = -1);
/// a * relu(b)
Tensor reglu(const Tensor& x, int64_t dim = -1);
/// a * gelu(b)
Tensor geglu(const Tensor& x, int64_t dim = -1, Gelu form = Gelu::erf);
/// a * silu(b)
Tensor swiglu(const Tensor& x, int64_t dim = -1);

/// The largest of each `pieces` elements that lie one after another along `dim` (Goodfellow et al., arXiv:1302.4389).
///   x (.., n * pieces, ..) -> (.., n, ..);   dx = dy at the largest of the pieces, the first of equal ones
/// A ShapeError unless `pieces` divides the size; a ValueError below 1.
Tensor maxout(const Tensor& x, int64_t pieces, int64_t dim = -1);

}  // namespace cotangent
