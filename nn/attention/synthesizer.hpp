#pragma once
// Attention whose scores need not compare queries with keys. Tay et al., "Synthesizer" (arXiv:2005.00743).
#include <optional>

#include <cotangent/nn/attention/attention.hpp>
#include <cotangent/nn/linear.hpp>

namespace cotangent::nn {

/// Where the score s_ij of a query i and a key j comes from. N is the longest length, dh the width of a head.
enum class SynthesizerScores : uint8_t {
  dot_product,       ///< q_i . k_j / sqrt(dh), as in transformers
  dense,             ///< entry j of W2 relu(W1 x_i + b1) + b2
  random,            ///< R_ij, of the positions alone
  factorized_dense,  ///< entry j mod a of A_i times entry floor(j / a) of B_i, with A_i (a) and B_i (N / a) as in dense
  factorized_random,  ///< (R1 R2^T)_ij, of a low rank
};

struct SynthesizerOptions {
  std::vector<SynthesizerScores> scores = {SynthesizerScores::dense};  ///< more than one: a mixture
  int64_t length = 512;                                                ///< N
  int64_t rank = 8;                                                    ///< of factorized_random
  int64_t tile = 0;          ///< a of factorized_dense, a divisor of N; 0 stands for the largest up to sqrt(N)
  bool train_random = true;  ///< false: R, R1 and R2 stay as they were drawn
  bool causal = false;
  bool bias = true;            ///< of the linear maps of tokens
  AnyPosition positions = {};  ///< of queries and keys, or added to the scores
  Dtype dtype = default_dtype();
};

/// H heads of width dh = d / H, y = [softmax(sum_n w_n S_n) v]_h Wo^T + bo: S_n are the scores of each kind in turn, w
/// = softmax(mixture) lies on the simplex, and is 1 for a single kind.
///   value_proj and out_proj, linear maps (d, d);   mixture (n), 0 at the start;
///   dot_product: query_key_proj (2d, d);   dense: dense_hidden (d, d) is W1, whose results are cut into heads,
///   dense_weight (H, N, dh) is W2, dense_bias (H, N);   factorized_dense: factor_hidden, and factor_weight (H, a + N /
///   a, dh) and factor_bias (H, a + N / a), those of A above those of B;   random (H, N, N);   random_left and
///   random_right (H, N, rank) are R1 and R2. Random scores start with deviation 1.
/// A causal one streams with a KeyValueCache, since row i needs only x_i and the values so far. Errors: a ValueError
/// for no kind or one named twice, sizes below 1, a tile that does not divide N, more than N tokens, a memory.
struct Synthesizer : Attention {
  Synthesizer(int64_t width, int64_t heads, const SynthesizerOptions& options = {});
  Linear value_proj, out_proj;
  std::optional<Linear> query_key_proj, dense_hidden, factor_hidden;
  Parameter dense_weight, dense_bias, factor_weight, factor_bias, random, random_left, random_right, mixture;
  int64_t heads, length, tile;
  std::vector<SynthesizerScores> scores;
  COTANGENT_MEMBERS(value_proj, query_key_proj, dense_hidden, dense_weight, dense_bias, factor_hidden, factor_weight,
                    factor_bias, random, random_left, random_right, mixture, positions, out_proj)
  std::string settings() const override;

 protected:
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;

 private:
  /// (B, T, d) -> (B, H, T, dh)
  Tensor in_heads(const Tensor& x) const;
  /// The scores of one kind, which broadcast to (B, H, T, keys), for the tokens x from the position `start` on.
  Tensor scores_of(SynthesizerScores kind, const Tensor& x, const Tensor& q, const Tensor& keys, int64_t count,
                   int64_t start);
};

}  // namespace cotangent::nn
