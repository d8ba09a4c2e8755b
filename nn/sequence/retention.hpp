#pragma once
// Linear attention that forgets, with decays of its own (RetNet) or learned from the tokens (GLA). Both are
// gated_linear_attention of autograd/ops/gated_linear_attention.hpp between projections, and have all three forms.
#include <cotangent/autograd/ops/gated_linear_attention.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/norm.hpp>
#include <cotangent/nn/sequence/sequence.hpp>

namespace cotangent::nn {

/// What these layers remember of each head: the sum of the decayed k v^T, (B, H, m, n), undefined before the first
/// token. It is float32 in low precision.
struct MatrixState {
  Tensor kv;
};

struct RetentionOptions {
  int64_t value_width = 0;  ///< of all heads: 0 stands for 2 d
  double eps = 1e-6;        ///< of the norm
  Dtype dtype = default_dtype();
};

/// Multi-scale retention, with H heads of width dk = d / H and dv = value_width / H:
///
///     q, k: rotated;   o_t = sum over s <= t of g^(t-s) (q_t . k_s / sqrt(dk)) v_s;   g_h = 1 - 2^(-5-h)
///     y = (silu(x Wg) * norm(o)) Wo, where norm is the root mean square norm of each head, without a weight
///
/// The norm takes out any positive factor of a row, so that the scores need no normalizer. Pair i of a query is turned
/// by position * 10000^(-i / (dk/2 - 1)). Without biases; weights start by Glorot with gains 2^-2.5, and 2^-1 for Wo.
/// State: MatrixState. A key_mask leaves the padding's k v^T out; its places count, as those of positions do. A
/// ValueError unless H divides both widths and dk is even. Sun et al., arXiv:2307.08621.
struct Retention : SequenceLayer {
  Retention(int64_t width, int64_t heads, const RetentionOptions& options = {});
  Linear q_proj, k_proj, v_proj, g_proj, out_proj;
  int64_t heads;
  double eps;
  COTANGENT_MEMBERS(q_proj, k_proj, v_proj, g_proj, out_proj)
  std::string settings() const override;
  /// The logarithms of g_h: (H, 1, 1).
  Tensor log_decay(Dtype dtype) const;

 protected:
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
};

struct GatedLinearAttentionOptions {
  int64_t key_width = 0;    ///< of all heads: 0 stands for d / 2
  int64_t value_width = 0;  ///< of all heads: 0 stands for d
  int64_t gate_rank = 16;   ///< of the map that the decays come from
  double temperature = 16;  ///< by which their logarithms are divided
  double eps = 1e-5;        ///< of the norm
  Dtype dtype = default_dtype();
};

/// Gated linear attention, whose state forgets by channel of the keys as the token says:
///
///     a_t = sigmoid(x_t W1 W2 + b)^(1 / temperature);   S_t = diag(a_t) S_{t-1} + k_t v_t^T;   o_t = S_t^T q_t /
///     sqrt(dk) y = (silu(x Wg) * norm(o)) Wo, where norm is the root mean square norm of each head, with one weight
///     (dv)
///
/// Weights start by Glorot with gain 2^-2.5. State: MatrixState. A key_mask leaves the padding's k v^T and decays out.
/// A ValueError unless H divides both widths, or for sizes below 1. Yang et al., arXiv:2312.06635.
struct GatedLinearAttention : SequenceLayer {
  GatedLinearAttention(int64_t width, int64_t heads, const GatedLinearAttentionOptions& options = {});
  Linear q_proj, k_proj, v_proj, g_proj, gate_down, gate_up, out_proj;
  RMSNorm norm;
  int64_t heads;
  double temperature;
  COTANGENT_MEMBERS(q_proj, k_proj, v_proj, g_proj, gate_down, gate_up, norm, out_proj)
  std::string settings() const override;

 protected:
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
};

}  // namespace cotangent::nn
