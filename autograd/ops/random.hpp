#pragma once
// Random functions of tensors. The random tensors themselves are made in tensor/random.hpp.
#include <cotangent/tensor/random.hpp>

namespace cotangent {

/// In training, each element of x is 0 with probability p, and divided by 1 - p otherwise, so that its expectation
/// stays; x itself else.   dx = dy with the same elements dropped and divided. All are 0 for p = 1. The mask takes no
/// memory: the backward pass draws it again from the same place of the stream. A ValueError if p is not in [0, 1].
/// (Srivastava et al., "Dropout", 2014)
Tensor dropout(const Tensor& x, double p = 0.5, bool training = true, Generator& generator = default_generator());

/// Dropout for networks of selu: with probability p an element becomes selu's lower limit -1.7581 instead of 0, and
/// then all are scaled and shifted so that a mean of 0 and a variance of 1 stay.   dx = dy times the scale where an
/// element was kept, else 0. All are 0 for p = 1. A ValueError if p is not in [0, 1]. (Klambauer et al.,
/// arXiv:1706.02515)
Tensor alpha_dropout(const Tensor& x, double p = 0.5, bool training = true, Generator& generator = default_generator());

/// leaky_relu with a slope a for each element: in training uniform in [lower, upper), else their mean (Xu et al.,
/// arXiv:1505.00853).   dx = dy where x > 0, else a dy with the same a. A ValueError unless lower <= upper.
Tensor rrelu(const Tensor& x, double lower = 1.0 / 8, double upper = 1.0 / 3, bool training = false,
             Generator& generator = default_generator());

}  // namespace cotangent
