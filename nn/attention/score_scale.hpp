#pragma once
// What the scores q.k of softmax attention are multiplied by. With queries and keys of unit variance and width dh, q.k
// has the variance dh.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::nn {

enum class ScoreScale : uint8_t {
  inverse_sqrt,  ///< 1/sqrt(dh): scores of variance 1 (Vaswani et al., arXiv:1706.03762)
  none,          ///< 1: left to the starting values of the weights, as in T5
  gradient,      ///< gradient_scale(n)/sqrt(dh): an estimate of what passes the most gradient among n keys
  log_length,    ///< log(n)/log(n0)/sqrt(dh) for a row with n keys: its entropy stays as it was at n0 keys
  cosine         ///< q and k divided by their norms, then cosine_scale(n, dh)
};

/// The a > 0 for which a softmax over n scores of a N(0, 1) distribution would have the largest derivatives, |dp/ds|_1
/// / 2 = a (1 - sum p^2), if sum p^2 were exp(a^2)/n: the root of exp(a^2) (1 + 2 a^2) = n, which is 2.01 for n = 512.
/// A ValueError below n = 2. (https://kexue.fm/archives/9812)
///
/// It is not the maximum. exp(a^2)/n is a ratio of means, to which scores near 2a count most, and beyond a =
/// sqrt(log(n) / 2), 1.77 for n = 512, a row mostly holds no such score: at 2.01 the mean of sum p^2 is 0.047, where
/// the estimate says 0.110. This is so at every n, as the root grows like sqrt(log(n)). The true mean of a (1 - sum
/// p^2) rises with a to the density of a gap of 0 between the two largest scores, n (n - 1) E[phi(s) Phi(s)^(n - 2)]:
/// few rows, those with a near tie, carry it then. At 2.01 it is 63% of that bound. docs/attention.md has the figures.
double gradient_scale(int64_t n);
/// The same for n cosines of random directions in dh dimensions, whose density is (1 - s^2)^((dh - 3)/2): the maximum
/// of a (1 - g(2a) / (g(a)^2 n)), g(a) = E exp(a s), about 3.5 log(n) for dh = 128. A ValueError below n = 2 or dh = 2.
double cosine_scale(int64_t n, int64_t width);

}  // namespace cotangent::nn
