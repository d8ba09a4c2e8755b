#pragma once
// One step of a recurrent layer.
#include <cstdint>

namespace cotangent::kernels {

/// One step of a recurrent layer for a few rows of a batch, with n hidden units: see kernels/rnn.cpp.
struct RecurrentLoops {
  /// The gates i, f, g, o (rows, 4 n) go through their functions in place; c = f c_before + i g, h = o tanh(c).
  void (*lstm)(void* gates, const void* c_before, void* c, void* h, int64_t rows, int64_t n);
  /// dc is of c at first, and then of c_before; d_gates is before the functions.
  void (*lstm_backward)(const void* gates, const void* c_before, const void* c, const void* dh, void* dc, void* d_gates,
                        int64_t rows, int64_t n);
  /// The gates r, z, c (rows, 3 n) of the input go through their functions in place, joined by those of the hidden
  /// state, of which the last is kept; h = (1 - z) c + z h_before.
  void (*gru)(void* gates, const void* hidden, const void* h_before, void* kept, void* h, int64_t rows, int64_t n);
  /// dh is of h at first, and then the direct part of that of h_before.
  void (*gru_backward)(const void* gates, const void* kept, const void* h_before, void* dh, void* d_gates,
                       void* d_hidden, int64_t rows, int64_t n);
};

}  // namespace cotangent::kernels
