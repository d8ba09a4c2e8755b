#pragma once
#include <optional>

#include <cotangent/autograd/ops/rope.hpp>
#include <cotangent/nn/attention/attention.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/norm.hpp>

namespace cotangent::nn {

struct LatentAttentionOptions {
  int64_t kv_rank = 512;    ///< r: numbers that stand for the keys and values of a token
  int64_t q_rank = 0;       ///< the same of its queries; 0: they are a linear map of the token
  int64_t head_width = 0;   ///< dh, of queries, keys and values without their rotary part: 0 stands for d / H
  int64_t rope_width = 64;  ///< dr: of the rotary part of queries, and of the one rotary key
  RopeOptions rope = {};
  bool causal = false;
  bool bias = false;
  Dtype dtype = default_dtype();
};

/// Multi-head latent attention of DeepSeek-V2: keys and values of all heads are linear maps of one latent vector a
/// token, which is all that a cache must hold, besides a rotary key that the heads share, since a rotation could not be
/// moved into the queries. With n = RMSNorm:
///
///     c = n(x Wc), k^r = rope(x Wk);   [k_h, v_h] = c Wb_h;   [q_h, q^r_h] = n(x Wa) Wq_h, q^r_h turned by rope
///     o_h = softmax((q_h k_h^T + q^r_h k^r^T) / sqrt(dh + dr)) v_h;   y = [o_h]_h Wo
///
///   kv_a_proj_with_mqa (r + dr, d): Wc above Wk;   kv_a_layernorm (r);   kv_b_proj (H (dh + dh), r): of each head the
///   rows of k above those of v;   q_a_proj (q_rank, d), q_a_layernorm and q_b_proj (H (dh + dr), q_rank), or q_proj (H
///   (dh + dr), d);   o_proj (d, H dh)
/// In a stream the state is a KeyValueCache whose values are the latents (B, 1, T, r) and whose keys are the rotary
/// ones (B, 1, T, dr): T (r + dr) numbers where multi-head attention keeps 2 T H dh. Then Wb is absorbed: q_h times its
/// rows of k meets the latents themselves, and what is summed are latents, which the rows of v turn into values once.
/// Errors: a ValueError for sizes below 1, a rope_width that is odd, heads that do not divide d where head_width is 0,
/// a memory. DeepSeek-AI, arXiv:2405.04434.
struct LatentAttention : Attention {
  LatentAttention(int64_t width, int64_t heads, const LatentAttentionOptions& options = {});
  int64_t heads, kv_rank, head_width, rope_width;
  RopeOptions rope;
  std::optional<Linear> q_proj, q_a_proj;
  std::optional<RMSNorm> q_a_layernorm;
  std::optional<Linear> q_b_proj;
  Linear kv_a_proj_with_mqa;
  RMSNorm kv_a_layernorm;
  Linear kv_b_proj, o_proj;
  COTANGENT_MEMBERS(q_proj, q_a_proj, q_a_layernorm, q_b_proj, kv_a_proj_with_mqa, kv_a_layernorm, kv_b_proj, o_proj)
  std::string settings() const override;

 protected:
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
};

}  // namespace cotangent::nn
