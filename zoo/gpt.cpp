#include <cotangent/zoo/gpt.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/nn/attention/gated.hpp>
#include <cotangent/nn/attention/linear.hpp>
#include <cotangent/nn/attention/multihead.hpp>
#include <cotangent/nn/attention/sparse.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent::zoo {
namespace {

void check_name(const char* what, const std::vector<std::string>& names, const std::string& name) {
  if (std::find(names.begin(), names.end(), name) == names.end())
    fail<ValueError>("[GPT] there is no {} called {}; there are {}", what, name,
                     fmt::format("{}", fmt::join(names, ", ")));
}

/// What an attention knows of places by itself; nothing when they are added to its input.
nn::AnyPosition inner_position(const GPTOptions& o) {
  if (o.position == "rotary") return nn::Rotary();
  if (o.position == "alibi") return nn::Alibi();
  if (o.position == "t5") return nn::T5Bias(o.attention == "gated" ? 1 : o.heads, {.bidirectional = false});
  return {};
}

nn::AnySequenceLayer make_attention(const GPTOptions& o) {
  check_name("attention", gpt_attentions(), o.attention);
  check_name("encoding of positions", gpt_positions(), o.position);
  const nn::AnyPosition positions = inner_position(o);
  const int64_t d = o.width, h = o.heads, part = std::max<int64_t>(o.context / 4, 1);
  if (o.attention == "local")
    return nn::SparseAttention(d, h, {.window = part, .causal = true, .positions = positions});
  if (o.attention == "strided")
    return nn::SparseAttention(
        d, h,
        {.pattern = SparsePattern::combined, .window = part, .stride = part, .causal = true, .positions = positions});
  if (o.attention == "diagonal")
    return nn::DiagAttention(d, h, {.block = part, .causal = true, .positions = positions});
  if (o.attention == "linear") return nn::LinearAttention(d, h, {.causal = true, .positions = positions});
  if (o.attention == "efficient") return nn::EfficientAttention(d, h, {.causal = true, .positions = positions});
  if (o.attention == "performer")  // how often it was called is no part of a checkpoint, so it never draws anew
    return nn::Performer(d, h, {.redraw_every = 0, .causal = true, .positions = positions});
  if (o.attention == "norm") return nn::NormAttention(d, h, {.causal = true, .positions = positions});
  if (o.attention == "gated")  // a single head, and a gate
    return nn::GatedAttentionUnit(
        d, {.length = o.context, .max_length = o.context, .causal = true, .positions = positions});
  if (o.attention == "flash") return nn::MixedChunkAttention(d, {.size = part, .causal = true, .positions = positions});
  const int64_t kv_heads = o.attention == "grouped" ? (h + 1) / 2 : o.attention == "multiquery" ? 1 : h;
  return nn::MultiHeadAttention(d, h,
                                {.kv_heads = kv_heads, .causal = true, .dropout = o.dropout, .positions = positions});
}

/// Pre-norm: x + attention(norm(x)), then x + mlp(norm(x)). What is added is computed from normalized values, and the
/// sum itself goes from the first layer to the last untouched.
nn::TransformerEncoder make_blocks(const GPTOptions& o) {
  cotangent::detail::check_fraction("GPT", "dropout", o.dropout);
  const auto layer = [&] {
    return nn::TransformerEncoderLayer(
        make_attention(o),
        {.inner = 4 * o.width, .dropout = o.dropout, .activation = nn::Activation::gelu, .norm_first = true});
  };
  return nn::TransformerEncoder(nn::repeat(o.layers, layer), nn::LayerNorm(o.width));
}

}  // namespace

const std::vector<std::string>& gpt_attentions() {
  static const std::vector<std::string> names{"multihead", "grouped",   "multiquery", "local", "strided", "diagonal",
                                              "linear",    "efficient", "performer",  "norm",  "gated",   "flash"};
  return names;
}

const std::vector<std::string>& gpt_positions() {
  static const std::vector<std::string> names{"learned", "sinusoidal", "rotary", "alibi", "t5", "none"};
  return names;
}

GPT::GPT(int64_t vocabulary, const GPTOptions& o)
    : token(vocabulary, o.width),
      blocks(make_blocks(o)),
      head(o.width, vocabulary, {.bias = false}),
      dropout(o.dropout),
      context(o.context) {
  if (o.position == "learned") learned.emplace(o.context, o.width);
  if (o.position == "sinusoidal") sinusoidal.emplace(o.width);
  nn::init::normal_(token.weight, 0, sinusoidal ? 1 : 0.02);  // no smaller than what is added
}

Tensor GPT::embed(const Tensor& tokens, int64_t start) {  // (B, T) -> (B, T, width)
  Tensor x = token(tokens);
  if (learned) x = (*learned)(x, start);
  if (sinusoidal) x = (*sinusoidal)(x, start);
  return dropout(x);
}

Tensor GPT::forward(const Tensor& tokens) { return head(blocks(embed(tokens, 0))); }

Tensor GPT::step(const Tensor& tokens, nn::StreamState& state) {
  const Tensor x = embed(tokens, state.length);
  return head(blocks.step(x, state));
}

Tensor GPT::write(const Tensor& prompt, int64_t count, const nn::SamplingOptions& sampling, Generator& generator) {
  nn::StreamState state = start(prompt.size(0));
  Tensor written = empty({prompt.size(0), 0}, int64);
  const auto next = [&](const Tensor& tokens) {
    written = cat({written, tokens}, 1);
    if (state.length + tokens.size(1) <= context) return step(tokens, state);
    const int64_t kept = std::max<int64_t>(context / 2, 1);
    state = start(prompt.size(0));
    return step(written.narrow(1, written.size(1) - kept, kept), state);
  };
  return nn::generate(next, prompt, count, sampling, generator);
}

}  // namespace cotangent::zoo
