#pragma once
// The recurrence of linear attention, whose state is a matrix: S_t = decay_t S_{t-1} + k_t v_t^T, y_t = S_t^T q_t.
#include <cstdint>

namespace cotangent::kernels {

/// What a step multiplies the state by: nothing, a number for each of its rows, or one for each of its columns.
enum class StateDecay : uint8_t { none, rows, columns };

/// The columns of a state come in multiples of this, filled up with anything.
template <class T>
inline constexpr int64_t kStateColumns = 64 / static_cast<int64_t>(sizeof(T));
/// Numbers of a state that the adjoint keeps for each step, at most.
template <class T>
inline constexpr int64_t kStateTile = 16 * kStateColumns<T>;

/// Some steps of one state. All matrices are dense.
template <class T>
struct StateScan {
  int64_t steps, rows, columns;
  const T *q, *k;  ///< steps x rows; q may be null: then nothing is read
  const T* v;      ///< steps x columns
  const T* decay;  ///< steps x rows or columns
  bool late;       ///< a step reads the state first, and then lets it decay
  T* state;        ///< rows x columns: before the first step, and then after the last
  T* y;            ///< steps x columns: the reads are added to it
};

/// The same steps backwards, where rows belong to v and columns to q and k: with R_t = dy_t q_t^T + decay_{t+1} R_{t+1}
/// the adjoint of S_t, the sums over the rows of S_{t-1} dy_t, R_t v_t and S_{t-1} R_t.
template <class T>
struct StateAdjoint {
  int64_t steps, rows, columns;
  const T *q, *k, *decay;  ///< steps x columns
  const T *v, *dy;         ///< steps x rows
  const T* state;          ///< rows x columns: before the first step
  T* adjoint;              ///< rows x columns: decay_{t+1} R_{t+1} after the last step, and then before the first
  T *by_dy, *by_v, *by_r;  ///< steps x columns: the sums are added to them
  T* states;               ///< space for steps * kStateTile
};

template <class T>
struct LinearAttentionLoops {
  void (*scan[3])(const StateScan<T>& s);  ///< by StateDecay
  void (*adjoint)(const StateAdjoint<T>& a);
};

}  // namespace cotangent::kernels
