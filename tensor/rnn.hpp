#pragma once
// Recurrent layers without history; autograd/ops/rnn.hpp has the contracts.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// The weights of one recurrent layer in one direction. The gates of all hidden units stand one after another in the
/// rows: 4 H for an LSTM, 3 H for a GRU, H for a plain layer.
///   w_ih (gates, I), w_hh (gates, P), b_ih and b_hh (gates), or undefined for none;   w_hr (P, H) is the projection of
///   an LSTM; undefined for none, then P = H
struct RecurrentWeights {
  Tensor w_ih, w_hh, b_ih, b_hh, w_hr;
};

namespace raw {

enum class Cell : uint8_t { tanh, relu, lstm, gru };
/// How many gates a hidden unit has.
inline int64_t gate_count(Cell cell) { return cell == Cell::lstm ? 4 : cell == Cell::gru ? 3 : 1; }

/// What a pass over a sequence gives, and what its gradient reads again.
struct Recurrence {
  Tensor output;     // (T, N, P)
  Tensor gates;      // (T, N, gates), after their functions; not for a plain layer
  Tensor cells;      // (T, N, H): c of an LSTM; of a GRU the share of the hidden state in its candidate
  Tensor projected;  // (T, N, H): what an LSTM's projection takes
};

/// x (T, N, I), h (N, P) and c (N, H); an undefined state is 0. All have one dtype, float32 or float64, and their
/// shapes fit.
Recurrence recurrence(const char* op, Cell cell, const Tensor& x, const Tensor& h, const Tensor& c,
                      const RecurrentWeights& weights, bool reverse);

/// Undefined where it is not wanted.
struct RecurrenceGradients {
  Tensor x, h, c;
  RecurrentWeights weights;
};
/// From dy of the output, and dc of the last cell state (undefined for none). Bit i of `wanted` asks for the gradient
/// of x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, in this order.
RecurrenceGradients recurrence_backward(const char* op, Cell cell, const Tensor& dy, const Tensor& dc, const Tensor& x,
                                        const Tensor& h, const Tensor& c, const RecurrentWeights& weights, bool reverse,
                                        const Recurrence& kept, uint32_t wanted);

}  // namespace raw
}  // namespace cotangent
