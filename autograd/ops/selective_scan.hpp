#pragma once
// The recurrence of Mamba (nn/sequence/mamba.hpp).
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// What a selective scan gives: the outputs, and the state after the last step.
struct SelectiveSequence {
  Tensor output, state;
};

/// A state space for each channel d of x, whose step, input and output weights depend on the token:
///
///     h_t[d,n] = exp(dt_t[d] a[d,n]) h_{t-1}[d,n] + dt_t[d] x_t[d] b_t[n],   y_t[d] = sum_n c_t[n] h_t[d,n] + skip[d]
///     x_t[d]
///
///   x and dt (B, T, D), a (D, N), b and c (B, T, N); skip (D) and the state before the first step (B, D, N) may be
///   undefined, for 0   ->   output (B, T, D), state (B, D, N)
/// A step dt = 0 leaves the state as it is. With r_t = c_t dy_t + exp(dt_{t+1} a) r_{t+1}, from the gradient of the
/// last state on:   dc_t = sum_d dy_t h_t,  db_t = sum_d r_t dt_t x_t,  dx_t = dt_t sum_n r_t b_t + skip dy_t,  and
/// through e = exp(dt_t a): de = r_t h_{t-1},  ddt_t = sum_n (de e a + r_t b_t x_t),  da = sum over b and t of de e
/// dt_t. The states (B, T, D, N) are never stored: backwards they are computed again, chunk by chunk, from one in 32. A
/// derivative of second order stores them. In low precision the state is float32, and other inputs may be. A ShapeError
/// or a DTypeError where the inputs do not fit together. Gu and Dao, "Mamba" (arXiv:2312.00752).
SelectiveSequence selective_scan(const Tensor& x, const Tensor& dt, const Tensor& a, const Tensor& b, const Tensor& c,
                                 const Tensor& skip = {}, const Tensor& state = {});

}  // namespace cotangent
