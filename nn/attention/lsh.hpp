#pragma once
// The attention of the Reformer; nn/reversible.hpp has its reversible blocks.
#include <cotangent/autograd/ops/lsh_attention.hpp>
#include <cotangent/nn/attention/attention.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/tensor/random.hpp>

namespace cotangent::nn {

struct LshAttentionOptions {
  int64_t rounds = 4;        ///< of hashing: more find more of the keys that matter
  int64_t buckets = 32;      ///< an even number; about T / chunk is usual
  int64_t chunk = 64;        ///< tokens that are sorted next to one another
  int64_t redraw_every = 1;  ///< calls in training between new random rotations; 0 for never
  bool causal = false;
  bool bias = true;
  AnyPosition positions = {};  ///< of queries and keys
  Dtype dtype = default_dtype();
};

/// lsh_attention in each head: queries are keys, and look for what hashes as they do. In time and memory linear in T.
///   query_key_proj, value_proj, out_proj: linear maps (d, d);   rotations (rounds, dh, buckets / 2), saved with the
///   layer; calls, how many there were since they were drawn
/// It does not stream: which of the earlier keys a query sees depends on how all tokens are sorted. Errors: a
/// ValueError for sizes below 1, an odd number of buckets, positions that add to scores, a memory or a mask. Kitaev et
/// al., arXiv:2001.04451.
struct LshAttention : Attention {
  LshAttention(int64_t width, int64_t heads, const LshAttentionOptions& options = {});
  Linear query_key_proj, value_proj, out_proj;
  Buffer rotations, calls;
  int64_t heads, chunk, redraw_every;
  /// New rotations.
  void redraw(Generator& generator = default_generator());
  COTANGENT_MEMBERS(query_key_proj, value_proj, rotations, calls, positions, out_proj)
  bool has(SequenceForm form) const override { return form == SequenceForm::parallel; }
  std::string settings() const override;

 protected:
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
};

}  // namespace cotangent::nn
