#pragma once
// Random functions of tensors. The random tensors themselves are made in tensor/random.hpp.
#include <cotangent/tensor/random.hpp>

namespace cotangent {

/// In training, each element of x is 0 with probability p, and divided by 1 - p otherwise, so that its expectation
/// stays; x itself else.   dx = dy with the same elements dropped and divided. All are 0 for p = 1. The mask takes no
/// memory: the backward pass draws it again from the same place of the stream. A ValueError if p is not in [0, 1].
/// (Srivastava et al., "Dropout", 2014)
Tensor dropout(const Tensor& x, double p = 0.5, bool training = true, Generator& generator = default_generator());

}  // namespace cotangent
