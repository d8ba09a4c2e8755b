#pragma once
// Recurrent layers whose gates look at the token alone, and not at the state: so that all states come from one scan.
// Feng et al., "Were RNNs all we needed?", arXiv:2410.01201.
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/sequence/sequence.hpp>

namespace cotangent::nn {

struct MinimalOptions {
  int64_t hidden = 0;    ///< units: 0 stands for d
  bool positive = true;  ///< candidates go through g(x) = x + 1/2 above 0, sigmoid(x) below, as in the paper's
                         ///< log-space form; else they are taken as they are
  bool bias = true;
  Dtype dtype = default_dtype();
};

/// What both layers remember: the state (B, hidden), in float32 at least.
struct MinimalState {
  Tensor h;
};

/// What both layers have in common: h_t = a_t h_(t-1) + b_t with a, b >= 0 of the token, from h_(-1) = 0 on, by
/// linear_scan. A product of factors below 1 cannot overflow, so that the paper's logarithms are not needed.
///   in_proj.weight (gates * hidden, d): the gates one below the other, then the candidates; out_proj_weight (d,
///   hidden) if the hidden units are not d, else undefined: the result is h
/// They start as those of Linear do. A key_mask leaves the state as it is at the padding. State: MinimalState. A
/// ValueError for a size below 1.
struct MinimalRecurrence : SequenceLayer {
  Linear in_proj;
  Parameter out_proj_weight;
  int64_t hidden;
  bool positive;
  COTANGENT_MEMBERS(in_proj, out_proj_weight)
  std::string settings() const override;

 protected:
  /// How much of the state stays, and of the candidates goes in, each (B, T, hidden).
  struct Shares {
    Tensor kept, taken;
  };
  MinimalRecurrence(const char* name, int64_t gates, int64_t width, const MinimalOptions& options);
  virtual Shares shares(const Tensors& gates) const = 0;
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
};

/// The minimal gated recurrent unit:   z = sigmoid(x Wz), c = g(x Wc);   h_t = (1 - z_t) h_(t-1) + z_t c_t
struct MinGRU : MinimalRecurrence {
  explicit MinGRU(int64_t width, const MinimalOptions& options = {});
  COTANGENT_CLONE

 protected:
  Shares shares(const Tensors& gates) const override;
};

/// The minimal LSTM, whose gates share out one:   f = sigmoid(x Wf), i = sigmoid(x Wi), c = g(x Wc)
///   h_t = f_t / (f_t + i_t) h_(t-1) + i_t / (f_t + i_t) c_t
struct MinLSTM : MinimalRecurrence {
  explicit MinLSTM(int64_t width, const MinimalOptions& options = {});
  COTANGENT_CLONE

 protected:
  Shares shares(const Tensors& gates) const override;
};

}  // namespace cotangent::nn
