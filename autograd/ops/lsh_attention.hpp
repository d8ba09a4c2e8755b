#pragma once
// Attention to the keys that hash as the query does. nn/attention/lsh.hpp has the layer.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// A bucket for each vector and round of hashing, the place of the largest entry of [x R, -x R]: the closer the
/// directions of two vectors are, the more likely is that they share it.
///   x (.., T, d), rotations R (rounds, d, m), random normal -> int64 (.., rounds, T), from 0 to 2m - 1; no gradient
/// A ShapeError when the shapes do not fit. Andoni et al., arXiv:1509.02897.
Tensor lsh_buckets(const Tensor& x, const Tensor& rotations);

struct LshOptions {
  int64_t chunk = 64;    ///< c
  bool causal = false;   ///< no key after the query is seen
  double scale = 0;      ///< of the scores; 0 stands for 1/sqrt(d)
  Tensor key_mask = {};  ///< bool (B, T), true: may be seen; false for padding
};

/// Softmax attention of the Reformer. Keys are queries of length 1, k_j = q_j / |q_j|. In each round positions are
/// sorted by bucket, within a bucket by their order, and cut into chunks of c; a query sees its own chunk and the one
/// before, for the first chunk that is the last. The rounds are combined by the exponentials that they sum, and a key
/// that a query sees in several rounds counts once: it is one softmax over all that are seen. Its own key has the score
/// -5e4, and matters where it sees no other.
///   qk (B, H, T, d), v (B, H, T, n), rotations (rounds, d, m) -> (B, H, T, n)
/// Where c is half of T or more, that is softmax attention with shared queries and keys. Time and memory are linear in
/// T. Where causal, no later key is seen, but which of the earlier ones are seen depends on how all tokens were sorted.
/// Padding is sorted behind all tokens, where only the first chunk meets it. The order has no gradient: derivatives are
/// those for the chunks that were found. A query that sees nothing gives 0. A ValueError for a chunk below 1 or no
/// round; shapes and dtypes. Kitaev et al., arXiv:2001.04451.
Tensor lsh_attention(const Tensor& qk, const Tensor& v, const Tensor& rotations, const LshOptions& options = {});

}  // namespace cotangent
