#pragma once
// Recurrent layers: one layer, in one direction, over a whole sequence. nn/sequence/rnn.hpp has the modules. The
// products with the input, and the gradients of the weights, are one matrix product each for all steps; what is saved
// are the gates. Low-precision floats compute in float32.
//
// x is (T, N, I): T steps of a batch of N with I features. H is the number of hidden units, and a state is (N, H);
// undefined, it is 0. `reverse` runs from the last step to the first; output[t] still belongs to x[t]. A ShapeError
// says which shape does not fit, a DTypeError that not all have one floating dtype.
#include <cotangent/tensor/rnn.hpp>

namespace cotangent {

/// The hidden state after each step (T, N, H), and after the last one (N, H), which is a view of the former.
struct RecurrentSequence {
  Tensor output, h;
};
enum class Rnn : uint8_t { tanh, relu };
/// The plain recurrent layer (Elman 1990):   h_t = f(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh)
///   da_t = dh_t f'(a_t) for the argument a_t of f;   dx_t = W_ih^T da_t, dh_(t-1) += W_hh^T da_t, dW_ih = sum da_t
///   x_t^T, dW_hh = sum da_t h_(t-1)^T, db_ih = db_hh = sum da_t
RecurrentSequence rnn(const Tensor& x, const Tensor& h, const RecurrentWeights& weights, Rnn f = Rnn::tanh,
                      bool reverse = false);

/// The gated recurrent unit (Cho et al., arXiv:1406.1078), whose reset gate multiplies after the product (variant "v1"
/// of the paper), with the gates r, z, c in the rows of the weights:
///
///     r = sigmoid(W_ir x + b_ir + W_hr h + b_hr),   z = sigmoid(W_iz x + b_iz + W_hz h + b_hz)
///     c = tanh(W_ic x + b_ic + r * (W_hc h + b_hc)),   h' = (1 - z) * c + z * h
///
/// With a for the arguments:   da_c = dh' (1 - z) (1 - c^2), da_r = da_c (W_hc h + b_hc) r (1 - r), da_z = dh' (h - c)
/// z (1 - z); the products go on as in rnn, where W_hc and b_hc take da_c r;   dh += dh' z
RecurrentSequence gru(const Tensor& x, const Tensor& h, const RecurrentWeights& weights, bool reverse = false);

/// The hidden state after each step (T, N, P), and the hidden state and the cell state (N, H) after the last one.
struct LstmSequence {
  Tensor output, h, c;
};
/// Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate by Gers et al. 2000), with the gates i, f, g, o
/// in the rows of the weights:
///
///     i, f, o = sigmoid(W x + b_ih + W' h + b_hh) each,   g = tanh(the same)
///     c' = f * c + i * g,   h' = o * tanh(c')
///
/// With the projection w_hr (Sak et al., arXiv:1402.1128) h' = w_hr (o * tanh(c')) of P features instead of H.
///   dc' += dh' o (1 - tanh(c')^2);   da_i = dc' g i (1 - i), da_f = dc' c f (1 - f), da_g = dc' i (1 - g^2), da_o =
///   dh' tanh(c') o (1 - o);   dc = dc' f; the products go on as in rnn
LstmSequence lstm(const Tensor& x, const Tensor& h, const Tensor& c, const RecurrentWeights& weights,
                  bool reverse = false);

}  // namespace cotangent
