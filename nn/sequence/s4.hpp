#pragma once
// S4, structured state spaces: a linear system of N states for each channel, whose matrix is diagonal but for a term of
// rank one, so that it can remember as HiPPO does (nn/sequence/hippo.hpp), and still be a quick convolution in training
// and a quick recurrence afterwards. Gu, Goel and Re, arXiv:2111.00396.
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/sequence/hippo.hpp>
#include <cotangent/nn/sequence/sequence.hpp>

namespace cotangent::nn {

/// A = V (diag(L) - p p*) V* for the matrix A (N, N) of legs, in the half of the coordinates that is not the conjugate
/// of the other half: L (N/2, 2) with Re L = -1/2 and 0 < Im L ascending, V (N, N/2, 2), and p = V* P (N/2, 2) for
/// P_n = sqrt(n + 1/2), which V makes real and positive; b = V* B. All float64. A ValueError for an odd N.
struct HippoNormalForm {
  Tensor L, p, b, V;
};
HippoNormalForm hippo_normal_form(int64_t n);

struct S4Options {
  int64_t state = 64;     ///< N, of each channel: an even number
  int64_t length = 1024;  ///< of the kernels: the most tokens of the parallel form
  double dt_min = 1e-3;   ///< steps start log-uniform between these
  double dt_max = 1e-1;
  bool glu = true;  ///< the output goes through Linear(d, 2d) and a gated linear unit, else through Linear(d, d)
  Dtype dtype = default_dtype();
};

/// y = out(gelu(s + D u)), where each channel of s is the output C x of x' = A x + B u, discretized by the bilinear
/// rule with a step of its own.
///   log_dt (d): logarithms of the steps;   A_real, A_imag (d, N/2): L = -exp(A_real) + i A_imag;   P, B, C (d, N/2, 2)
///   D (d);   out_proj (2d, d) or (d, d)
/// A = L - P P*, all of it in one half of the coordinates. The weights C are those of the kernel cut at `length`, Ct =
/// C (I - Ab^length): so the kernel's transform is four sums over the poles (autograd/ops/resolvent.hpp) at the roots
/// of unity, and no matrix is ever formed. At the start L, P and B are those of HiPPO's legs, C is normal, D too, and
/// log_dt uniform. They want a learning rate of about 1e-3 and no weight decay, apart from C and out_proj.
///
/// The parallel form is a convolution by FFT: a result is that of the recurrence but for rounding, which depends on all
/// tokens. The others step with N numbers a channel and time linear in N, by Woodbury's identity; state (B, d, N/2),
/// real and imaginary. Padding counts as tokens of 0. A ValueError unless the state is even and above 0, the length at
/// least 1 and 0 < dt_min <= dt_max; and in the parallel form for more than `length` tokens.
struct S4 : SequenceLayer {
  S4(int64_t width, const S4Options& options = {});
  Parameter log_dt, A_real, A_imag, P, B, C, D;
  Linear out_proj;
  int64_t length;
  bool glu;
  COTANGENT_MEMBERS(log_dt, A_real, A_imag, P, B, C, D, out_proj)
  std::string settings() const override;

  /// C Ab^l Bb for l < length, (d, length): real, differentiable by the parameters.
  Tensor kernel() const;
  /// Ab (d, N, N) and Bb (d, N) as real matrices, of the state's real and then its imaginary parts.
  LinearSystem dense() const;
  /// C itself, (d, N/2, 2), with s = 2 Re C x.
  Tensor readout() const;
  /// The same model with kernels of another length: C is written anew.
  void set_length(int64_t tokens);

 protected:
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
};

}  // namespace cotangent::nn
