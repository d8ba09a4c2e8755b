#pragma once
// One step of a recurrent layer.
#include <cstdint>

namespace cotangent::kernels {

/// One step of a recurrent layer for `units` of its n hidden units in a few rows of a batch: see kernels/rnn.cpp.
template <class T>
struct RecurrentLoops {
  /// The gates i, f, g, o (rows, 4 n) go through their functions in place; c = f c_before + i g, h = o tanh(c).
  void (*lstm)(T* gates, const T* c_before, T* c, T* h, int64_t rows, int64_t units, int64_t n);
  /// dc is of c at first, and then of c_before; d_gates is before the functions.
  void (*lstm_backward)(const T* gates, const T* c_before, const T* c, const T* dh, T* dc, T* d_gates, int64_t rows,
                        int64_t units, int64_t n);
  /// The gates r, z, c (rows, 3 n) of the input go through their functions in place, joined by those of the hidden
  /// state (rows, 3 units), of which the last is kept; h = (1 - z) c + z h_before.
  void (*gru)(T* gates, const T* hidden, const T* h_before, T* kept, T* h, int64_t rows, int64_t units, int64_t n);
  /// dh is of h at first, and then the direct part of that of h_before.
  void (*gru_backward)(const T* gates, const T* kept, const T* h_before, T* dh, T* d_gates, T* d_hidden, int64_t rows,
                       int64_t units, int64_t n);
};

}  // namespace cotangent::kernels
