#include <cotangent/nn/attention/transformer.hpp>

#include <algorithm>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/nn/attention/multihead.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent::nn {
namespace {

void check_options(const char* layer, const TransformerLayerOptions& o) {
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

Linear first_linear(int64_t width, const TransformerLayerOptions& o) {
  return Linear(width, is_gated(o.activation) ? 2 * o.inner : o.inner, {.bias = o.bias, .dtype = o.dtype});
}
Linear second_linear(int64_t width, const TransformerLayerOptions& o) {
  return Linear(o.inner, width, {.bias = o.bias, .dtype = o.dtype});
}
LayerNorm normalization(int64_t width, const TransformerLayerOptions& o) {
  return LayerNorm(width, {.eps = o.eps, .bias = o.bias, .dtype = o.dtype});
}

template <class F>
Tensor residual(const Tensor& x, LayerNorm& norm, bool norm_first, F f) {
  return norm_first ? x + f(norm(x)) : norm(x + f(x));
}

std::string describe(int64_t width, int64_t inner, Activation activation, bool norm_first, const Dropout& dropout) {
  return fmt::format("{}, inner = {}, {}{}{}", width, inner, name(activation), norm_first ? ", norm_first = true" : "",
                     dropout.p > 0 ? fmt::format(", dropout = {}", dropout.p) : "");
}

void check_state(const char* layer, const StreamState* state, size_t parts) {
  if (state && state->layers.size() != parts)
    fail<ValueError>("[{}] a state of {} parts for {}; start() makes one that fits", layer, state->layers.size(),
                     parts);
}

template <class Layers>
const auto& first_of(const char* stack, const Layers& layers) {
  if (layers.empty()) fail<ValueError>("[{}] no layers; there must be at least 1", stack);
  return layers[0];
}

}  // namespace

// ---- TransformerEncoderLayer ----

TransformerEncoderLayer::TransformerEncoderLayer(AnySequenceLayer attention, const TransformerLayerOptions& o)
    : SequenceLayer(checked("TransformerEncoderLayer", attention, o).width(),
                    checked("TransformerEncoderLayer", attention, o).causal()),
      self_attn(std::move(attention)),
      norm1(normalization(width(), o)),
      dropout(o.dropout),
      activation(o.activation),
      norm_first(o.norm_first) {
  if (o.inner == 0) return;
  linear1 = first_linear(width(), o);
  linear2 = second_linear(width(), o);
  norm2 = normalization(width(), o);
}

TransformerEncoderLayer::TransformerEncoderLayer(int64_t width, int64_t heads, const TransformerLayerOptions& o)
    : TransformerEncoderLayer(softmax_attention("TransformerEncoderLayer", width, heads, false, o), o) {}

std::string TransformerEncoderLayer::settings() const {
  return describe(width(), linear2 ? linear2->weight.size(1) : 0, activation, norm_first, dropout);
}

Tensor TransformerEncoderLayer::run(const Tensor& x, const SequenceCall& call, StreamState* state) {
  if (call.memory.defined())
    fail<ValueError>("[TransformerEncoderLayer] takes no memory; TransformerDecoderLayer does");
  check_state("TransformerEncoderLayer", state, 1);
  const Tensor y = residual(x, norm1, norm_first, [&](const Tensor& v) {
    return dropout(state ? self_attn->step(v, state->layers[0], call.key_mask) : self_attn(v, call));
  });
  if (!linear1) return y;
  return residual(y, *norm2, norm_first,
                  [&](const Tensor& v) { return dropout((*linear2)(dropout(activate(activation, (*linear1)(v))))); });
}

std::vector<StreamState> TransformerEncoderLayer::start_layers(int64_t batch) { return {self_attn->start(batch)}; }

// ---- TransformerEncoder ----

TransformerEncoder::TransformerEncoder(std::vector<TransformerEncoderLayer> layers_, std::optional<LayerNorm> norm_)
    : SequenceLayer(first_of("TransformerEncoder", layers_).width(),
                    std::all_of(layers_.begin(), layers_.end(), [](const auto& layer) { return layer.causal(); })),
      layers(std::move(layers_)),
      norm(std::move(norm_)) {}

bool TransformerEncoder::has(SequenceForm form) const {
  return std::all_of(layers.begin(), layers.end(), [=](const auto& layer) { return layer.has(form); });
}

Tensor TransformerEncoder::run(const Tensor& x, const SequenceCall& call, StreamState* state) {
  check_state("TransformerEncoder", state, layers.size());
  Tensor y = x;
  for (size_t i = 0; i < layers.size(); ++i)
    y = state ? layers[i].step(y, state->layers[i], call.key_mask) : layers[i](y, call);
  return norm ? (*norm)(y) : y;
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
      linear1(first_linear(checked("TransformerDecoderLayer", self_attn, o).width(), o)),
      linear2(second_linear(self_attn->width(), o)),
      norm1(normalization(self_attn->width(), o)),
      norm2(normalization(self_attn->width(), o)),
      norm3(normalization(self_attn->width(), o)),
      dropout(o.dropout),
      activation(o.activation),
      norm_first(o.norm_first) {
  if (checked("TransformerDecoderLayer", multihead_attn, o).width() != self_attn->width())
    fail<ValueError>("[TransformerDecoderLayer] attentions of widths {} and {}; they must be equal", self_attn->width(),
                     multihead_attn->width());
}

TransformerDecoderLayer::TransformerDecoderLayer(int64_t width, int64_t heads, const TransformerLayerOptions& o)
    : TransformerDecoderLayer(softmax_attention("TransformerDecoderLayer", width, heads, true, o),
                              softmax_attention("TransformerDecoderLayer", width, heads, false, o), o) {}

std::string TransformerDecoderLayer::settings() const {
  return describe(self_attn->width(), linear2.weight.size(1), activation, norm_first, dropout);
}

Tensor TransformerDecoderLayer::run(const Tensor& x, const Tensor& memory, const DecoderCall& call,
                                    StreamState* state) {
  check_state("TransformerDecoderLayer", state, 2);
  Tensor y = residual(x, norm1, norm_first, [&](const Tensor& v) {
    return dropout(state ? self_attn->step(v, state->layers[0], call.key_mask)
                         : self_attn(v, SequenceCall{.key_mask = call.key_mask, .mask = call.mask}));
  });
  y = residual(y, norm2, norm_first, [&](const Tensor& v) {
    return dropout(
        state ? multihead_attn->step(v, state->layers[1])
              : multihead_attn(
                    v, SequenceCall{.memory = memory, .key_mask = call.memory_key_mask, .mask = call.memory_mask}));
  });
  return residual(y, norm3, norm_first,
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

TransformerDecoder::TransformerDecoder(std::vector<TransformerDecoderLayer> layers_, std::optional<LayerNorm> norm_)
    : layers(std::move(layers_)), norm(std::move(norm_)) {
  first_of("TransformerDecoder", layers);
}

Tensor TransformerDecoder::run(const Tensor& x, const Tensor& memory, const DecoderCall& call, StreamState* state) {
  check_state("TransformerDecoder", state, layers.size());
  Tensor y = x;
  for (size_t i = 0; i < layers.size(); ++i)
    y = state ? layers[i].step(y, state->layers[i], call.key_mask) : layers[i](y, memory, call);
  return norm ? (*norm)(y) : y;
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
              normalization(width, o.layer)),
      decoder(repeat(o.decoder_layers, [&] { return TransformerDecoderLayer(width, heads, o.layer); }),
              normalization(width, o.layer)) {
  for (const Tensor& p : parameters())
    if (p.rank() > 1) init::xavier_uniform_(p);
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

}  // namespace cotangent::nn
