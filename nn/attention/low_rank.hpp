#pragma once
// Attention to a few mixtures of all tokens: time and memory linear in the length. Neither layer has a causal form,
// since each mixture holds tokens of the whole sequence; a ValueError says so where one is asked for.
#include <cotangent/autograd/ops/low_rank_attention.hpp>
#include <cotangent/nn/attention/headed.hpp>

namespace cotangent::nn {

/// Which projections of Linformer are one.
enum class LinformerSharing : uint8_t {
  none,      ///< E and F for each head
  heads,     ///< E and F for all heads
  key_value  ///< E = F for all heads
};

struct LinformerOptions {
  int64_t length = 512;  ///< N: the most keys
  int64_t rank = 256;    ///< r: mixtures of the keys
  LinformerSharing sharing = LinformerSharing::key_value;
  bool causal = false;  ///< a ValueError where it is true
  bool bias = true;
  AnyPosition positions = {};  ///< of queries and keys
  Dtype dtype = default_dtype();
};

/// In each head softmax(q (E k)^T / sqrt(dh)) (F v), with learned mixtures E and F of the tokens. Of fewer than N keys
/// the first columns of E and F are taken; padding counts as 0.
///   key_projection E (H or 1, r, N), value_projection F the same, undefined where F = E;   normal at the start with
///   deviation 1/sqrt(N), which keeps that of the keys
/// Layers share E by `second.key_projection = first.key_projection`. Errors: a ValueError for a length or rank below 1,
/// and for more than N keys. Wang et al., arXiv:2006.04768.
struct Linformer : HeadedAttention {
  Linformer(int64_t width, int64_t heads, const LinformerOptions& options = {});
  Parameter key_projection, value_projection;
  COTANGENT_MEMBERS(in_proj_weight, in_proj_bias, key_projection, value_projection, out_proj, positions)
  std::string settings() const override;

 protected:
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                StreamState* state) override;
};

struct NystromAttentionOptions {
  int64_t landmarks = 64;
  int64_t iterations = 6;  ///< of the pseudo-inverse
  bool causal = false;     ///< a ValueError where it is true
  bool bias = true;
  AnyPosition positions = {};  ///< of queries and keys
  Dtype dtype = default_dtype();
};

/// nystrom_attention in each head, with the projections of multi-head attention under the same names. Xiong et al.,
/// arXiv:2102.03902.
struct NystromAttention : HeadedAttention {
  NystromAttention(int64_t width, int64_t heads, const NystromAttentionOptions& options = {});
  int64_t landmarks, iterations;
  COTANGENT_MEMBERS(in_proj_weight, in_proj_bias, out_proj, positions)
  std::string settings() const override;

 protected:
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                StreamState* state) override;
};

}  // namespace cotangent::nn
