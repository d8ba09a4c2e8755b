#pragma once
// Linear attention that corrects itself: delta_rule of autograd/ops/delta_rule.hpp between projections. All forms are
// one scan, step by step.
#include <cotangent/autograd/ops/delta_rule.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/norm.hpp>
#include <cotangent/nn/sequence/sequence.hpp>
#include <cotangent/nn/sequence/shift.hpp>

namespace cotangent::nn {

/// What these layers remember: the state of each head (B, H, dk, dv), float32 in low precision, and the last tokens of
/// the three filters. Undefined before the first token.
struct DeltaNetState {
  Tensor kv, q, k, v;
};

struct DeltaNetOptions {
  int64_t key_width = 0;    ///< of all heads: 0 stands for d
  int64_t value_width = 0;  ///< of all heads: 0 stands for d
  int64_t filter = 4;       ///< tokens that the filters of q, k and v see
  double beta = 1;          ///< the largest; up to 2, a state may be reflected, and so count by parity
  double eps = 1e-5;        ///< of the norm
  Dtype dtype = default_dtype();
};

/// What both layers have in common. With heads of width dk and dv, unit(u) = u / sqrt(|u|^2 + 1e-6), and causal filters
/// that have one row of weights a channel (CausalConv):
///
///     q = unit(silu(filter(x Wq))) / sqrt(dk),  k = unit(silu(filter(x Wk))),  v = silu(filter(x Wv))
///     b_t = beta sigmoid(x_t Wb),  a number for each head;   o = delta_rule(q, k, v, b)
///
///   q_proj and k_proj (key_width, d), v_proj (value_width, d), b_proj (H, d) and out_proj (d, value_width), without
///   biases, start as Linear does; norm.weight (dv)
struct DeltaLayer : SequenceLayer {
  Linear q_proj, k_proj, v_proj, b_proj, out_proj;
  CausalConv q_filter, k_filter, v_filter;
  RMSNorm norm;
  int64_t heads;
  double beta;
  std::string settings() const override;

 protected:
  /// `name` is the layer's in errors: a ValueError unless H divides both widths, for a filter below 1 and a beta that
  /// is not between 0 and 2.
  DeltaLayer(const char* name, int64_t width, int64_t heads, const DeltaNetOptions& options);
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
  /// Of each head (B, H, T); undefined for no decay.
  virtual Tensor log_decay(const Tensor&) { return {}; }
  /// What becomes of the joined and normalized heads before out_proj.
  virtual Tensor gated(const Tensor& y, const Tensor&) { return y; }
};

/// DeltaNet: y = norm(o) Wo, with the root mean square norm of each head. Yang et al., arXiv:2406.06484.
/// State: DeltaNetState. A key_mask leaves the padding out of the state, and it counts as 0 for the filters of the
/// tokens after it; its places count.
struct DeltaNet : DeltaLayer {
  DeltaNet(int64_t width, int64_t heads, const DeltaNetOptions& options = {});
  COTANGENT_MEMBERS(q_proj, k_proj, v_proj, b_proj, q_filter, k_filter, v_filter, norm, out_proj)
};

/// Gated DeltaNet, whose state decays, too, and whose outputs have a gate:
///
///     log_decay_t = -exp(a_log) softplus(x_t Wa + dt_bias);   y = (silu(x Wg) * norm(o)) Wo
///
///   a_proj (H, d) and g_proj (value_width, d) without biases, a_log and dt_bias (H)
/// exp(a_log) starts uniform in [1, 16], and softplus(dt_bias) log-uniform in [0.001, 0.1]. State and key_mask as of
/// DeltaNet. Yang, Kautz and Hatamizadeh, arXiv:2412.06464.
struct GatedDeltaNet : DeltaLayer {
  GatedDeltaNet(int64_t width, int64_t heads, const DeltaNetOptions& options = {});
  Linear a_proj, g_proj;
  Parameter a_log, dt_bias;
  COTANGENT_MEMBERS(q_proj, k_proj, v_proj, b_proj, a_proj, g_proj, q_filter, k_filter, v_filter, a_log, dt_bias, norm,
                    out_proj)

 protected:
  Tensor log_decay(const Tensor& x) override;
  Tensor gated(const Tensor& y, const Tensor& x) override;
};

}  // namespace cotangent::nn
