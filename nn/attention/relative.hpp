#pragma once
// Positions by tables of vectors for distances: options of MultiHeadAttention, as in {.positions = nn::Shaw(64)}. They
// work through autograd/ops/relative_attention.hpp, in memory linear in the length.
#include <optional>

#include <cotangent/nn/attention/multihead.hpp>

namespace cotangent::nn {

struct ShawOptions {
  int64_t reach = 16;  ///< K: distances beyond it share a row
  bool keys = true;    ///< with a table that is added to the keys
  bool values = true;  ///< and one that is added to the values
  Dtype dtype = default_dtype();
};

/// Vectors that are added to keys and values by the distance r = clip(i - j, -K, K), alike in all heads:
///   e_ij = q_i . (k_j + a_r) / sqrt(dh),  z_i = sum_j p_ij (v_j + c_r)
///   key_rows a and value_rows c (2K + 1, dh): row r + K. Glorot's uniform distribution at the start.
/// A ValueError for a reach below 0, or heads of another width. Shaw, Uszkoreit and Vaswani, arXiv:1803.02155.
struct Shaw : Position {
  explicit Shaw(int64_t head_width, const ShawOptions& options = {});
  int64_t reach;
  Parameter key_rows, value_rows;
  COTANGENT_MEMBERS(key_rows, value_rows)
  DistanceRows rows(const Tensor& distance, const HeadSizes& heads) const override;
  std::string settings() const override;

 private:
  int64_t head_width_;
};

struct TransformerXLOptions {
  double base = 10'000;  ///< of the sinusoids
  double std = 0.02;     ///< of u, v and W_R at the start
  Dtype dtype = default_dtype();
};

/// The positions of Transformer-XL and XLNet: scores ((q_i + u) . k_j + (q_i + v) . (W_R r_{i-j})) / sqrt(dh), where
/// r_m is the row m of sinusoidal_positions, of the whole width d = H dh, also for m below 0.
///   content_bias u and position_bias v (H, dh); proj.weight W_R (d, d)
/// SegmentAttention has the memory that goes with them. A ValueError for an attention of other heads. Dai et al.,
/// arXiv:1901.02860; Yang et al., arXiv:1906.08237.
struct TransformerXL : Position {
  TransformerXL(int64_t width, int64_t heads, const TransformerXLOptions& options = {});
  double base;
  Parameter content_bias, position_bias;
  Linear proj;
  COTANGENT_MEMBERS(content_bias, position_bias, proj)
  Tensor query(const Tensor& q, int64_t start) const override;
  DistanceRows rows(const Tensor& distance, const HeadSizes& heads) const override;
  std::string settings() const override;
};

struct DisentangledOptions {
  int64_t reach = 256;           ///< k
  bool content_position = true;  ///< the term Qc_i . Kr
  bool position_content = true;  ///< the term Kc_j . Qr
  bool same_index = false;       ///< the second by d(i, j), as the authors' program has it, not by d(j, i)
  double std = 0.02;             ///< of the table at the start
  Dtype dtype = default_dtype();
};

/// DeBERTa's scores (Qc_i . Kc_j + Qc_i . Kr[d(i, j)] + Kc_j . Qr[d(j, i)]) / sqrt(n dh), d(i, j) = clip(i - j + k, 0,
/// 2k - 1), where n is 1 and one for each term by position; Qr and Kr are linear maps of one table.
///   weight (2k, d); query_proj.weight of the second term and key_proj.weight of the first (d, d)
/// A ValueError for a reach below 1, no term, or an attention of other heads. He et al., arXiv:2006.03654.
struct Disentangled : Position {
  Disentangled(int64_t width, int64_t heads, const DisentangledOptions& options = {});
  DisentangledOptions options;
  int64_t heads;
  Parameter weight;
  std::optional<Linear> query_proj, key_proj;
  COTANGENT_MEMBERS(weight, query_proj, key_proj)
  Tensor query(const Tensor& q, int64_t start) const override;
  DistanceRows rows(const Tensor& distance, const HeadSizes& heads) const override;
  std::string settings() const override;

 private:
  double factor() const;  // what the number of terms makes of 1 / sqrt(dh)
};

/// The hidden states (B, m, d) of up to `memory` tokens before, and which of them are no padding.
struct SegmentMemory {
  Tensor hidden, key_mask;
};

/// Transformer-XL's attention: causal, and a token sees itself and the `memory` tokens before it, also those of earlier
/// segments. A segment is a step of a stream, whose state keeps hidden states without their history: keys and values of
/// the memory are computed anew, so that gradients reach the projections through them, but not the segments before.
/// Any positions that depend on the distance go with it; the window makes all ways to cut a sequence agree.
/// A ValueError for a memory below 1. Dai et al., arXiv:1901.02860 (with the same length of memory for each token).
struct SegmentAttention : MultiHeadAttention {
  SegmentAttention(int64_t width, int64_t heads, int64_t memory, const MultiHeadAttentionOptions& options = {});
  int64_t memory;
  COTANGENT_MEMBERS(in_proj_weight, in_proj_bias, out_proj, positions)
  std::string settings() const override;
  bool has_trees() const override { return false; }

 protected:
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
};

}  // namespace cotangent::nn
