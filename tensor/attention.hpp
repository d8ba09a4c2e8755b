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

struct AttentionResult {
  Tensor output;      ///< (B, H, Tq, dv)
  Tensor statistics;  ///< (2, B, H, Tq): of each row the maximum m of its scores s, and 1 / sum(exp(s - m)), or zeros
};

/// q (B, H, Tq, d), k (B, G, Tk, d), v (B, G, Tk, dv), float32 or float64; query head h reads key head h * G / H. The
/// mask is undefined, bool (true: may be seen) or of q's dtype (added to the scores), and broadcasts to (B, H, Tq, Tk);
/// a distance_bias (H, Tq + Tk - 1) goes without the latter: its element [h, i - j + Tk - 1] is added to the score of
/// query i and key j. What a query may not see does not matter to it, not even as NaN.
AttentionResult attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                          const Tensor& distance_bias, AttentionOptions options);

struct AttentionGradients {
  Tensor q, k, v;
  Tensor distance_bias;  ///< undefined unless it is wanted
};
/// The gradients for g = dL/d(output). The probabilities are computed again from the statistics.
AttentionGradients attention_backward(const Tensor& g, const Tensor& q, const Tensor& k, const Tensor& v,
                                      const Tensor& mask, const Tensor& distance_bias, const Tensor& output,
                                      const Tensor& statistics, AttentionOptions options, bool wants_bias);

}  // namespace cotangent::raw
