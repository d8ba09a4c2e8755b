#pragma once
// Sums over the poles of a state-space model, at many frequencies: vectors run along the frequencies.
#include <cstdint>

namespace cotangent::kernels {

/// The sums that share the poles.
inline constexpr int kResolventSums = 4;

/// One channel, with `poles` of size r and real part rho, and weights a and b (sums, poles); x and y (count) say where;
/// t is (sums, 2, count), of real and imaginary parts. See raw::resolvent_sums.
template <class T>
struct ResolventLoops {
  void (*sums)(const T* a, const T* b, const T* r, const T* rho, int64_t poles, const T* x, const T* y, int64_t count,
               T* t);
  void (*sums_backward)(const T* dt, const T* a, const T* b, const T* r, const T* rho, int64_t poles, const T* x,
                        const T* y, int64_t count, T* da, T* db, T* dr, T* drho);
};

}  // namespace cotangent::kernels
