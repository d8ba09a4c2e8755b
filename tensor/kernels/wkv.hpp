#pragma once
// The weighted mean of RWKV-4, step by step; autograd/ops/wkv.hpp has the formulas.
#include <cstdint>

namespace cotangent::kernels {

/// Some steps of neighbouring channels: row t of each matrix is `row` after row t - 1.
template <class T>
struct Wkv {
  int64_t steps, channels, row;
  const T *k, *v;
  const T *w, *u;                                   ///< one for each channel
  const T *mean0, *log0;                            ///< before the first step
  T *y = nullptr, *mean = nullptr, *log = nullptr;  ///< results
  const T* dy = nullptr;                            ///< of the adjoint, which reads mean and log
  /// One for each channel: gradients of the last mean and log, and then of the first.
  T *rmean = nullptr, *rlog = nullptr;
  T *dk = nullptr, *dv = nullptr;  ///< results
  T *dw = nullptr, *du = nullptr;  ///< one for each channel, added to
};

template <class T>
struct WkvLoops {
  void (*forward)(const Wkv<T>& s);
  void (*adjoint)(const Wkv<T>& s);
};

}  // namespace cotangent::kernels
