#pragma once
// RWKV-7, whose state is corrected by a generalised delta rule.
#include <cotangent/autograd/ops/delta_rule.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/norm.hpp>
#include <cotangent/nn/sequence/sequence.hpp>

namespace cotangent::nn {

struct Rwkv7Options {
  int64_t layer = 0;       ///< the place of the block in the model, from 0 on: what it starts with depends on it
  int64_t layers = 1;      ///< of the model
  int64_t decay_rank = 0;  ///< of the maps that decays come from: 0 stands for 1.8 sqrt(d), in multiples of 32
  int64_t rate_rank = 0;   ///< the same of the rates of learning
  int64_t gate_rank = 0;   ///< of the gate's: 0 stands for 0.6 d^0.8, in multiples of 32
  Dtype dtype = default_dtype();
};

/// What time mixing remembers: the last token (B, 1, d), and the state of each head (B, H, d / H, d / H), float32 in
/// low precision.
struct Rwkv7State {
  Tensor last, kv;
};

/// Time mixing of RWKV-7, over mixtures of each token and the one before it, x'.
///
///     x_c = x + mu_c (x' - x),  c = r, w, k, v, a, g;   r = x_r Wr,  k' = x_k Wk,  v = x_v Wv
///     log w = -e^(-1/2) sigmoid(w0 + tanh(x_w W1) W2),   a = sigmoid(a0 + x_a A1 A2),   g = sigmoid(x_g G1) G2
///     u = unit(k' * k_k) in each head,   k = k' * (1 + (a - 1) * k_a)
///     S_t = diag(w_t) S_{t-1} - (u_t * a_t) (u_t^T S_{t-1}) + k_t v_t^T,   o_t = S_t^T r_t
///     y = (g * (norm(o) + (sum of r * k * r_k in each head) v)) Wo
///
///   x_r, x_w, x_k, x_v, x_a, x_g, k_k and k_a (d), r_k (H, d / H), w0 and a0 (d), w1, a1 and g1 (d, rank), w2, a2 and
///   g2 (rank, d); receptance, key, value and output without biases; norm: GroupNorm of the heads, with eps 64e-5
/// unit(u) is u / sqrt(|u|^2 + 1e-12). The first maps of low rank, r_k and output start at 0, the second ones
/// orthogonal with gain 0.1, decays from slow to fast over the channels, and the others as in the authors' code. The
/// residual of values from the first layer of a model, which is no part of a layer, is left out. State: Rwkv7State.
/// Padding of a key_mask leaves the state as it is, and counts as 0 for the token after it; its places count. A
/// ValueError unless the heads divide the width, and for ranks below 0. Peng et al., arXiv:2503.14456.
struct Rwkv7TimeMix : SequenceLayer {
  Rwkv7TimeMix(int64_t width, int64_t heads, const Rwkv7Options& options = {});
  Parameter x_r, x_w, x_k, x_v, x_a, x_g, w0, w1, w2, a0, a1, a2, g1, g2, k_k, k_a, r_k;
  Linear receptance, key, value, output;
  GroupNorm norm;
  int64_t heads;
  COTANGENT_MEMBERS(x_r, x_w, x_k, x_v, x_a, x_g, w0, w1, w2, a0, a1, a2, g1, g2, k_k, k_a, r_k, receptance, key, value,
                    output, norm)
  std::string settings() const override;

 protected:
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
};

}  // namespace cotangent::nn
