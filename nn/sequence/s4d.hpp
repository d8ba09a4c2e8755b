#pragma once
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/sequence/hippo.hpp>
#include <cotangent/nn/sequence/sequence.hpp>

namespace cotangent::nn {

/// Where the eigenvalues of a diagonal state space start, for n = 0, 1, .., N/2 - 1.
enum class S4DInit : uint8_t {
  lin,    ///< -1/2 + i pi n: the frequencies of a Fourier series
  inv,    ///< -1/2 + i N/pi (N / (2n + 1) - 1): nearly those of LegS, in one formula
  legs,   ///< -1/2 + i w, the eigenvalues of the normal part of HiPPO's LegS
  quad,   ///< -1/2 + i (1 + 2n)^2 / pi
  real,   ///< -(n + 1): states that only decay
  random  ///< -1/2 + i w with w uniform in [0, pi N/2]
};

struct S4DOptions {
  int64_t state = 64;  ///< N, of each channel: an even number, as N/2 conjugate pairs
  S4DInit init = S4DInit::lin;
  Discretization discretization = Discretization::zero_order_hold;
  double dt_min = 1e-3;  ///< steps start log-uniform between these
  double dt_max = 1e-1;
  bool glu = true;  ///< the output goes through Linear(d, 2d) and a gated linear unit, else through Linear(d, d)
  Dtype dtype = default_dtype();
};

/// What the layer remembers: the states (B, d, N/2, 2), in float32 at least.
struct S4DState {
  Tensor h;
};

/// S4 without its term of rank one: y = out(gelu(s + D u)), where each channel of s is the output of a diagonal system,
///
///     h' = a h + u,   s = 2 Re(C . h),   a = -exp(A_real) + i A_imag,   in steps of exp(log_dt)
///
///   log_dt and D (d), A_real and A_imag (d, N/2), C (d, N/2, 2), out_proj (2d, d) or (d, d)
/// At the start the a of each channel are those of `init`, C is complex normal, D normal, and log_dt uniform. The steps
/// and a want a small learning rate, and no weight decay.
///
/// The parallel form is a convolution by FFT: a result is that of the recurrence but for rounding, which depends on all
/// tokens. The others scan the states of the tokens of a chunk, or of one. A key_mask lets nothing of the padding in;
/// the states decay there as elsewhere. State: S4DState. A ValueError unless the state is even and above 0, and 0 <
/// dt_min <= dt_max. Gu, Gupta, Goel and Re, arXiv:2206.11893.
struct S4D : SequenceLayer {
  explicit S4D(int64_t width, const S4DOptions& options = {});
  Parameter log_dt, A_real, A_imag, C, D;
  Linear out_proj;
  Discretization discretization;
  bool glu;
  COTANGENT_MEMBERS(log_dt, A_real, A_imag, C, D, out_proj)
  std::string settings() const override;
  /// The impulse responses without D for l < length, (d, length): real, differentiable by the parameters.
  Tensor kernel(int64_t length) const;

 protected:
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;

 private:
  /// h_t = e^exponent h_(t-1) + input u_t, each (d, N/2, 2).
  struct Steps {
    Tensor exponent, input;
  };
  Steps steps(Dtype dtype) const;
};

}  // namespace cotangent::nn
