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

/// The state of SparseAttention: of all heads, or of the even and the odd ones.
struct SparseStates {
  SparseState heads[2];
};

/// sparse_attention in each head. By default a sliding window: with causal = true its cache rolls, and holds `window`
/// keys. Strided heads are {.pattern = local, .odd_heads = atrous}, or merged {.pattern = combined}; fixed heads
/// {.pattern = blocks, .odd_heads = summary}, or merged {.pattern = fixed}.
/// Child et al., arXiv:1904.10509; Beltagy et al., arXiv:2004.05150.
struct SparseAttention : HeadedAttention {
  SparseAttention(int64_t width, int64_t heads, const SparseAttentionOptions& options = {});
  std::vector<SparseOptions> patterns;  ///< one for all heads, or those of even and odd heads
  COTANGENT_MEMBERS(in_proj_weight, in_proj_bias, out_proj, positions)

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
