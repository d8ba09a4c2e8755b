#pragma once
// What the attention layers with heads have in common, apart from how the heads attend.
#include <cotangent/autograd/ops/linear_attention.hpp>
#include <cotangent/nn/attention/attention.hpp>
#include <cotangent/nn/attention/position.hpp>
#include <cotangent/nn/linear.hpp>

namespace cotangent::nn {

/// H heads of width dh = d / H, each with queries, keys and values by linear maps of x (keys and values: of the memory,
/// where there is one), whose results are joined and mapped again.
///   in_proj_weight (3d, d): Wq, Wk and Wv below one another, in_proj_bias (3d), out_proj.weight (d, d), out_proj.bias:
///   names, layouts and starting values are those of MultiHeadAttention
struct HeadedAttention : Attention {
  Parameter in_proj_weight, in_proj_bias;
  Linear out_proj;
  AnyPosition positions;
  int64_t heads;
  bool has(SequenceForm form) const override { return form == SequenceForm::parallel || causal(); }
  std::string settings() const override;

 protected:
  /// What a call says of the heads' queries, keys and values.
  struct HeadsCall {
    LinearForm form = LinearForm::automatic;
    int64_t chunk = 64;
    int64_t start = 0;         ///< the position of the first query; keys of a call without a state start there, too
    Tensor key_mask = {};      ///< (B, Tk)
    Tensors* state = nullptr;  ///< of a stream
  };
  /// `name` is the layer's in errors: a ValueError unless H divides d.
  HeadedAttention(const char* name, int64_t width, int64_t heads, bool causal, bool bias, const AnyPosition& positions,
                  Dtype dtype);

  /// q (B, H, Tq, dh), k and v (B, H, Tk, dh) -> (B, H, Tq, dh)
  virtual Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const HeadsCall& call) = 0;
  /// What becomes of the joined heads (B, T, d) before out_proj.
  virtual Tensor joined(const Tensor& y) const { return y; }

  Tensor parallel(const Tensor& x, const SequenceCall& call) override;
  Tensor advance(const Tensor& x, StreamState& state, const Tensor& key_mask) override;
  /// The whole layer, where an undefined memory means x.
  Tensor run(const Tensor& x, const Tensor& memory, const HeadsCall& call);

  int64_t head_width() const { return width() / heads; }
  /// q or k with its positions.
  Tensor placed_query(const Tensor& q, int64_t start) const { return positions ? positions->query(q, start) : q; }
  Tensor placed_key(const Tensor& k, int64_t start) const { return positions ? positions->key(k, start) : k; }
};

/// x / (|x| / sqrt(d)) over the last dimension d: unit mean square, without parameters. 0 stays 0.
Tensor unit_rms(const Tensor& x);

}  // namespace cotangent::nn
