#pragma once
// Softmax attention through a few landmarks instead of all pairs. nn/attention/low_rank.hpp has the layers.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// The Moore-Penrose inverse of matrices by products alone. From Z = A^T / (|A|_1 |A|_inf) each iteration takes
///     Z <- Z (13 I - A Z (15 I - A Z (7 I - A Z))) / 4
/// and triples the number of right digits once a few are right, which takes the longer the closer A is to singular.
///   a (.., m, n) -> (.., n, m);   the gradient is that of the iterations; a matrix of zeros gives zeros
/// A ShapeError below rank 2, a ValueError for fewer iterations than 0. Razavi et al., 2014; Xiong et al.,
/// arXiv:2102.03902.
Tensor iterative_pseudo_inverse(const Tensor& a, int64_t iterations = 6);

struct NystromOptions {
  int64_t landmarks = 64;
  int64_t iterations = 6;  ///< of iterative_pseudo_inverse
  double scale = 0;        ///< of the scores; 0 stands for 1/sqrt(d)
  Tensor query_mask = {};  ///< bool (B, Tq): false for padding, which enters no landmark
  Tensor key_mask = {};    ///< bool (B, Tk): the same of the keys, which besides nobody sees
};

/// Attention by Nystrom's approximation, in time and memory linear in Tq + Tk. With landmarks Q~ and K~, the means of
/// segments as even as can be of the queries and keys that are no padding, c the scale and ^+ the pseudo-inverse:
///
///     y = softmax(c Q K~^T) softmax(c Q~ K~^T)^+ softmax(c Q~ K^T) V
///
///   q (B, H, Tq, d), k (B, H, Tk, d), v (B, H, Tk, n) -> (B, H, Tq, n)
/// Where there are no more tokens than landmarks each is its own, and y that of softmax attention, as far as the
/// pseudo-inverse has come. Padding changes nothing, whatever it holds. Landmarks mix the whole sequence: there is no
/// causal form. A ValueError for fewer landmarks than 1 or iterations than 0; shapes and dtypes. Xiong et al.,
/// arXiv:2102.03902.
Tensor nystrom_attention(const Tensor& q, const Tensor& k, const Tensor& v, const NystromOptions& options = {});

}  // namespace cotangent
