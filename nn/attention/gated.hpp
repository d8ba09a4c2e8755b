#pragma once
// Attention and gated linear unit in one: the gated attention unit, and its linear-time mixture of chunks, FLASH (no
// relation of FlashAttention, which is a way to compute softmax attention). Hua et al., arXiv:2202.10447.
#include <optional>

#include <cotangent/autograd/ops/gated_attention.hpp>
#include <cotangent/nn/attention/attention.hpp>
#include <cotangent/nn/linear.hpp>

namespace cotangent::nn {

/// How scores s_ij become weights; n is the number of keys.
enum class GatedWeights : uint8_t {
  squared_relu,            ///< max(q.k / sqrt(s) + b, 0)^2 / n
  squared_relu_by_length,  ///< max(q.k / n + b, 0)^2
  squared_relu_by_row,     ///< the first, divided by the sum of the row instead of n
  softmax                  ///< softmax(q.k / sqrt(s) + b)
};

/// What the two layers have in common: gates U and values V, and a shared Z, some affine maps of which are queries and
/// keys; one head attends by them.
///
///     U = f(x Wu), V = f(x Wv), Z = f(x Wz), f = SiLU;   map i = Z * gamma_i + beta_i;   y = (U * attend(maps, V)) Wo
///
///   in_proj.weight (2e + s, d): Wu, Wv and Wz below one another; gamma and beta (maps, s); out_proj.weight (d, e)
/// At the start, Wu, Wv and Wz keep the deviation of x, which should be normalized, and Wo makes the output small.
/// gamma is 1 up to a deviation of 0.02, that of the biases about 0, and beta is s^(-1/4) where scores are squared and
/// rectified, 0 elsewhere: such scores start about 1, where they have gradients. The paper draws all of it with
/// deviation 0.02, and beta as 0: then the gradients of the maps are below the eps of Adam (1e-12 at d = 32, 5e-9 at
/// 768), and queries and keys are not learned.
struct GatedAttention : Attention {
  int64_t expanded, key_width;
  Linear in_proj, out_proj;
  Parameter gamma, beta;
  std::string settings() const override;

 protected:
  /// `name` is the layer's in errors; expanded = 0 stands for 2 width. A ValueError for a size below 1.
  GatedAttention(const char* name, int64_t width, int64_t expanded, int64_t key_width, int64_t maps, bool causal,
                 const AnyPosition& positions, Dtype dtype);

  /// maps, each (B, 1, T, s): queries and keys in turns, with their positions; v (B, 1, T, e) -> (B, 1, T, e)
  virtual Tensor attend(const Tensors& maps, const Tensor& v, const SequenceCall& call, StreamState* state) = 0;
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
};

struct GatedAttentionUnitOptions {
  int64_t expanded = 0;     ///< e, the width of gates and values: 0 stands for 2d
  int64_t key_width = 128;  ///< s, the width of queries and keys
  GatedWeights weights = GatedWeights::squared_relu;
  int64_t length = 0;         ///< n, as it was in training; 0 stands for the number of keys that are no padding
  bool relative_bias = true;  ///< b by the distance i - j, learned
  int64_t max_length = 512;   ///< below 512 a table of the distances up to it, else the rotary form without a limit
  bool causal = false;
  AnyPosition positions = {};  ///< of queries and keys, and added to the scores
  Dtype dtype = default_dtype();
};

/// The gated attention unit: A are the weights of two maps, queries and keys.
///
///     y = (U * (A V)) Wo
///
///   bias_table (2 max_length - 1) by distance, or for the rotary form b_ij = (R_i a) . (R_j b) bias_a and bias_b (s)
/// The block of the paper is x + unit(norm(x)); two of them stand for attention and feed-forward network.
/// It streams with a KeyValueCache of widths s and e; squared_relu and squared_relu_by_length only with a fixed
/// `length`. Errors: ValueError for sizes below 1, an odd key_width of a rotary bias, more than max_length positions
/// of a table, a memory.
struct GatedAttentionUnit : GatedAttention {
  GatedAttentionUnit(int64_t width, const GatedAttentionUnitOptions& options = {});
  Parameter bias_table, bias_a, bias_b;
  int64_t length, max_length;
  GatedWeights weights;
  COTANGENT_MEMBERS(in_proj, gamma, beta, bias_table, bias_a, bias_b, positions, out_proj)
  bool has(SequenceForm form) const override;

 protected:
  Tensor attend(const Tensors& maps, const Tensor& v, const SequenceCall& call, StreamState* state) override;

 private:
  /// What is added to the scores by distance: (1, queries + keys - 1).
  Tensor bias(int64_t queries, int64_t keys, int64_t start) const;
};

struct MixedChunkAttentionOptions {
  int64_t expanded = 0;     ///< e: 0 stands for 2d
  int64_t key_width = 128;  ///< s
  int64_t size = 256;       ///< c, positions in a chunk
  ChunkNorm norm = ChunkNorm::chunk;
  bool local = true, global = true;  ///< with either part
  bool relative_bias = true;         ///< a learned table of the distances within a chunk
  bool causal = false;
  /// of all four maps, not added to scores: by default Rotary of their first 32 dimensions, or of all that are fewer;
  /// AnyPosition() for none
  std::optional<AnyPosition> positions = {};
  Dtype dtype = default_dtype();
};

/// FLASH: a gated attention unit in linear time. Of four maps, the first two are queries and keys of squared rectified
/// attention within chunks of c positions, the others of linear attention between them: mixed_chunk_attention. Both
/// come from one Z: but for terms of i or j alone, q'_i . k'_j is the same both ways unless positions turn them, and
/// what is to the left of another chunk could not be told from what is to the right.
///   gamma and beta (4, s): of q_quad, k_quad, q_lin and k_lin; bias_table (2c - 1)
/// The state is a MixedChunkState: the sum over whole chunks (B, 1, s, e), and the rows of the chunk that is not full
/// yet. Errors: ValueError for sizes below 1, positions that add to scores, masks other than a key_mask, a memory.
struct MixedChunkAttention : GatedAttention {
  MixedChunkAttention(int64_t width, const MixedChunkAttentionOptions& options = {});
  Parameter bias_table;
  int64_t size;
  ChunkNorm norm;
  bool local, global;
  COTANGENT_MEMBERS(in_proj, gamma, beta, bias_table, positions, out_proj)
  std::string settings() const override;

 protected:
  Tensor attend(const Tensors& maps, const Tensor& v, const SequenceCall& call, StreamState* state) override;
};

}  // namespace cotangent::nn
