#include <cotangent/zoo/gpt.hpp>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/nn/attention/gated.hpp>
#include <cotangent/nn/attention/linear.hpp>
#include <cotangent/nn/attention/multihead.hpp>
#include <cotangent/nn/attention/sparse.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/nn/sequence/delta_net.hpp>
#include <cotangent/nn/sequence/lru.hpp>
#include <cotangent/nn/sequence/mamba.hpp>
#include <cotangent/nn/sequence/minimal.hpp>
#include <cotangent/nn/sequence/mlstm.hpp>
#include <cotangent/nn/sequence/retention.hpp>
#include <cotangent/nn/sequence/rwkv.hpp>
#include <cotangent/nn/sequence/rwkv7.hpp>
#include <cotangent/nn/sequence/s4.hpp>
#include <cotangent/nn/sequence/s4d.hpp>
#include <cotangent/nn/sequence/tree.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent::zoo {
namespace {

using Names = std::vector<std::string>;

bool contains(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}
void check_name(const char* what, const Names& names, const std::string& name) {
  if (!contains(names, name))
    fail<ValueError>("[GPT] there is no {} called {}; there are {}", what, name,
                     fmt::format("{}", fmt::join(names, ", ")));
}

/// The layers that are no attention.
bool has_state(const GPTOptions& o) {
  static const Names names{"retention", "gla",         "mamba", "mamba2", "rwkv", "rwkv7",   "mlstm",
                           "delta",     "gated-delta", "s4",    "s4d",    "lru",  "min-gru", "min-lstm"};
  return contains(names, o.attention);
}
std::string position(const GPTOptions& o) {
  return o.position != "auto" ? o.position : has_state(o) ? "none" : "learned";
}

/// What an attention knows of places by itself; nothing when they are added to its input.
nn::AnyPosition inner_position(const GPTOptions& o) {
  if (o.position == "rotary") return nn::Rotary();
  if (o.position == "alibi") return nn::Alibi();
  if (o.position == "t5") return nn::T5Bias(o.attention == "gated" ? 1 : o.heads, {.bidirectional = false});
  return {};
}

nn::AnySequenceLayer make_attention(const GPTOptions& o) {
  const nn::AnyPosition positions = inner_position(o);
  const int64_t d = o.width, h = o.heads, part = std::max<int64_t>(o.context / 4, 1);
  const bool bias = o.bias;
  if (o.attention == "local")
    return nn::SparseAttention(d, h, {.window = part, .causal = true, .bias = bias, .positions = positions});
  if (o.attention == "strided")
    return nn::SparseAttention(d, h,
                               {.pattern = SparsePattern::combined,
                                .window = part,
                                .stride = part,
                                .causal = true,
                                .bias = bias,
                                .positions = positions});
  if (o.attention == "diagonal")
    return nn::DiagAttention(d, h, {.block = part, .causal = true, .bias = bias, .positions = positions});
  if (o.attention == "linear") return nn::LinearAttention(d, h, {.causal = true, .bias = bias, .positions = positions});
  if (o.attention == "efficient")
    return nn::EfficientAttention(d, h, {.causal = true, .bias = bias, .positions = positions});
  if (o.attention == "performer")  // how often it was called is no part of a checkpoint, so it never draws anew
    return nn::Performer(d, h, {.redraw_every = 0, .causal = true, .bias = bias, .positions = positions});
  if (o.attention == "norm") return nn::NormAttention(d, h, {.causal = true, .bias = bias, .positions = positions});
  if (o.attention == "gated")  // a single head, and a gate
    return nn::GatedAttentionUnit(
        d, {.length = o.context, .max_length = o.context, .causal = true, .positions = positions});
  if (o.attention == "flash") return nn::MixedChunkAttention(d, {.size = part, .causal = true, .positions = positions});
  const int64_t kv_heads = o.attention == "grouped" ? (h + 1) / 2 : o.attention == "multiquery" ? 1 : h;
  return nn::MultiHeadAttention(
      d, h, {.kv_heads = kv_heads, .causal = true, .bias = bias, .dropout = o.dropout, .positions = positions});
}

/// Layer `i` of the model.
nn::AnySequenceLayer make_state_layer(const GPTOptions& o, int64_t i) {
  const int64_t d = o.width, h = o.heads;
  if (o.attention == "retention") return nn::Retention(d, h);
  if (o.attention == "gla") return nn::GatedLinearAttention(d, h);
  if (o.attention == "mamba") return nn::Mamba(d, {.layers = o.layers});
  if (o.attention == "mamba2") return nn::Mamba2(d, {.states = 2 * d / h, .head_width = 2 * d / h});  // h heads
  if (o.attention == "rwkv") return nn::RwkvTimeMix(d, {.layer = i, .layers = o.layers});
  if (o.attention == "rwkv7") return nn::Rwkv7TimeMix(d, h, {.layer = i, .layers = o.layers});
  if (o.attention == "mlstm") return nn::MLSTM(d, h);
  if (o.attention == "delta") return nn::DeltaNet(d, h);
  if (o.attention == "gated-delta") return nn::GatedDeltaNet(d, h);
  if (o.attention == "s4") return nn::S4(d, {.length = o.context});
  if (o.attention == "s4d") return nn::S4D(d);
  if (o.attention == "lru") return nn::LRU(d, {.states = 2 * d, .min_radius = 0.9, .max_radius = 0.999});
  if (o.attention == "min-gru") return nn::MinGRU(d, {.hidden = 2 * d});
  return nn::MinLSTM(d, {.hidden = 2 * d});
}

void check_options(const GPTOptions& o) {
  check_name("attention", gpt_attentions(), o.attention);
  check_name("encoding of positions", gpt_positions(), o.position);
  if (has_state(o) && inner_position(o))
    fail<ValueError>("[GPT] {} takes no {} positions, which attention applies; take auto, none, learned or sinusoidal",
                     o.attention, o.position);
  if (o.heads < 1) fail<ValueError>("[GPT] {} heads; there must be at least 1", o.heads);
  cotangent::detail::check_fraction("GPT", "dropout", o.dropout);
}

/// Pre-norm: x + attention(norm(x)), then x + mlp(norm(x)). What is added is computed from normalized values, and the
/// sum itself goes from the first layer to the last untouched.
nn::TransformerEncoder make_blocks(const GPTOptions& o) {
  check_options(o);
  const bool mixes_channels = o.attention == "rwkv";  // a layer of its own in place of the feed-forward
  const nn::TransformerLayerOptions options{.inner = mixes_channels ? 0 : 4 * o.width,
                                            .dropout = o.dropout,
                                            .activation = nn::Activation::gelu,
                                            .norm_first = true,
                                            .bias = o.bias};
  std::vector<nn::TransformerEncoderLayer> layers;
  for (int64_t i = 0; i < o.layers; ++i) {
    layers.emplace_back(has_state(o) ? make_state_layer(o, i) : make_attention(o), options);
    if (mixes_channels) layers.emplace_back(nn::RwkvChannelMix(o.width, {.layer = i, .layers = o.layers}), options);
  }
  return nn::TransformerEncoder(std::move(layers), nn::LayerNorm(o.width, {.bias = o.bias}));
}

/// The layers of a state are left as they are.
void start_as_gpt2(nn::TransformerEncoder& blocks, const GPTOptions& o) {
  for (NamedTensor& p : blocks.named_parameters()) {
    if (has_state(o) && p.name.find("self_attn") != std::string::npos) continue;
    const bool adds = p.name.ends_with("out_proj.weight") || p.name.ends_with("linear2.weight");
    if (p.tensor.rank() == 1 && p.name.ends_with("bias")) nn::init::zeros_(p.tensor);
    if (p.tensor.rank() == 2 && p.name.ends_with("weight"))
      nn::init::normal_(p.tensor, 0, adds ? 0.02 / std::sqrt(2.0 * static_cast<double>(o.layers)) : 0.02);
  }
}

}  // namespace

const std::vector<std::string>& gpt_attentions() {
  static const Names names{"multihead", "grouped",   "multiquery", "local",   "strided", "diagonal",  "linear",
                           "efficient", "performer", "norm",       "gated",   "flash",   "retention", "gla",
                           "mamba",     "mamba2",    "rwkv",       "rwkv7",   "mlstm",   "delta",     "gated-delta",
                           "s4",        "s4d",       "lru",        "min-gru", "min-lstm"};
  return names;
}

const std::vector<std::string>& gpt_positions() {
  static const Names names{"auto", "learned", "sinusoidal", "rotary", "alibi", "t5", "none"};
  return names;
}

GPT::GPT(int64_t vocabulary, const GPTOptions& o)
    : token(vocabulary, o.width),
      blocks(make_blocks(o)),
      head(o.width, vocabulary, {.bias = false}),
      dropout(o.dropout),
      context(o.context),
      endless(has_state(o) && position(o) == "none") {
  if (position(o) == "learned") learned.emplace(o.context, o.width);
  if (position(o) == "sinusoidal") sinusoidal.emplace(o.width);
  if (o.attention.starts_with("rwkv")) embedding_norm.emplace(o.width, nn::LayerNormOptions{.bias = o.bias});
  nn::init::normal_(token.weight, 0, sinusoidal ? 1 : 0.02);  // no smaller than what is added
  if (o.gpt2_init) {
    start_as_gpt2(blocks, o);
    nn::init::normal_(head.weight, 0, 0.02);
  }
  if (o.tied) head.weight = token.weight;
}

Tensor GPT::embed(const Tensor& tokens, int64_t start) {  // (B, T) -> (B, T, width)
  return dropout(placed(token(tokens), start));
}

Tensor GPT::placed(const Tensor& x, int64_t start) {
  const Tensor y = learned ? (*learned)(x, start) : sinusoidal ? (*sinusoidal)(x, start) : x;
  return embedding_norm ? (*embedding_norm)(y) : y;
}

Tensor GPT::hidden(const Tensor& tokens) { return blocks(embed(tokens, 0)); }
Tensor GPT::forward(const Tensor& tokens) { return head(hidden(tokens)); }

Tensor GPT::step_hidden(const Tensor& tokens, nn::StreamState& state) {
  const Tensor x = embed(tokens, state.length);
  return blocks.step(x, state);
}
Tensor GPT::step(const Tensor& tokens, nn::StreamState& state) { return head(step_hidden(tokens, state)); }

Tensor GPT::step_tree(const Tensor& tokens, nn::StreamState& state, const Tensor& parents) {
  Tensor x = token(tokens);
  if (learned || sinusoidal) {  // what is added is that of the depth
    const auto depths = nn::checked_depths("step_tree", parents);
    const Tensor places =
        placed(zeros({1, depths.empty() ? 0 : depths.back() + 1, x.size(-1)}, x.dtype()), state.length);
    x = x + index_select(places, 1, from_vector(depths, {parents.numel()}));
  }
  return blocks.step_tree(dropout(x), state, parents);
}

Tensor GPT::write(const Tensor& prompt, int64_t count, const nn::SamplingOptions& sampling, Generator& generator) {
  nn::StreamState state = start(prompt.size(0));
  Tensor written = empty({prompt.size(0), 0}, int64);
  const auto next = [&](const Tensor& tokens) {
    written = cat({written, tokens}, 1);
    if (endless || state.length + tokens.size(1) <= context) return step(tokens, state);
    const int64_t kept = std::max<int64_t>(context / 2, 1);
    state = start(prompt.size(0));
    return step(written.narrow(1, written.size(1) - kept, kept), state);
  };
  return nn::generate(next, prompt, count, sampling, generator);
}

}  // namespace cotangent::zoo
