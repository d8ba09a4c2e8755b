#pragma once
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// Sums over poles at the upper half of the L-th roots of unity, exp(-2 pi i l / L) for l <= L/2:
///
///     t_jl = sum_n 2 (i x_l a_jn - y_l b_jn) / D_nl,   D_nl = (r_n y_l)^2 - x_l^2 - 2 i x_l y_l rho_n,
///     x_l = 2 sin(pi l / L), y_l = cos(pi l / L)
///
///   a and b (C, 4, N), r and rho (C, N), float32 or float64 -> (C, 4, 2, L/2 + 1), real before imaginary parts
Tensor resolvent_sums(const Tensor& a, const Tensor& b, const Tensor& r, const Tensor& rho, int64_t length);

struct ResolventGradients {
  Tensor a, b, r, rho;
};
ResolventGradients resolvent_sums_backward(const Tensor& dt, const Tensor& a, const Tensor& b, const Tensor& r,
                                           const Tensor& rho, int64_t length);

/// x and y above: (2, L/2 + 1).
Tensor resolvent_places(int64_t length, Dtype dtype);

}  // namespace cotangent::raw
