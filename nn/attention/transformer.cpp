#include <cotangent/nn/attention/transformer.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/attention/multihead.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent::nn {
namespace {

void check_options(const char* layer, const TransformerLayerOptions& o) {
  const ResidualOptions& r = o.residual;
  for (const double factor : {r.skip, r.gate.value_or(1), r.inner_gain, r.last_gain})
    if (!std::isfinite(factor))
      fail<ValueError>("[{}] a residual with a factor of {}; skip, gate and gains must be finite", layer, factor);
  cotangent::detail::check_fraction(layer, "dropout", o.dropout);
  cotangent::detail::check_not_negative(layer, "eps", o.eps);
}

template <class Layer>
const Layer& checked(const char* layer, const Any<Layer>& attention, const TransformerLayerOptions& o) {
  check_options(layer, o);
  if (!attention) fail<ValueError>("[{}] an empty attention; give it one", layer);
  return *attention;
}

MultiHeadAttention softmax_attention(const char* layer, int64_t width, int64_t heads, bool causal,
                                     const TransformerLayerOptions& o) {
  check_options(layer, o);
  return MultiHeadAttention(width, heads, {.causal = causal, .bias = o.bias, .dropout = o.dropout, .dtype = o.dtype});
}

Linear first_linear(const char* layer, int64_t width, const TransformerLayerOptions& o) {
  if (o.inner < 1) fail<ValueError>("[{}] an inner width of {}; it must be at least 1", layer, o.inner);
  return Linear(width, is_gated(o.activation) ? 2 * o.inner : o.inner, {.bias = o.bias, .dtype = o.dtype});
}
Linear second_linear(int64_t width, const TransformerLayerOptions& o) {
  return Linear(o.inner, width, {.bias = o.bias, .dtype = o.dtype});
}
AnyNorm any_norm(int64_t width, const TransformerLayerOptions& o) {
  return normalization(o.norm, width, {.eps = o.eps, .bias = o.bias, .dtype = o.dtype});
}
AnyNorm norm_of(int64_t width, const TransformerLayerOptions& o) {
  return o.residual.normalized ? any_norm(width, o) : AnyNorm();
}
Parameter first_gate(const TransformerLayerOptions& o) {
  return o.residual.gate ? Parameter(full({}, *o.residual.gate, o.dtype)) : Parameter();
}

/// x with the branch f, of the parts of a layer with that number.
template <class Layer, class F>
Tensor add_branch(Layer& layer, const Tensor& x, AnyNorm& norm, const Tensor& gate, F f) {
  Tensor y = f(norm && layer.norm_first ? norm(x) : x);
  if (gate.defined()) y = y * gate;
  y = (layer.residual.skip == 1 ? x : x * layer.residual.skip) + y;
  return norm && !layer.norm_first ? norm(y) : y;
}

void multiply(const Tensor& x, double factor) {
  if (x.defined()) x.detach().mul_(factor);
}
void multiply(std::optional<Linear>& layer, double factor) {
  if (layer) multiply(layer->weight, factor), multiply(layer->bias, factor);
}

/// Multiplies the starting values of the values and of out_proj.
void start_attention(const char* layer, SequenceLayer& branch, const ResidualOptions& o) {
  if (o.inner_gain == 1 && o.last_gain == 1) return;
  auto* attention = dynamic_cast<HeadedAttention*>(&branch);
  if (!attention)
    fail<ValueError>("[{}] a residual with gains scales the starting values of attention with heads; {} has none",
                     layer, branch.type_name());
  const int64_t rows = attention->width() / attention->heads * attention->kv_heads;
  const auto values = [&](const Tensor& p) { return p.defined() ? narrow(p.detach(), 0, p.size(0) - rows, rows) : p; };
  multiply(values(attention->in_proj_weight), o.inner_gain);
  multiply(values(attention->in_proj_bias), o.inner_gain);
  multiply(attention->out_proj.weight, o.last_gain);
  multiply(attention->out_proj.bias, o.last_gain);
}
void start_branches(TransformerEncoderLayer& layer) {
  start_attention("TransformerEncoderLayer", *layer.self_attn, layer.residual);
  multiply(layer.linear1, layer.residual.inner_gain);
  multiply(layer.linear2, layer.residual.last_gain);
}
void start_branches(TransformerDecoderLayer& layer) {
  for (AnyAttention* attention : {&layer.self_attn, &layer.multihead_attn})
    start_attention("TransformerDecoderLayer", **attention, layer.residual);
  for (const Tensor& p : layer.linear1.parameters()) multiply(p, layer.residual.inner_gain);
  for (const Tensor& p : layer.linear2.parameters()) multiply(p, layer.residual.last_gain);
}

template <class Layer>
std::string layer_settings(const Layer& layer, int64_t width, int64_t inner) {
  const ResidualOptions& r = layer.residual;
  std::string text = fmt::format("{}, inner = {}, {}", width, inner, name(layer.activation));
  if (!r.normalized) text += ", no norms";
  if (r.normalized && layer.norm_first) text += ", norm_first = true";
  if (r.skip != 1) text += fmt::format(", skip = {:.4g}", r.skip);
  if (r.gate) text += fmt::format(", gate = {}", *r.gate);
  if (layer.dropout.p > 0) text += fmt::format(", dropout = {}", layer.dropout.p);
  return text;
}

ResidualOptions deep(double skip, double gain) { return {.skip = skip, .inner_gain = gain, .last_gain = gain}; }
double depth(const char* function, int64_t layers) {
  if (layers < 1) fail<ValueError>("[{}] {} layers; there must be at least 1", function, layers);
  return static_cast<double>(layers);
}

void check_state(const char* layer, const StreamState* state, size_t parts) {
  if (state && state->layers.size() != parts)
    fail<ValueError>("[{}] a state of {} parts for {}; start() makes one that fits", layer, state->layers.size(),
                     parts);
}

/// What an inner layer does of a call, with its part of the state if there is one.
Tensor next_of(SequenceLayer& layer, const Tensor& x, const SequenceCall& call, StreamState* state) {
  if (!state) return layer(x, call);
  return call.parents.defined() ? layer.step_tree(x, *state, call.parents) : layer.step(x, *state, call.key_mask);
}

template <class Layers>
const auto& first_of(const char* stack, const Layers& layers) {
  if (layers.empty()) fail<ValueError>("[{}] no layers; there must be at least 1", stack);
  return layers[0];
}

}  // namespace

// ---- residual layouts ----

ResidualOptions deep_norm(int64_t layers) {
  const double n = depth("deep_norm", layers);
  return deep(std::pow(2 * n, 0.25), std::pow(8 * n, -0.25));
}
ResidualOptions deep_norm_encoder(int64_t encoder_layers, int64_t decoder_layers) {
  const double root = std::pow(
      std::pow(depth("deep_norm_encoder", encoder_layers), 4) * depth("deep_norm_encoder", decoder_layers), 1.0 / 16);
  return deep(0.81 * root, 0.87 / root);
}
ResidualOptions deep_norm_decoder(int64_t layers) {
  const double m = depth("deep_norm_decoder", layers);
  return deep(std::pow(3 * m, 0.25), std::pow(12 * m, -0.25));
}
ResidualOptions rezero() { return {.gate = 0, .normalized = false}; }
ResidualOptions fixup(int64_t layers) {
  return {.gate = 1, .normalized = false, .inner_gain = 1 / std::sqrt(2 * depth("fixup", layers)), .last_gain = 0};
}

// ---- TransformerEncoderLayer ----

TransformerEncoderLayer::TransformerEncoderLayer(AnySequenceLayer attention, const TransformerLayerOptions& o)
    : SequenceLayer(checked("TransformerEncoderLayer", attention, o).width(),
                    checked("TransformerEncoderLayer", attention, o).causal()),
      self_attn(std::move(attention)),
      norm1(norm_of(width(), o)),
      gate1(first_gate(o)),
      dropout(o.dropout),
      activation(o.activation),
      norm_first(o.norm_first),
      residual(o.residual) {
  if (o.inner != 0) {
    linear1 = first_linear("TransformerEncoderLayer", width(), o);
    linear2 = second_linear(width(), o);
    norm2 = norm_of(width(), o);
    gate2 = first_gate(o);
  }
  start_branches(*this);
}

TransformerEncoderLayer::TransformerEncoderLayer(int64_t width, int64_t heads, const TransformerLayerOptions& o)
    : TransformerEncoderLayer(softmax_attention("TransformerEncoderLayer", width, heads, false, o), o) {}

std::string TransformerEncoderLayer::settings() const {
  return layer_settings(*this, width(), linear2 ? linear2->weight.size(1) : 0);
}

Tensor TransformerEncoderLayer::run(const Tensor& x, const SequenceCall& call, StreamState* state) {
  if (call.memory.defined())
    fail<ValueError>("[TransformerEncoderLayer] takes no memory; TransformerDecoderLayer does");
  check_state("TransformerEncoderLayer", state, 1);
  const Tensor y = add_branch(*this, x, norm1, gate1, [&](const Tensor& v) {
    return dropout(next_of(*self_attn, v, call, state ? &state->layers[0] : nullptr));
  });
  if (!linear1) return y;
  return add_branch(*this, y, norm2, gate2,
                    [&](const Tensor& v) { return dropout((*linear2)(dropout(activate(activation, (*linear1)(v))))); });
}

std::vector<StreamState> TransformerEncoderLayer::start_layers(int64_t batch) { return {self_attn->start(batch)}; }

// ---- TransformerEncoder ----

TransformerEncoder::TransformerEncoder(std::vector<TransformerEncoderLayer> layers_, AnyNorm norm_)
    : SequenceLayer(first_of("TransformerEncoder", layers_).width(),
                    std::all_of(layers_.begin(), layers_.end(), [](const auto& layer) { return layer.causal(); })),
      layers(std::move(layers_)),
      norm(std::move(norm_)) {}

bool TransformerEncoder::has(SequenceForm form) const {
  return std::all_of(layers.begin(), layers.end(), [=](const auto& layer) { return layer.has(form); });
}

bool TransformerEncoder::has_trees() const {
  return std::all_of(layers.begin(), layers.end(), [](const auto& layer) { return layer.has_trees(); });
}

Tensor TransformerEncoder::run(const Tensor& x, const SequenceCall& call, StreamState* state) {
  check_state("TransformerEncoder", state, layers.size());
  Tensor y = x;
  for (size_t i = 0; i < layers.size(); ++i) y = next_of(layers[i], y, call, state ? &state->layers[i] : nullptr);
  return norm ? norm(y) : y;
}

std::vector<StreamState> TransformerEncoder::start_layers(int64_t batch) {
  std::vector<StreamState> states;
  for (TransformerEncoderLayer& layer : layers) states.push_back(layer.start(batch));
  return states;
}

// ---- TransformerDecoderLayer ----

TransformerDecoderLayer::TransformerDecoderLayer(AnyAttention self, AnyAttention cross,
                                                 const TransformerLayerOptions& o)
    : self_attn(std::move(self)),
      multihead_attn(std::move(cross)),
      linear1(first_linear("TransformerDecoderLayer", checked("TransformerDecoderLayer", self_attn, o).width(), o)),
      linear2(second_linear(self_attn->width(), o)),
      norm1(norm_of(self_attn->width(), o)),
      norm2(norm_of(self_attn->width(), o)),
      norm3(norm_of(self_attn->width(), o)),
      gate1(first_gate(o)),
      gate2(first_gate(o)),
      gate3(first_gate(o)),
      dropout(o.dropout),
      activation(o.activation),
      norm_first(o.norm_first),
      residual(o.residual) {
  if (checked("TransformerDecoderLayer", multihead_attn, o).width() != self_attn->width())
    fail<ValueError>("[TransformerDecoderLayer] attentions of widths {} and {}; they must be equal", self_attn->width(),
                     multihead_attn->width());
  start_branches(*this);
}

TransformerDecoderLayer::TransformerDecoderLayer(int64_t width, int64_t heads, const TransformerLayerOptions& o)
    : TransformerDecoderLayer(softmax_attention("TransformerDecoderLayer", width, heads, true, o),
                              softmax_attention("TransformerDecoderLayer", width, heads, false, o), o) {}

std::string TransformerDecoderLayer::settings() const {
  return layer_settings(*this, self_attn->width(), linear2.weight.size(1));
}

Tensor TransformerDecoderLayer::run(const Tensor& x, const Tensor& memory, const DecoderCall& call,
                                    StreamState* state) {
  check_state("TransformerDecoderLayer", state, 2);
  Tensor y = add_branch(*this, x, norm1, gate1, [&](const Tensor& v) {
    return dropout(state ? self_attn->step(v, state->layers[0], call.key_mask)
                         : self_attn(v, SequenceCall{.key_mask = call.key_mask, .mask = call.mask}));
  });
  y = add_branch(*this, y, norm2, gate2, [&](const Tensor& v) {
    return dropout(
        state ? multihead_attn->step(v, state->layers[1])
              : multihead_attn(
                    v, SequenceCall{.memory = memory, .key_mask = call.memory_key_mask, .mask = call.memory_mask}));
  });
  return add_branch(*this, y, norm3, gate3,
                    [&](const Tensor& v) { return dropout(linear2(dropout(activate(activation, linear1(v))))); });
}

Tensor TransformerDecoderLayer::forward(const Tensor& x, const Tensor& memory, const DecoderCall& call) {
  return run(x, memory, call, nullptr);
}

Tensor TransformerDecoderLayer::operator()(const Tensor& x, const Tensor& memory, const DecoderCall& call) {
  return detail::within(*this, [&] { return forward(x, memory, call); });
}

StreamState TransformerDecoderLayer::start(const Tensor& memory, const Tensor& memory_key_mask) {
  return detail::within(*this, [&] {
    StreamState cross = multihead_attn->start_cross(memory, memory_key_mask);  // checks the memory
    return StreamState{.batch = memory.size(0), .layers = {self_attn->start(memory.size(0)), cross}};
  });
}

Tensor TransformerDecoderLayer::step(const Tensor& x, StreamState& state, const Tensor& key_mask) {
  return detail::within(*this, [&] {
    return state.advance(x.size(1), [&](StreamState& next) { return run(x, {}, {.key_mask = key_mask}, &next); });
  });
}

// ---- TransformerDecoder ----

TransformerDecoder::TransformerDecoder(std::vector<TransformerDecoderLayer> layers_, AnyNorm norm_)
    : layers(std::move(layers_)), norm(std::move(norm_)) {
  first_of("TransformerDecoder", layers);
}

Tensor TransformerDecoder::run(const Tensor& x, const Tensor& memory, const DecoderCall& call, StreamState* state) {
  check_state("TransformerDecoder", state, layers.size());
  Tensor y = x;
  for (size_t i = 0; i < layers.size(); ++i)
    y = state ? layers[i].step(y, state->layers[i], call.key_mask) : layers[i](y, memory, call);
  return norm ? norm(y) : y;
}

Tensor TransformerDecoder::forward(const Tensor& x, const Tensor& memory, const DecoderCall& call) {
  return run(x, memory, call, nullptr);
}

Tensor TransformerDecoder::operator()(const Tensor& x, const Tensor& memory, const DecoderCall& call) {
  return detail::within(*this, [&] { return forward(x, memory, call); });
}

StreamState TransformerDecoder::start(const Tensor& memory, const Tensor& memory_key_mask) {
  return detail::within(*this, [&] {
    StreamState state{.batch = memory.size(0)};
    for (TransformerDecoderLayer& layer : layers) state.layers.push_back(layer.start(memory, memory_key_mask));
    return state;
  });
}

Tensor TransformerDecoder::step(const Tensor& x, StreamState& state, const Tensor& key_mask) {
  return detail::within(*this, [&] {
    return state.advance(x.size(1), [&](StreamState& next) { return run(x, {}, {.key_mask = key_mask}, &next); });
  });
}

// ---- Transformer ----

Transformer::Transformer(TransformerEncoder encoder_, TransformerDecoder decoder_)
    : encoder(std::move(encoder_)), decoder(std::move(decoder_)) {
  if (encoder.width() != decoder.layers[0].self_attn->width())
    fail<ValueError>("[Transformer] an encoder of width {} and a decoder of width {}; they must be equal",
                     encoder.width(), decoder.layers[0].self_attn->width());
}

Transformer::Transformer(int64_t width, int64_t heads, const TransformerOptions& o)
    : encoder(repeat(o.encoder_layers, [&] { return TransformerEncoderLayer(width, heads, o.layer); }),
              any_norm(width, o.layer)),
      decoder(repeat(o.decoder_layers, [&] { return TransformerDecoderLayer(width, heads, o.layer); }),
              any_norm(width, o.layer)) {
  for (const Tensor& p : parameters())
    if (p.rank() > 1) init::xavier_uniform_(p);
  for (auto& layer : encoder.layers) start_branches(layer);
  for (auto& layer : decoder.layers) start_branches(layer);
}

Tensor Transformer::forward(const Tensor& source, const Tensor& target, const TransformerCall& call) {
  const Tensor memory = encoder(source, SequenceCall{.key_mask = call.source_key_mask, .mask = call.source_mask});
  return decoder(target, memory,
                 DecoderCall{.key_mask = call.target_key_mask,
                             .mask = call.target_mask,
                             .memory_key_mask = call.source_key_mask,
                             .memory_mask = call.memory_mask});
}

Tensor Transformer::operator()(const Tensor& source, const Tensor& target, const TransformerCall& call) {
  return detail::within(*this, [&] { return forward(source, target, call); });
}

StreamState Transformer::start(const Tensor& source, const Tensor& source_key_mask) {
  return detail::within(*this, [&] {
    return decoder.start(encoder(source, SequenceCall{.key_mask = source_key_mask}), source_key_mask);
  });
}

Tensor Transformer::step(const Tensor& target, StreamState& state, const Tensor& key_mask) {
  return detail::within(*this, [&] { return decoder.step(target, state, key_mask); });
}

// ---- T5's start ----

namespace {

void start(const Tensor& x, int64_t fan_in) {
  if (x.defined()) init::normal_(x, 0, 1 / std::sqrt(static_cast<double>(fan_in)));
}
void start(Linear& layer) {
  start(layer.weight, layer.weight.size(1));
  if (layer.bias.defined()) init::zeros_(layer.bias);
}

}  // namespace

void start_as_t5(Module& model) {
  model.apply<MultiHeadAttention>([](MultiHeadAttention& attention) {
    if (attention.scale != ScoreScale::none)
      fail<ValueError>("[start_as_t5] {}({}) divides its scores; give it ScoreScale::none", attention.type_name(),
                       attention.settings());
    const int64_t d = attention.width(), dh = d / attention.heads;
    start(attention.in_proj_weight, d);
    multiply(narrow(attention.in_proj_weight.detach(), 0, 0, d), 1 / std::sqrt(static_cast<double>(dh)));
    if (attention.in_proj_bias.defined()) init::zeros_(attention.in_proj_bias);
    start(attention.out_proj);
    if (attention.positions)
      if (auto* bias = dynamic_cast<T5Bias*>(&*attention.positions)) start(bias->weight, d);
  });
  model.apply<TransformerEncoderLayer>([](TransformerEncoderLayer& layer) {
    if (layer.linear1) start(*layer.linear1), start(*layer.linear2);
  });
  model.apply<TransformerDecoderLayer>(
      [](TransformerDecoderLayer& layer) { start(layer.linear1), start(layer.linear2); });
}

}  // namespace cotangent::nn
