#pragma once
// The products behind causal linear attention, with decays or without, and without history: linear in the length, with
// one matrix of live memory.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// Which way a gated product runs, and what its decays belong to.
struct GatedWay {
  bool reverse = false;
  bool of_values = false;
  int64_t chunk = 64;  ///< steps that are gathered at a time
};
struct GatedProduct {
  Tensor y, state;
};
/// y_t = S_t^T q_t with S_t = decay_t S_{t-1} + k_t v_t^T, and the last state; in reverse y_t = S_t^T q_t with
/// S_t = decay_{t+1} S_{t+1} + k_t v_t^T, and decay_0 S_0.
///   q and k (B, _, T, m), v (B, _, T, n) with numbers of heads that divide H; log_decay (B, H, T, 1), or (.., m), or
///   of_values (.., n), undefined for no decay   ->   y (B, H, T, n) and the state (B, H, m, n)
/// `state`, of that shape, is what the scan begins with; undefined for 0.
GatedProduct gated_product(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& log_decay,
                           const Tensor& state, GatedWay way, int64_t heads);

struct GatedGradients {
  Tensor q, k, log_decay;
};
/// Of the product that runs forward, with decays of keys, and a q and k of as many heads; dstate may be undefined.
GatedGradients gated_product_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& log_decay,
                                      const Tensor& state, const Tensor& dy, const Tensor& dstate);

/// m_t = max(m_{t-1} + log_decay_t, x_t) along the last dimension.
///   log_decay and x (.., T), start (..)   ->   (.., T)
Tensor decayed_max(const Tensor& log_decay, const Tensor& x, const Tensor& start);

}  // namespace cotangent::raw
