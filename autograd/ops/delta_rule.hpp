#pragma once
// Linear attention that corrects itself: a state is read before it is written, so that a key replaces what was stored
// under it instead of adding to it. DeltaNet, its gated form and RWKV-7 (nn/sequence/delta_net.hpp) are these
// functions.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// What a scan gives: the outputs, and the state after the last step.
struct DeltaSequence {
  Tensor output, state;
};

/// A recurrence whose state, a matrix S for each head, is multiplied by a diagonal matrix plus one of rank one:
///
///     S_t = diag(w_t) S_{t-1} + b_t (a_t^T S_{t-1}) + k_t v_t^T,   o_t = S_t^T q_t,   w_t = e^log_decay_t
///
///   q, k, a and b (B, H, T, m), v (B, H, T, n)
///   log_decay (B, H, T, m), or (B, H, T, 1) for all rows; undefined for no decay. It may be -infinity.
///   state (B, H, m, n), before the first step; undefined for 0   ->   output (B, H, T, n), state (B, H, m, n)
/// With R_t = q_t do_t^T + diag(w_{t+1}) R_{t+1} + a_{t+1} (b_{t+1}^T R_{t+1}), from the gradient of the last state on:
///   dq_t = S_t do_t,   dk_t = R_t v_t,   dv_t = R_t^T k_t,   da_t = S_{t-1} R_t^T b_t,   db_t = R_t S_{t-1}^T a_t,
///   dlog_decay_t = w_t (sum over n of S_{t-1} R_t)
/// Step by step, by a kernel with five operations for each number of the state, which takes fewer of them than the
/// products of a chunked form, and no exponential but those of the decays: nothing overflows. It keeps its inputs, and
/// computes the states again backwards, in chunks of steps, so that memory is linear in T. Second derivatives go
/// through a composite form, which takes memory for T states. In low precision the state is float32. A ShapeError or a
/// DTypeError where the inputs do not fit together. Peng et al. (RWKV-7), arXiv:2503.14456.
DeltaSequence generalized_delta_rule(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& a,
                                     const Tensor& b, const Tensor& log_decay = {}, const Tensor& state = {});

/// The delta rule: what is stored under the key k_t becomes closer to v_t by beta_t, after a decay g_t = e^log_decay_t.
///
///     S_t = g_t (I - beta_t k_t k_t^T) S_{t-1} + beta_t k_t v_t^T,   o_t = S_t^T q_t
///
///   q and k (B, H, T, m), v (B, H, T, n), beta (B, H, T), log_decay (B, H, T) or undefined for no decay, and state
///   as above. For keys of length 1 and 0 <= beta <= 2 no state grows by itself: at beta = 1 the value is replaced, and
///   at 0 kept. For orthonormal keys and beta = 1 it is linear attention.
/// Gradients, errors and costs as above. Schlag et al., arXiv:2102.11174; Yang et al. (DeltaNet), arXiv:2406.06484;
/// Yang, Kautz and Hatamizadeh (gated), arXiv:2412.06464.
DeltaSequence delta_rule(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& beta,
                         const Tensor& log_decay = {}, const Tensor& state = {});

}  // namespace cotangent
