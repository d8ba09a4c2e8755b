#pragma once
#include <cotangent/nn/attention/headed.hpp>
#include <cotangent/nn/attention/score_scale.hpp>

namespace cotangent::nn {

struct MultiHeadAttentionOptions {
  int64_t kv_heads = 0;        ///< G: heads of keys and values, a divisor of the heads; 0 stands for as many
  bool causal = false;         ///< a token sees itself and those before it
  bool bias = true;            ///< of the four projections
  double dropout = 0;          ///< in training, the probability of dropping a weight of the softmax
  AnyPosition positions = {};  ///< nn/attention/position.hpp
  ScoreScale scale = ScoreScale::inverse_sqrt;
  int64_t scale_length = 512;  ///< n of ScoreScale::gradient and cosine, n0 of log_length: the length in training
  Dtype dtype = default_dtype();
};

/// The softmax attention of transformers, with H heads of width dh = d / H:
///   q = x Wq^T + bq, k = m Wk^T + bk, v = m Wv^T + bv, m the memory or x;   y = [softmax(q_h k_g^T / sqrt(dh)) v_g]_h
///   Wo^T + bo, where head h reads the key head g = floor(h G / H)
/// G = H is multi-head attention, G = 1 multi-query, what lies between grouped-query attention. The state is a
/// KeyValueCache of 2 B G T dh numbers. Under ScoreScale::log_length the n of a row counts the keys that are no padding
/// and, if causal, do not come after the query. Vaswani et al., arXiv:1706.03762; Shazeer, arXiv:1911.02150; Ainslie et
/// al., arXiv:2305.13245.
struct MultiHeadAttention : HeadedAttention {
  MultiHeadAttention(int64_t width, int64_t heads, const MultiHeadAttentionOptions& options = {});
  double dropout;
  ScoreScale scale;
  int64_t scale_length;
  /// Keys and values (G, l, dh) that stand before all others and that every query sees; undefined for none. They are as
  /// cached ones, which positions no longer change; what depends on the distance takes them for the l tokens before the
  /// first. nn/peft/prefix.hpp learns them.
  Tensor prefix_keys, prefix_values;
  /// The same with fewer key heads, each the mean of those of its group: where to train on from. A ValueError unless
  /// `count` divides the key heads.
  MultiHeadAttention grouped(int64_t count) const;
  COTANGENT_MEMBERS(in_proj_weight, in_proj_bias, out_proj, positions)
  std::string settings() const override;
  /// Without a prefix, and without a scale or vectors that each row has of its own.
  bool has_trees() const override;

 protected:
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                StreamState* state) override;
  LayerState begin_cross(const Tensor& memory, const Tensor& key_mask) override;
  /// Keys as they enter the scores.
  Tensor key(const Tensor& k, int64_t start) const;
  /// Of queries at the positions start, start + 1, .. and keys of which `before` come before the first of them: y (B,
  /// H, Tq, dh). The key_mask is part of the mask already. A stream has `known` vectors by distance.
  Tensor weighed(const Tensor& q, const Tensor& keys, const Tensor& values, int64_t start, int64_t before,
                 const Tensor& mask, const Tensor& key_mask, KnownRows* known = nullptr) const;

 private:
  Tensor query(const Tensor& q, int64_t start) const;
  Tensor attend_tree(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& parents,
                     StreamState& state) const;
  /// What log_length multiplies the rows of queries with, which start at `start`: (.., Tq or 1, 1).
  Tensor row_scale(int64_t queries, int64_t keys, int64_t start, const Tensor& key_mask, Dtype dtype) const;

  double factor_;  // of all scores
};

}  // namespace cotangent::nn
