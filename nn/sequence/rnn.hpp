#pragma once
// Recurrent layers: stacks of the layers of autograd/ops/rnn.hpp, which has the formulas, in one direction or both; and
// cells, which take one step.
#include <utility>

#include <cotangent/autograd/ops/rnn.hpp>
#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

struct RecurrentOptions {
  int64_t num_layers = 1;        ///< each takes the output of the one before
  bool bias = true;              ///< with b_ih and b_hh
  bool batch_first = false;      ///< x and the output are (N, T, ...); states stay (layers, N, ...)
  double dropout = 0;            ///< in training, of the output of all layers but the last
  bool bidirectional = false;    ///< a second set of layers runs from the end; both outputs are joined
  int64_t proj_size = 0;         ///< LSTM only: what the hidden state is projected to; 0 for no projection
  Rnn nonlinearity = Rnn::tanh;  ///< RNN only
  Dtype dtype = default_dtype();
};

/// What the recurrent layers have in common. With L layers, D directions (1 or 2), H hidden units and an output size P
/// (H, or an LSTM's proj_size):
///   x (T, N, input), or (N, T, input) under batch_first, or (T, input) for one sequence; h (L D, N, P) and c (L D, N,
///   H), 0 when undefined, without N for one sequence   ->   output (T, N, D P), and the states after the last step
/// The states are ordered by layer, then by direction. The parameters are those of PyTorch: weight_ih_l0 (gates H,
/// input), weight_hh_l0 (gates H, P), bias_ih_l0, bias_hh_l0 (gates H), weight_hr_l0 (P, H), with l1, l2, .. for the
/// other layers and the ending _reverse for the other direction; all start uniform in [-1/sqrt(H), 1/sqrt(H)].
/// A ShapeError for a state or an input that does not fit.
struct RecurrentLayer : Module {
  int64_t input_size, hidden_size;
  RecurrentOptions options;
  /// By layer, then by direction. Share or replace single weights through state_dict() and load_state_dict().
  struct Weights {
    Parameter w_ih, w_hh, b_ih, b_hh, w_hr;
  };
  std::vector<Weights> weights;

  void members(Members& visitor) override;
  std::string settings() const override;

 protected:
  /// One layer in one direction.
  using Function = LstmSequence (*)(const Tensor& x, const Tensor& h, const Tensor& c, const RecurrentWeights& w, Rnn f,
                                    bool reverse);
  RecurrentLayer(const char* type, Function function, int64_t gates, int64_t input, int64_t hidden,
                 const RecurrentOptions& options);
  LstmSequence run(const Tensor& x, const Tensor& h, const Tensor& c) const;

 private:
  const char* type_;
  Function function_;
};

/// A layer of the function rnn.   auto [output, h] = layer(x)   or   layer(x, h)
struct RNN : RecurrentLayer {
  RNN(int64_t input, int64_t hidden, const RecurrentOptions& options = {});
  COTANGENT_CLONE
  COTANGENT_CALL
  RecurrentSequence forward(const Tensor& x, const Tensor& h = {}) const;
};

/// A layer of the function gru.   auto [output, h] = layer(x)   or   layer(x, h)
struct GRU : RecurrentLayer {
  GRU(int64_t input, int64_t hidden, const RecurrentOptions& options = {});
  COTANGENT_CLONE
  COTANGENT_CALL
  RecurrentSequence forward(const Tensor& x, const Tensor& h = {}) const;
};

/// A layer of the function lstm.   auto [output, h, c] = layer(x)   or   layer(x, h, c)
struct LSTM : RecurrentLayer {
  LSTM(int64_t input, int64_t hidden, const RecurrentOptions& options = {});
  COTANGENT_CLONE
  COTANGENT_CALL
  LstmSequence forward(const Tensor& x, const Tensor& h = {}, const Tensor& c = {}) const;
};

struct CellOptions {
  bool bias = true;
  Rnn nonlinearity = Rnn::tanh;  ///< RNNCell only
  Dtype dtype = default_dtype();
};

/// What the cells have in common: one step of a layer, for loops that feed the output back.
///   x (N, input) and states (N, H), or without N; an undefined state is 0
/// weight_ih (gates H, input), weight_hh (gates H, H), bias_ih and bias_hh (gates H) start as those of the layers.
struct RecurrentCell : Module {
  Parameter weight_ih, weight_hh, bias_ih, bias_hh;
  std::string settings() const override;

 protected:
  RecurrentCell(const char* type, int64_t gates, int64_t input, int64_t hidden, const CellOptions& options);
  RecurrentWeights step_weights() const { return {weight_ih, weight_hh, bias_ih, bias_hh, {}}; }
};

/// h = cell(x, h)
struct RNNCell : RecurrentCell {
  RNNCell(int64_t input, int64_t hidden, const CellOptions& options = {});
  Rnn nonlinearity;
  COTANGENT_MODULE(weight_ih, weight_hh, bias_ih, bias_hh)
  Tensor forward(const Tensor& x, const Tensor& h = {}) const;
};
/// h = cell(x, h)
struct GRUCell : RecurrentCell {
  GRUCell(int64_t input, int64_t hidden, const CellOptions& options = {});
  COTANGENT_MODULE(weight_ih, weight_hh, bias_ih, bias_hh)
  Tensor forward(const Tensor& x, const Tensor& h = {}) const;
};
/// std::tie(h, c) = cell(x, h, c)
struct LSTMCell : RecurrentCell {
  LSTMCell(int64_t input, int64_t hidden, const CellOptions& options = {});
  COTANGENT_MODULE(weight_ih, weight_hh, bias_ih, bias_hh)
  std::pair<Tensor, Tensor> forward(const Tensor& x, const Tensor& h = {}, const Tensor& c = {}) const;
};

}  // namespace cotangent::nn
