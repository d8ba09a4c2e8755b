#pragma once
// The recurrence of the generalised delta rule, whose state is a matrix:
// S_t = diag(w_t) S_{t-1} + b_t p_t^T + k_t v_t^T with p_t = S_{t-1}^T z_t, and y_t = S_t^T q_t.
#include <cstdint>

namespace cotangent::kernels {

/// Some steps of one state. All matrices are dense, and their columns multiples of kDeltaColumns.
template <class T>
struct DeltaScan {
  int64_t steps, rows, columns;
  const T *q, *z, *b, *k;  ///< steps x rows; q may be null: then nothing is read
  const T* w;              ///< steps x rows; null for no decay
  const T* v;              ///< steps x columns
  T* state;                ///< rows x columns: before the first step, and then after the last
  T *y, *p;                ///< steps x columns
};

/// The same steps backwards, where rows belong to v and columns to q, z, b and k. With R_t = dy_t q_t^T +
/// (diag(w_{t+1}) R_{t+1} + dp_{t+1} z_{t+1}^T) the adjoint of S_t, the sums over the rows of S_{t-1} dy_t, R_t v_t,
/// R_t p_t, S_{t-1} R_t and S_{t-1} dp_t.
template <class T>
struct DeltaAdjoint {
  int64_t steps, rows, columns;
  const T *q, *z, *b, *k, *w;             ///< steps x columns
  const T *v, *p, *dy, *dp;               ///< steps x rows
  const T* state;                         ///< rows x columns: before the first step
  T* adjoint;                             ///< rows x columns: what R gets from behind the last step, then the first
  T *by_dy, *by_v, *by_p, *by_r, *by_dp;  ///< steps x columns: the sums are added to them
  T* states;                              ///< space for steps * kDeltaTile
};

template <class T>
inline constexpr int64_t kDeltaColumns = 64 / static_cast<int64_t>(sizeof(T));
/// Numbers of a state that the adjoint keeps for each step, at most.
template <class T>
inline constexpr int64_t kDeltaTile = 16 * kDeltaColumns<T>;

template <class T>
struct DeltaRuleLoops {
  void (*scan)(const DeltaScan<T>& s);
  void (*adjoint)(const DeltaAdjoint<T>& a);
};

}  // namespace cotangent::kernels
