#pragma once
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// What a state-space model with poles mu_n and their conjugates does at the roots of unity exp(-2 pi i l / L), l <=
/// L/2, for four vectors of weights v_j: sums of a rational function, as S4 needs them (nn/sequence/s4.hpp).
///
///     t_jl = sum_n v_jn / (i x_l - mu_n y_l) + conj(v_jn) / (i x_l - conj(mu_n) y_l),
///     x_l = 2 sin(pi l / L), y_l = cos(pi l / L)
///
///   v (C, 4, N, 2), mu (C, N, 2) for C channels -> (C, 4, 2, L/2 + 1): real, then imaginary parts
///   dv_jn = sum_l conj(1 / (i x_l - mu_n y_l)) dt_jl + conj(..) of its partner, and dmu likewise by the squares
/// Neither the sums nor their gradients keep anything of size C N L. Poles on the imaginary axis, Re mu = 0, may meet a
/// root. A ShapeError if the shapes do not fit, a ValueError for a length below 1.
Tensor resolvent_sums(const Tensor& v, const Tensor& mu, int64_t length);

}  // namespace cotangent
