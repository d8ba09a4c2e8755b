#pragma once
// The two layers of an RWKV-4 block: x + time_mix(norm(x)), then x + channel_mix(norm(x)). Models put a further
// LayerNorm behind the embedding.
#include <cotangent/autograd/ops/wkv.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/sequence/sequence.hpp>

namespace cotangent::nn {

struct RwkvOptions {
  int64_t layer = 0;   ///< the place of the block in the model, from 0 on: what it starts with depends on it
  int64_t layers = 1;  ///< of the model
  Dtype dtype = default_dtype();
};

/// What time mixing remembers: the last token (B, 1, d), and the means and weights of wkv (B, d).
struct RwkvState {
  Tensor last;
  WkvState wkv;
};
/// What channel mixing remembers: the last token (B, 1, d).
struct ShiftState {
  Tensor last;
};

/// Time mixing: wkv of autograd/ops/wkv.hpp over mixtures of each token and the one before it, x'.
///
///     x_a = mu_a x + (1 - mu_a) x',  a = k, v, r;   w = -exp(time_decay);   u = time_first
///     y = (sigmoid(x_r Wr) * wkv(x_k Wk, x_v Wv; w, u)) Wo
///
///   time_mix_k, time_mix_v, time_mix_r, time_decay and time_first (d); key, value, receptance and output without
///   biases
/// With r = layer / (layers - 1), 0 for a single layer, and channels c from 0: time_decay starts at -5 + 8 (c / (d -
/// 1))^(0.7 + 1.3 r), time_first at ln 0.3 + (0, 0.5, -0.5, ..), the mixtures at powers of c / d, key, receptance and
/// output at 0, and value orthogonal. State: RwkvState. Padding of a key_mask has no weight, and counts as 0 for the
/// token after it; its places count. Peng et al., arXiv:2305.13048.
struct RwkvTimeMix : SequenceLayer {
  explicit RwkvTimeMix(int64_t width, const RwkvOptions& options = {});
  Parameter time_mix_k, time_mix_v, time_mix_r, time_decay, time_first;
  Linear key, value, receptance, output;
  COTANGENT_MEMBERS(time_mix_k, time_mix_v, time_mix_r, time_decay, time_first, key, value, receptance, output)
  std::string settings() const override;

 protected:
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
};

struct RwkvChannelMixOptions {
  int64_t hidden = 0;  ///< 0 stands for 4 d
  int64_t layer = 0;
  int64_t layers = 1;
  Dtype dtype = default_dtype();
};

/// Channel mixing, the feed-forward network of RWKV-4:
///
///     y = sigmoid(x_r Wr) * (max(x_k Wk, 0)^2 Wv), with x_k and x_r as above
///
///   key (hidden, d), value (d, hidden) and receptance (d, d) without biases, of which the last two start at 0
/// State: ShiftState. Peng et al., arXiv:2305.13048.
struct RwkvChannelMix : SequenceLayer {
  explicit RwkvChannelMix(int64_t width, const RwkvChannelMixOptions& options = {});
  Parameter time_mix_k, time_mix_r;
  Linear key, value, receptance;
  COTANGENT_MEMBERS(time_mix_k, time_mix_r, key, value, receptance)
  std::string settings() const override;

 protected:
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
};

}  // namespace cotangent::nn
