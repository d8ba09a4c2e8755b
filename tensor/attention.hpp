#pragma once
// Attention without history, tile by tile: memory grows with the length, not with its square.
//   Dao et al., "FlashAttention" (arXiv:2205.14135); Milakov and Gimelshein, "Online normalizer calculation for
//   softmax" (arXiv:1805.02867).
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

struct AttentionOptions {
  double scale;
  bool causal;  ///< query i sees the keys j <= i + (Tk - Tq)
};

/// Rows by distance that queries, keys and values meet; undefined for none. That of query i and key j is row
/// clip(i - j + zero, 0, R - 1).
struct DistanceTables {
  Tensor for_queries = {};  ///< (B, H, R, d): q_i . row is added to q_i . k_j, before the scale
  Tensor for_keys = {};     ///< (B, H, R, d): k_j . row is added too
  Tensor for_values = {};   ///< (B, H, R, dv): row is added to v_j
  int64_t zero = 0;         ///< the row of distance 0, where clip leaves it
};

struct AttentionResult {
  Tensor output;      ///< (B, H, Tq, dv)
  Tensor statistics;  ///< (2, B, H, Tq): of each row the maximum m of its scores s, and 1 / sum(exp(s - m)), or zeros
};

/// q (B, H, Tq, d), k (B, G, Tk, d), v (B, G, Tk, dv), float32 or float64; query head h reads key head h * G / H. The
/// mask is undefined, bool (true: may be seen) or of q's dtype (added to the scores), and broadcasts to (B, H, Tq, Tk);
/// a distance_bias (H, Tq + Tk - 1) goes without the latter: its element [h, i - j + Tk - 1] is added to the score of
/// query i and key j. What a query may not see does not matter to it, not even as NaN.
AttentionResult attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                          const Tensor& distance_bias, AttentionOptions options, const DistanceTables& tables = {});

struct AttentionGradients {
  Tensor q, k, v;
  Tensor distance_bias;   ///< undefined unless it is wanted
  DistanceTables tables;  ///< undefined where there were none
};
/// The gradients for g = dL/d(output). The probabilities are computed again from the statistics.
AttentionGradients attention_backward(const Tensor& g, const Tensor& q, const Tensor& k, const Tensor& v,
                                      const Tensor& mask, const Tensor& distance_bias, const Tensor& output,
                                      const Tensor& statistics, AttentionOptions options, bool wants_bias,
                                      const DistanceTables& tables = {});

}  // namespace cotangent::raw
