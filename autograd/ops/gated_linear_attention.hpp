#pragma once
// Linear attention that forgets: RetNet, gated linear attention, Mamba-2 and mLSTM are this function with different
// decays (nn/sequence/).
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// What a scan gives: the outputs, and the state after the last step.
struct GatedLinearSequence {
  Tensor output, state;
};

/// Causal linear attention whose state, a matrix for each head, decays:
///
///     S_t = diag(a_t) S_{t-1} + k_t v_t^T,   o_t = S_t^T q_t,   a_t = e^log_decay_t
///     that is  o_t = sum over s <= t of (q_t . (exp(log_decay_{s+1} + .. + log_decay_t) k_s)) v_s
///
///   q and k (B, G, T, m), v (B, H, T, n), where G divides H and a head of q and k serves H / G neighbours
///   log_decay broadcasts to (B, H, T, m):  (H, 1, 1) a number for each head (RetNet), (B, H, T, 1) one for each step
///   (Mamba-2), (B, H, T, m) one for each channel of the keys (GLA); undefined for no decay. It may be -infinity, which
///   forgets everything, and the gradient there is 0.
///   state (B, H, m, n), before the first step; undefined for 0   ->   output (B, H, T, n), state (B, H, m, n)
/// With R_t = q_t do_t^T + diag(a_{t+1}) R_{t+1}, from the gradient of the last state on:
///   dq_t = S_t do_t,  dk_t = R_t v_t,  dv_t = R_t^T k_t,  dlog_decay_t = a_t (sum over n of S_{t-1} R_t),
///   dstate = diag(a_1) R_1
/// The scan itself is the kernel, and takes no exponential but those of the decays: nothing overflows or cancels,
/// however long the sequence. Forward it keeps nothing but its inputs, backwards it computes the states again, chunk by
/// chunk: memory is linear in T, also for derivatives of higher orders, which take scans with the roles of q, k and v
/// changed.
/// In low precision the state is float32, so that steps round no more often than a pass. A ShapeError or a DTypeError
/// the inputs do not fit together. Sun et al. (RetNet), arXiv:2307.08621; Yang et al. (GLA), arXiv:2312.06635; Dao and
/// Gu (Mamba-2), arXiv:2405.21060.
GatedLinearSequence gated_linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& log_decay,
                                           const Tensor& state = {});

/// What mlstm remembers of each head, all divided by e^max: the sum of v k^T and that of k, joined to one matrix (B, H,
/// m, n + 1), and max (B, H), a constant. Undefined before the first step.
struct MlstmState {
  Tensor kv, max;
};
/// The outputs, and the state after the last step.
struct MlstmSequence {
  Tensor output;
  MlstmState state;
};

/// The matrix LSTM: gated linear attention with a gate for the input that is exponential, and a normaliser.
///
///     C_t = f_t C_{t-1} + i_t k_t v_t^T,  n_t = f_t n_{t-1} + i_t k_t,  y_t = C_t^T q_t / max(|n_t . q_t|, 1)
///
///   q and k (B, H, T, m), v (B, H, T, n), log_i and log_f (B, H, T), the logarithms of the gates   ->   (B, H, T, n)
/// All is computed divided by e^M_t with M_t = max(M_{t-1} + log_f_t, log_i_t), which changes nothing, and keeps any
/// gate from overflowing: y does not depend on M, and so no gradient flows through it. A log_i of -infinity leaves the
/// token out, a log_f of -infinity forgets all before it. n is a further column of C, with a value of 1; the scan is
/// that of gated_linear_attention, as are the errors. Beck et al., "xLSTM" (arXiv:2405.04517).
MlstmSequence mlstm(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& log_i, const Tensor& log_f,
                    const MlstmState& state = {});

}  // namespace cotangent
