#include <cotangent/nn/sequence/rnn.hpp>

#include <cmath>

#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/random.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

Parameter starting(const Shape& shape, int64_t hidden, Dtype dtype) {
  const double bound = 1 / std::sqrt(static_cast<double>(hidden));
  return init::uniform_(empty(shape, dtype), -bound, bound);
}

void check_sizes(const char* type, int64_t input, int64_t hidden) {
  if (input < 1 || hidden < 1)
    fail<ValueError>("[{}] {} inputs and {} hidden units; there must be at least 1 of each", type, input, hidden);
}

}  // namespace

// ---- layers ----

RecurrentLayer::RecurrentLayer(const char* type, Function function, int64_t gates, int64_t input, int64_t hidden,
                               const RecurrentOptions& o)
    : input_size(input), hidden_size(hidden), options(o), type_(type), function_(function) {
  check_sizes(type, input, hidden);
  if (o.num_layers < 1) fail<ValueError>("[{}] {} layers; there must be at least 1", type, o.num_layers);
  if (!(o.dropout >= 0 && o.dropout <= 1))
    fail<ValueError>("[{}] dropout is {}; it must be in [0, 1]", type, o.dropout);
  if (o.dropout > 0 && o.num_layers == 1)
    fail<ValueError>("[{}] dropout acts between layers, and there is one; take more layers, or nn::Dropout", type);
  if (o.proj_size < 0 || o.proj_size >= hidden)
    fail<ValueError>("[{}] proj_size is {}; it must be in [0, {}), where 0 stands for none", type, o.proj_size, hidden);
  if (o.proj_size > 0 && gates != 4) fail<ValueError>("[{}] has no projection; leave proj_size 0", type);
  if (o.nonlinearity != Rnn::tanh && gates != 1)
    fail<ValueError>("[{}] has its own functions; nonlinearity is for RNN", type);

  // rows of all gates, of all layers and directions
  cotangent::detail::check_memory(type, Dims{o.num_layers, 8, hidden}.product(type), item_size(o.dtype));
  const int64_t directions = o.bidirectional ? 2 : 1, outputs = o.proj_size > 0 ? o.proj_size : hidden;
  for (int64_t i = 0; i < o.num_layers * directions; ++i) {
    const int64_t in = i < directions ? input : directions * outputs;
    Weights w;
    w.w_ih = starting({gates * hidden, in}, hidden, o.dtype);
    w.w_hh = starting({gates * hidden, outputs}, hidden, o.dtype);
    if (o.bias) {
      w.b_ih = starting({gates * hidden}, hidden, o.dtype);
      w.b_hh = starting({gates * hidden}, hidden, o.dtype);
    }
    if (o.proj_size > 0) w.w_hr = starting({outputs, hidden}, hidden, o.dtype);
    weights.push_back(std::move(w));
  }
}

void RecurrentLayer::members(Members& visitor) {
  for (size_t i = 0; i < weights.size(); ++i) {
    const size_t layer = options.bidirectional ? i / 2 : i;
    const std::string ending = fmt::format("_l{}{}", layer, options.bidirectional && i % 2 ? "_reverse" : "");
    visitor.add("weight_ih" + ending, weights[i].w_ih);
    visitor.add("weight_hh" + ending, weights[i].w_hh);
    visitor.add("bias_ih" + ending, weights[i].b_ih);
    visitor.add("bias_hh" + ending, weights[i].b_hh);
    visitor.add("weight_hr" + ending, weights[i].w_hr);
  }
}

LstmSequence RecurrentLayer::run(const Tensor& x, const Tensor& h, const Tensor& c) const {
  const bool one = x.rank() == 2;
  if ((x.rank() != 3 && !one) || x.size(-1) != input_size)
    fail<ShapeError>("[{}] x is {}; it must be ({}, {}), or (T, {}) for one sequence", type_, x.shape(),
                     options.batch_first ? "N, T" : "T, N", input_size, input_size);
  auto batched = [&](const Tensor& t, int64_t dim) { return one && t.defined() ? unsqueeze(t, dim) : t; };
  Tensor y = batched(x, 1);
  if (!one && options.batch_first) y = transpose(y, 0, 1);
  const auto count = static_cast<int64_t>(weights.size());
  const int64_t outputs = options.proj_size > 0 ? options.proj_size : hidden_size, batch = y.size(1);
  const Tensor first_h = batched(h, 1), first_c = batched(c, 1);
  auto check = [&](const char* name, const Tensor& state, int64_t size) {
    if (state.defined() && state.shape() != Shape{count, batch, size})
      fail<ShapeError>("[{}] {} is {}; for x {} it must be {}", type_, name,
                       one ? squeeze(state, 1).shape() : state.shape(), x.shape(),
                       one ? Shape{count, size} : Shape{count, batch, size});
  };
  check("h", first_h, outputs);
  check("c", first_c, hidden_size);
  auto part = [](const Tensor& state, int64_t i) { return state.defined() ? select(state, 0, i) : state; };

  const int64_t directions = options.bidirectional ? 2 : 1;
  Tensors last_h, last_c;
  for (int64_t i = 0; i < count; i += directions) {
    if (i > 0) y = dropout(y, options.dropout, is_training());
    Tensors ways;
    for (int64_t d = 0; d < directions; ++d) {
      const Weights& w = weights[static_cast<size_t>(i + d)];
      LstmSequence way = function_(y, part(first_h, i + d), part(first_c, i + d),
                                   {w.w_ih, w.w_hh, w.b_ih, w.b_hh, w.w_hr}, options.nonlinearity, d == 1);
      ways.push_back(std::move(way.output));
      last_h.push_back(std::move(way.h));
      if (way.c.defined()) last_c.push_back(std::move(way.c));
    }
    y = directions == 1 ? ways[0] : cat(ways, 2);
  }
  if (one)
    y = squeeze(y, 1);
  else if (options.batch_first)
    y = transpose(y, 0, 1);
  auto states = [&](const Tensors& parts) { return one ? squeeze(stack(parts), 1) : stack(parts); };
  return {y, states(last_h), last_c.empty() ? Tensor() : states(last_c)};
}

std::string RecurrentLayer::settings() const {
  const RecurrentOptions& o = options;
  std::string text = fmt::format("{}, {}", input_size, hidden_size);
  if (o.num_layers > 1) text += fmt::format(", num_layers = {}", o.num_layers);
  if (!o.bias) text += ", bias = false";
  if (o.batch_first) text += ", batch_first = true";
  if (o.dropout > 0) text += fmt::format(", dropout = {}", o.dropout);
  if (o.bidirectional) text += ", bidirectional = true";
  if (o.proj_size > 0) text += fmt::format(", proj_size = {}", o.proj_size);
  if (o.nonlinearity == Rnn::relu) text += ", nonlinearity = relu";
  return text;
}

namespace {

LstmSequence with_cell(RecurrentSequence y) { return {std::move(y.output), std::move(y.h), {}}; }
RecurrentSequence without_cell(LstmSequence y) { return {std::move(y.output), std::move(y.h)}; }

LstmSequence run_rnn(const Tensor& x, const Tensor& h, const Tensor&, const RecurrentWeights& w, Rnn f, bool reverse) {
  return with_cell(rnn(x, h, w, f, reverse));
}
LstmSequence run_gru(const Tensor& x, const Tensor& h, const Tensor&, const RecurrentWeights& w, Rnn, bool reverse) {
  return with_cell(gru(x, h, w, reverse));
}
LstmSequence run_lstm(const Tensor& x, const Tensor& h, const Tensor& c, const RecurrentWeights& w, Rnn, bool reverse) {
  return lstm(x, h, c, w, reverse);
}

}  // namespace

RNN::RNN(int64_t input, int64_t hidden, const RecurrentOptions& o)
    : RecurrentLayer("RNN", run_rnn, 1, input, hidden, o) {}
RecurrentSequence RNN::forward(const Tensor& x, const Tensor& h) const { return without_cell(run(x, h, {})); }

GRU::GRU(int64_t input, int64_t hidden, const RecurrentOptions& o)
    : RecurrentLayer("GRU", run_gru, 3, input, hidden, o) {}
RecurrentSequence GRU::forward(const Tensor& x, const Tensor& h) const { return without_cell(run(x, h, {})); }

LSTM::LSTM(int64_t input, int64_t hidden, const RecurrentOptions& o)
    : RecurrentLayer("LSTM", run_lstm, 4, input, hidden, o) {}
LstmSequence LSTM::forward(const Tensor& x, const Tensor& h, const Tensor& c) const { return run(x, h, c); }

// ---- cells ----

RecurrentCell::RecurrentCell(const char* type, int64_t gates, int64_t input, int64_t hidden, const CellOptions& o) {
  check_sizes(type, input, hidden);
  if (o.nonlinearity != Rnn::tanh && gates != 1)
    fail<ValueError>("[{}] has its own functions; nonlinearity is for RNNCell", type);
  static_cast<void>(Dims{gates, hidden}.product(type));
  weight_ih = starting({gates * hidden, input}, hidden, o.dtype);
  weight_hh = starting({gates * hidden, hidden}, hidden, o.dtype);
  if (!o.bias) return;
  bias_ih = starting({gates * hidden}, hidden, o.dtype);
  bias_hh = starting({gates * hidden}, hidden, o.dtype);
}

std::string RecurrentCell::settings() const {
  return fmt::format("{}, {}{}", weight_ih.size(1), weight_hh.size(1), bias_ih.defined() ? "" : ", bias = false");
}

namespace {

/// A step is a sequence of one: x and the states in the shapes of one, and a result back in that of x.
struct Step {
  Step(const char* type, const Tensor& x_) : one(x_.rank() == 1) {
    if (x_.rank() != 1 && x_.rank() != 2)
      fail<ShapeError>("[{}] x is {}; it must be (N, input) or (input,)", type, x_.shape());
    x = unsqueeze(state(x_), 0);
  }
  Tensor state(const Tensor& t) const { return one && t.defined() ? unsqueeze(t, 0) : t; }
  Tensor result(const Tensor& t) const { return one ? squeeze(t, 0) : t; }
  bool one;
  Tensor x;
};

}  // namespace

RNNCell::RNNCell(int64_t input, int64_t hidden, const CellOptions& o)
    : RecurrentCell("RNNCell", 1, input, hidden, o), nonlinearity(o.nonlinearity) {}
Tensor RNNCell::forward(const Tensor& x, const Tensor& h) const {
  const Step step("RNNCell", x);
  return step.result(rnn(step.x, step.state(h), step_weights(), nonlinearity).h);
}

GRUCell::GRUCell(int64_t input, int64_t hidden, const CellOptions& o) : RecurrentCell("GRUCell", 3, input, hidden, o) {}
Tensor GRUCell::forward(const Tensor& x, const Tensor& h) const {
  const Step step("GRUCell", x);
  return step.result(gru(step.x, step.state(h), step_weights()).h);
}

LSTMCell::LSTMCell(int64_t input, int64_t hidden, const CellOptions& o)
    : RecurrentCell("LSTMCell", 4, input, hidden, o) {}
std::pair<Tensor, Tensor> LSTMCell::forward(const Tensor& x, const Tensor& h, const Tensor& c) const {
  const Step step("LSTMCell", x);
  const LstmSequence y = lstm(step.x, step.state(h), step.state(c), step_weights());
  return {step.result(y.h), step.result(y.c)};
}

}  // namespace cotangent::nn
