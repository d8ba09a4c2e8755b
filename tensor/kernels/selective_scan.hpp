#pragma once
// The recurrence of a selective state space: each channel has a few states, h_t = e^(dt_t a) h_{t-1} + dt_t x_t b_t.
#include <cstdint>

namespace cotangent::kernels {

/// Channels that go through the sequence together: the last block is filled up with zeros.
inline constexpr int64_t kSelectiveBlock = 32;

/// Some steps of a block of channels. Rows have kSelectiveBlock numbers but for b and c.
template <class T>
struct SelectiveScan {
  int64_t steps, states;
  const T *x, *dt;  ///< a row for each step
  const T* a;       ///< a row for each state
  const T *b, *c;   ///< steps x states, one after another
  T* h;             ///< a row for each state: before the first step, and then after the last
  T* y;             ///< a row for each step: the sum over the states of c h is added to it
};
/// Backwards, with r_t the adjoint of h_t.
template <class T>
struct SelectiveAdjoint {
  SelectiveScan<T> forward;  ///< the same steps: h stays as it was before the first
  const T* dy;               ///< a row for each step
  T* r;                      ///< a row for each state: the part of r_t that comes from later steps
  T *dx, *ddt;               ///< a row for each step, added to
  T* da;                     ///< a row for each state, added to
  T *db, *dc;                ///< steps x states, one after another, added to
  T* kept;                   ///< space for 2 rows for each step and state
};

template <class T>
struct SelectiveScanLoops {
  void (*forward)(const SelectiveScan<T>& s);
  void (*adjoint)(const SelectiveAdjoint<T>& s);
};

}  // namespace cotangent::kernels
