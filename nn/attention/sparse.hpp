#pragma once
// Softmax attention to a pattern of keys: autograd/ops/sparse_attention.hpp as layers.
#include <optional>

#include <cotangent/autograd/ops/sparse_attention.hpp>
#include <cotangent/nn/attention/headed.hpp>

namespace cotangent::nn {

struct SparseAttentionOptions {
  SparsePattern pattern = SparsePattern::local;
  std::optional<SparsePattern> odd_heads = {};  ///< another pattern for the heads 1, 3, ...
  int64_t window = 64;                          ///< the numbers of both patterns, as in SparseOptions
  int64_t stride = 64;
  int64_t summary = 8;
  bool causal = false;
  bool bias = true;
  AnyPosition positions = {};  ///< of queries and keys
  Dtype dtype = default_dtype();
};

/// The state of SparseAttention: of the heads of each pattern.
struct SparseStates {
  std::vector<SparseState> heads;
};

/// sparse_attention in each head. By default a sliding window: with causal = true its cache rolls, and holds `window`
/// keys. Strided heads are {.pattern = local, .odd_heads = atrous}, or merged {.pattern = combined}; fixed heads
/// {.pattern = blocks, .odd_heads = summary}, or merged {.pattern = fixed}.
/// Child et al., arXiv:1904.10509; Beltagy et al., arXiv:2004.05150.
struct SparseAttention : HeadedAttention {
  SparseAttention(int64_t width, int64_t heads, const SparseAttentionOptions& options = {});
  std::vector<SparseOptions> patterns;  ///< of the heads in turns
  COTANGENT_MEMBERS(in_proj_weight, in_proj_bias, out_proj, positions)

 protected:
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                StreamState* state) override;
};

struct LongformerOptions {
  int64_t window = 512;                  ///< w: |i - j| <= w / 2, or causal 0 <= i - j < w
  std::vector<int64_t> dilations = {1};  ///< of the heads in turns: keys of a window are so far apart
  std::vector<int64_t> globals = {};     ///< positions of the global tokens, in order
  bool causal = false;
  bool bias = true;
  AnyPosition positions = {};  ///< of queries and keys
  Dtype dtype = default_dtype();
};

/// The state of Longformer: the windows of each kind of heads with the globals that they see, and the keys of all
/// tokens for the global queries that are still to come.
struct LongformerState {
  std::vector<SparseState> heads;
  KeyValueCache global;
};

/// A sliding window, and global tokens that all tokens see, in one softmax with the window, and that see all tokens by
/// projections of their own.
///   global_proj_weight (3d, d) and global_proj_bias: as in_proj_weight, of which they are copies at the start;
///   undefined without globals
/// A causal stream keeps w tokens, the globals, and up to the last of these also the keys of their own projection: what
/// it keeps does not grow. L layers see L w / 2 tokens to a side (causal L w). Errors: a ValueError for a window or
/// dilation below 1, dilations whose number does not divide the heads, globals that do not increase from 0 on, a memory
/// or a mask. Beltagy et al., arXiv:2004.05150.
struct Longformer : HeadedAttention {
  Longformer(int64_t width, int64_t heads, const LongformerOptions& options = {});
  Parameter global_proj_weight, global_proj_bias;
  std::vector<SparseOptions> patterns;  ///< of the heads in turns
  COTANGENT_MEMBERS(in_proj_weight, in_proj_bias, global_proj_weight, global_proj_bias, out_proj, positions)
  std::string settings() const override;

 protected:
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                StreamState* state) override;

 private:
  /// y (B, H, T, dh) with the rows of the global tokens among x in place of those of the window.
  Tensor with_globals(const Tensor& y, const Tensor& x, const Tensor& key_mask, StreamState* state);
};

struct SinkAttentionOptions {
  int64_t sinks = 4;      ///< s: first tokens that all see
  int64_t window = 1024;  ///< w: the token and those before it
  bool bias = true;
  AnyPosition positions = Rotary();  ///< of queries and keys
  Dtype dtype = default_dtype();
};

/// Attention of StreamingLLM, which goes on for ever in a cache of s + w tokens: a token sees the last w tokens, its
/// own among them, and the first s, on which trained softmax attention leaves the weight that it has no use for. Always
/// causal. Positions are those in the cache: from the token s + w - 1 on a query stands at s + w - 1, as far from the
/// sinks as they ever get, and at its distance from the others.
/// The state is a SparseState; where there are positions it holds keys of twice the width, for near and far. Errors: a
/// ValueError for a window below 1 or sinks below 0, positions that add to scores, a memory or a mask. Xiao et al.,
/// arXiv:2309.17453.
struct SinkAttention : HeadedAttention {
  SinkAttention(int64_t width, int64_t heads, const SinkAttentionOptions& options = {});
  SparseOptions pattern;
  COTANGENT_MEMBERS(in_proj_weight, in_proj_bias, out_proj, positions)
  std::string settings() const override;

 protected:
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                StreamState* state) override;
};

/// What scores become in DiagAttention.
enum class DiagWeights : uint8_t {
  softmax,  ///< TransNormer T2
  relu      ///< max(s, 0) without a denominator, and unit_rms over the joined heads: TransNormer T1
};

struct DiagAttentionOptions {
  int64_t block = 64;  ///< w
  DiagWeights weights = DiagWeights::softmax;
  bool causal = false;
  bool bias = true;
  AnyPosition positions = {};
  Dtype dtype = default_dtype();
};

/// DiagAttention of TransNormer: full attention inside of blocks of w positions that do not meet, at a cost of T w d.
/// The state holds the block that is not full yet. A ValueError for a block below 1. Qin et al., arXiv:2210.10340.
struct DiagAttention : HeadedAttention {
  DiagAttention(int64_t width, int64_t heads, const DiagAttentionOptions& options = {});
  int64_t block;
  DiagWeights weights;
  COTANGENT_MEMBERS(in_proj_weight, in_proj_bias, out_proj, positions)

 protected:
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                StreamState* state) override;
  Tensor joined(const Tensor& y) const override { return weights == DiagWeights::relu ? unit_rms(y) : y; }
};

}  // namespace cotangent::nn
