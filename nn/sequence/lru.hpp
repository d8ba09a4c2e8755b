#pragma once
#include <cotangent/nn/sequence/sequence.hpp>

namespace cotangent::nn {

struct LRUOptions {
  int64_t states = 0;                    ///< N complex ones: 0 stands for d
  double min_radius = 0;                 ///< of the ring in which the eigenvalues start
  double max_radius = 1;                 ///< 0.9 to 0.999 for what is to be remembered long
  double max_phase = 6.283185307179586;  ///< of the eigenvalues at the start; small phases find long patterns
  Dtype dtype = default_dtype();
};

/// What the layer remembers: the state (B, N, 2), in float32 at least.
struct LRUState {
  Tensor h;
};

/// The linear recurrent unit: a diagonal linear recurrence of complex states, stable however it is trained.
///
///     h_t = lambda * h_(t-1) + gamma * (B u_t),   y_t = Re(C h_t) + D * u_t
///     lambda = exp(-exp(nu_log) + i exp(theta_log)),   gamma = exp(gamma_log)
///
///   nu_log, theta_log and gamma_log (N), B (N, 2, d), C (d, N, 2), D (d), where 2 are the pairs (re, im)
/// At the start lambda is uniform on the ring between the radii, with a phase below max_phase, and gamma = sqrt(1 -
/// |lambda|^2), so that white noise gives states of variance 1; the parts of B are normal of variance 1 / (2d), those
/// of C of variance 1 / N, D is standard normal. In the paper lambda, gamma and B take half the learning rate, without
/// weight decay, and a block is x + GLU(GELU(layer(norm(x)))). A key_mask lets nothing of the padding in; the state
/// decays there as elsewhere. State: LRUState. A ValueError for sizes below 1, or radii not in 0 <= min <= max <= 1.
/// Orvieto et al., arXiv:2303.06349.
struct LRU : SequenceLayer {
  explicit LRU(int64_t width, const LRUOptions& options = {});
  Parameter nu_log, theta_log, gamma_log, B, C, D;
  COTANGENT_MEMBERS(nu_log, theta_log, gamma_log, B, C, D)
  std::string settings() const override;
  /// lambda (N, 2).
  Tensor eigenvalues() const;

 protected:
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
};

}  // namespace cotangent::nn
