#pragma once
// HiPPO: a memory of N numbers that are the coefficients, in an orthogonal basis, of all that was seen, or of a window
// of it. Gu et al., "HiPPO: Recurrent Memory with Optimal Polynomial Projections" (arXiv:2008.07669).
//
//     nn::HiPPO memory(32);                           // all of the past, at a scale that grows with it
//     Tensor c = memory(u);                           // u (.., T) -> (.., T, 32)
//     Tensor past = memory.reconstruct(c.select(-2, -1), linspace(0, 1, 100));
#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

/// What the memory approximates best, and by which functions.
enum class HippoMeasure : uint8_t {
  legs,     ///< all of the past alike, by Legendre polynomials: nothing to tune, and no time scale
  legt,     ///< a window of the past, by Legendre polynomials
  fourier,  ///< a window of the past, by sines and cosines: exact for signals of that period
  fout      ///< the same for any signal
};

/// How c' = A c + B u becomes c_k = Ab c_(k-1) + Bb u_k, with a step of D.
enum class Discretization : uint8_t {
  forward_euler,    ///< Ab = I + D A, Bb = D B: unstable unless D is small
  backward_euler,   ///< Ab = (I - D A)^-1, Bb = Ab D B
  bilinear,         ///< Ab = (I - D A/2)^-1 (I + D A/2), Bb = (I - D A/2)^-1 D B: stable for every D
  zero_order_hold,  ///< Ab = e^(D A), Bb = A^-1 (Ab - I) B: exact if u stays as it is in between; A may be singular
};

/// A (.., N, N) and B (.., N) of c' = A c + B u.
struct LinearSystem {
  Tensor A, B;
};

/// The system of a measure in float64; for legs its right side is divided by the time.
///   legs     A_nk = -(sqrt((2n+1)(2k+1)) for n > k, n + 1 for n = k, 0 else), B_n = sqrt(2n+1)
///   legt     A_nk = -sqrt((2n+1)(2k+1)) / w (1 for k <= n, (-1)^(n-k) else), B_n = sqrt(2n+1) / w
///   fourier  A_nk = (2 pi i n delta_nk - 1) / w, B_n = 1 / w for all |n| <= M, N = 2M + 1, in the coordinates c_0,
///            sqrt(2) Re c_1, sqrt(2) Im c_1, .. in which it is real: c_-n is the conjugate of c_n
///   fout     A_nk = (2 pi i n delta_nk - 2) / w, B_n = 2 / w: where the window ends, the waves give the mean of its
///   two
///            ends, which fourier takes for the older one (Gu et al., arXiv:2206.12037)
/// for a window of length w. A ValueError for N below 1, an even N for waves, and unless w is above 0.
LinearSystem hippo_system(HippoMeasure measure, int64_t n, double window = 1);

/// Ab and Bb, differentiable by A, B and the step: a number, or of a shape that broadcasts to the batch of A.
/// Zero-order hold takes e^[[D A, D B], [0, 0]], whose upper rows are [Ab, Bb].
LinearSystem discretize(const LinearSystem& system, const Tensor& step, Discretization method);
LinearSystem discretize(const LinearSystem& system, double step, Discretization method);

/// The basis at some of the times that the memory covers: s in [0, 1], 0 for the oldest and 1 for now.
///   s (S) -> (S, N): sqrt(2n+1) P_n(2s - 1), or 1, sqrt(2) cos(2 pi n (1 - s)), sqrt(2) sin(2 pi n (1 - s)), ..
Tensor hippo_basis(HippoMeasure measure, int64_t n, const Tensor& s);

struct HippoOptions {
  HippoMeasure measure = HippoMeasure::legs;
  double window = 1;   ///< w, what is remembered, but by legs; legs has none
  double step = 1e-3;  ///< D, the time between two samples, in units of the window; legs has none
  Discretization method = Discretization::bilinear;
  Dtype dtype = default_dtype();
};

/// The memory after each sample, u (.., T) -> (.., T, N), differentiable by u. `A` (N, N) and `B` (N) are buffers:
/// those of the system for legs, else those of its step.
///
/// legs steps by c_(k+1) = (I - A / (2 (k+1)))^-1 ((I + A / (2k)) c_k + B u_k / k), k = 1, 2, .., whatever the time
/// between samples is (`method` can only be bilinear): the coefficients of a signal that is played slower are the same.
/// The others are convolutions with the powers Ab^l Bb, by FFT, or step by step where a state goes in.
/// A ValueError as of hippo_system, unless the step is above 0, and for another method of legs.
struct HiPPO : Module {
  HiPPO(int64_t size, const HippoOptions& options = {});
  int64_t size;
  HippoOptions options;
  Buffer A, B;
  COTANGENT_MODULE(A, B)
  std::string settings() const override;

  /// What is known before the next sample: c (.., N), undefined before the first.
  struct State {
    Tensor c;
    int64_t samples = 0;
  };
  Tensor forward(const Tensor& u);
  /// The same from a state on, which is then that after the last sample.
  Tensor forward(const Tensor& u, State& state);
  /// The signal that a memory c (.., N) stands for, at the times s (S) of hippo_basis: (.., S).
  Tensor reconstruct(const Tensor& c, const Tensor& s) const;
};

}  // namespace cotangent::nn
