#pragma once
// What the attention layers with heads have in common, apart from how the heads attend.
#include <cotangent/nn/attention/attention.hpp>
#include <cotangent/nn/linear.hpp>

namespace cotangent::nn {

/// H heads of width dh = d / H, each with queries by a linear map of x. Keys and values, by linear maps of x or of the
/// memory, have G heads: G = H but for grouped keys. The heads' results are joined and mapped again.
///   in_proj_weight ((H + 2G) dh, d): Wq, Wk and Wv below one another, for G = H as in PyTorch, which also starts them
///   so: Glorot's uniform distribution over the whole matrix, biases at 0;   in_proj_bias, out_proj.weight (d, d),
///   out_proj.bias
struct HeadedAttention : Attention {
  Parameter in_proj_weight, in_proj_bias;
  Linear out_proj;
  int64_t heads, kv_heads;
  std::string settings() const override;

 protected:
  struct Parts {
    bool causal, bias;
    const AnyPosition& positions;
    Dtype dtype;
    bool has_scores = false;  ///< attend() forms the matrix of scores: it takes masks, and positions that add to it
    int64_t kv_heads = 0;     ///< 0 stands for as many as heads
  };
  /// `name` is the layer's in errors: a ValueError unless H divides d and G divides H.
  HeadedAttention(const char* name, int64_t width, int64_t heads, const Parts& parts);

  /// q (B, H, Tq, dh), k and v (B, G, Tk, dh) -> (B, H, Tq, dh). Queries start at the position first(state), and so do
  /// keys. In a stream to a memory, k and v are undefined: the state has them.
  virtual Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceCall& call,
                        StreamState* state) = 0;
  /// What becomes of the joined heads (B, T, d) before out_proj.
  virtual Tensor joined(const Tensor& y) const { return y; }

  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
  Tensor queries(const Tensor& x) const { return project(x, 0, heads); }
  /// Keys and values of x or a memory.
  Tensors keys_and_values(const Tensor& x) const;
  int64_t head_width() const { return width() / heads; }
  /// A linear map of x, by a member, in heads of width dh: (B, T, d) -> (B, rows of the weight / dh, T, dh).
  Tensor in_heads(const Tensor& x, const Tensor& weight, const Tensor& bias) const;

 private:
  /// `count` heads of x's projection by the rows of in_proj_weight from head `first` on: (B, T, d) -> (B, count, T,
  /// dh).
  Tensor project(const Tensor& x, int64_t first, int64_t count) const;
  /// (B, T, n dh) -> (B, n, T, dh)
  Tensor cut(const Tensor& y) const;

  bool has_scores_;
};

/// x / (|x| / sqrt(d)) over the last dimension d: unit mean square, without parameters. 0 stays 0.
Tensor unit_rms(const Tensor& x);

}  // namespace cotangent::nn
