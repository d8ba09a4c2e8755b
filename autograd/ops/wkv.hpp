#pragma once
// The recurrence of RWKV-4 (nn/sequence/rwkv.hpp).
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// What wkv remembers: for each channel the weighted mean of the values so far, and the logarithm of their total
/// weight, both (B, C). The sums of the paper are b = e^log_weight and a = mean b.
struct WkvState {
  Tensor mean, log_weight;
};
/// What it gives: the outputs, and the state after the last step.
struct WkvSequence {
  Tensor output;
  WkvState state;
};

/// The attention of RWKV-4: in each channel a mean of the values, weighted by e^k, where a value counts e^w times as
/// much with each step that it is away, and the newest, which has come no step yet, e^u times.
///
///     y_t = (sum over i < t of e^((t-1-i) w + k_i) v_i + e^(u + k_t) v_t) / (the same without v)
///
///   k and v (B, T, C), w and u (C)   ->   output (B, T, C), state (B, C);   w should not be above 0
/// As a recurrence of the mean M and the logarithm L of the weights, with s the logistic function:
///   y_t = M + s(u + k_t - L) (v_t - M),   M' = M + s(k_t - L - w) (v_t - M),   L' = log(e^(L + w) + e^k_t)
/// Each step is a mean of two, so nothing overflows, and k may be shifted by any number. A k of -infinity has no
/// weight. Before the first step M is 0 and L is -1e38. The gradients run back through the same steps, whose M and L
/// are kept: memory is linear in T. In low precision the state is float32. A ShapeError or a DTypeError where the
/// inputs do not fit together. Peng et al., "RWKV" (arXiv:2305.13048).
WkvSequence wkv(const Tensor& k, const Tensor& v, const Tensor& w, const Tensor& u, const WkvState& state = {});

}  // namespace cotangent
