#include "variants.hpp"

#include <algorithm>
#include <cotangent/cotangent.hpp>

namespace nn = cotangent::nn;
using cotangent::FavorKernel, cotangent::FeatureMap, cotangent::SparsePattern;
using nn::ScoreScale;
using P = const Place&;

namespace {

/// A window or block of this size, but of a quarter of a short sequence, so that it matters there too.
int64_t part(P p, int64_t size) { return std::min(size, p.length / 4); }
/// The power of two that is not below the root of the length: the stride at which two hops reach everything.
int64_t stride(P p) {
  int64_t l = 1;
  while (l * l < p.length) l *= 2;
  return l;
}

}  // namespace

// clang-format off
const std::vector<Variant>& variants() {
  using enum Family;
  using enum Positions;
  static const std::vector<Variant> all{
      // softmax, whose heads may share keys and values
      {"multihead", softmax, learned, [](P p) { return nn::MultiHeadAttention(p.width, p.heads, {.causal = p.causal}); }},
      {"grouped", softmax, learned, [](P p) { return nn::MultiHeadAttention(p.width, p.heads, {.kv_heads = p.heads / 2, .causal = p.causal}); }},
      {"multiquery", softmax, learned, [](P p) { return nn::MultiHeadAttention(p.width, p.heads, {.kv_heads = 1, .causal = p.causal}); }},
      {"latent", softmax, learned, [](P p) { return nn::LatentAttention(p.width, p.heads, {.kv_rank = p.width / 2, .rope_width = 4, .causal = p.causal}); }},
      // multi-head by the scale of its scores
      {"no-scale", softmax, learned, [](P p) { return nn::MultiHeadAttention(p.width, p.heads, {.causal = p.causal, .scale = ScoreScale::none, .scale_length = p.length}); }},
      {"gradient-scale", softmax, learned, [](P p) { return nn::MultiHeadAttention(p.width, p.heads, {.causal = p.causal, .scale = ScoreScale::gradient, .scale_length = p.length}); }},
      {"log-n-scale", softmax, learned, [](P p) { return nn::MultiHeadAttention(p.width, p.heads, {.causal = p.causal, .scale = ScoreScale::log_length, .scale_length = p.length}); }},
      {"cosine-scores", softmax, learned, [](P p) { return nn::MultiHeadAttention(p.width, p.heads, {.causal = p.causal, .scale = ScoreScale::cosine, .scale_length = p.length}); }},
      // multi-head by what it knows of positions
      {"no-positions", positions, none, [](P p) { return nn::MultiHeadAttention(p.width, p.heads, {.causal = p.causal}); }},
      {"sinusoidal", positions, sinusoidal, [](P p) { return nn::MultiHeadAttention(p.width, p.heads, {.causal = p.causal}); }},
      {"rotary", positions, none, [](P p) { return nn::MultiHeadAttention(p.width, p.heads, {.causal = p.causal, .positions = nn::Rotary()}); }},
      {"alibi", positions, none, [](P p) { return nn::MultiHeadAttention(p.width, p.heads, {.causal = p.causal, .positions = nn::Alibi()}); }},
      {"t5", positions, none, [](P p) { return nn::MultiHeadAttention(p.width, p.heads, {.causal = p.causal, .positions = nn::T5Bias(p.heads, {.bidirectional = !p.causal})}); }},
      {"xpos", positions, none, [](P p) { return nn::MultiHeadAttention(p.width, p.heads, {.causal = p.causal, .positions = nn::XPos()}); }},
      {"shaw", positions, none, [](P p) { return nn::MultiHeadAttention(p.width, p.heads, {.causal = p.causal, .positions = nn::Shaw(p.width / p.heads)}); }},
      {"transformer-xl", positions, none, [](P p) { return nn::MultiHeadAttention(p.width, p.heads, {.causal = p.causal, .positions = nn::TransformerXL(p.width, p.heads)}); }},
      {"deberta", positions, none, [](P p) { return nn::MultiHeadAttention(p.width, p.heads, {.causal = p.causal, .positions = nn::Disentangled(p.width, p.heads)}); }},
      // softmax over some of the keys
      {"local", sparse, learned, [](P p) { return nn::SparseAttention(p.width, p.heads, {.window = part(p, 64), .causal = p.causal}); }},
      {"diagonal", sparse, learned, [](P p) { return nn::DiagAttention(p.width, p.heads, {.block = part(p, 64), .causal = p.causal}); }},
      {"atrous", sparse, learned, [](P p) { return nn::SparseAttention(p.width, p.heads, {.pattern = SparsePattern::atrous, .stride = stride(p), .causal = p.causal}); }},
      {"strided-heads", sparse, learned, [](P p) { return nn::SparseAttention(p.width, p.heads, {.odd_heads = SparsePattern::atrous, .window = stride(p) - 1, .stride = stride(p), .causal = p.causal}); }},
      {"strided", sparse, learned, [](P p) { return nn::SparseAttention(p.width, p.heads, {.pattern = SparsePattern::combined, .window = stride(p) - 1, .stride = stride(p), .causal = p.causal}); }},
      {"fixed-heads", sparse, learned, [](P p) { return nn::SparseAttention(p.width, p.heads, {.pattern = SparsePattern::blocks, .odd_heads = SparsePattern::summary, .stride = stride(p), .summary = stride(p) / 4, .causal = p.causal}); }},
      {"longformer", sparse, learned, [](P p) { return nn::Longformer(p.width, p.heads, {.window = part(p, 64), .globals = {0}, .causal = p.causal}); }},
      {"sinks", sparse, none, [](P p) { return nn::SinkAttention(p.width, p.heads, {.sinks = 1, .window = part(p, 64)}); }},
      {"lsh", sparse, learned, [](P p) { return nn::LshAttention(p.width, p.heads, {.buckets = 2 * std::max<int64_t>(1, p.length / 32), .chunk = part(p, 64), .causal = p.causal}); }},
      // scores that do not compare queries with keys, and mixtures of keys
      {"synthesizer-dense", sparse, learned, [](P p) { return nn::Synthesizer(p.width, p.heads, {.length = p.longest, .causal = p.causal}); }},
      {"synthesizer-random", sparse, learned, [](P p) { return nn::Synthesizer(p.width, p.heads, {.scores = {nn::SynthesizerScores::random}, .length = p.longest, .causal = p.causal}); }},
      {"linformer", sparse, learned, [](P p) { return nn::Linformer(p.width, p.heads, {.length = p.longest, .rank = 2 * part(p, 32), .causal = p.causal}); }},
      {"nystrom", sparse, learned, [](P p) { return nn::NystromAttention(p.width, p.heads, {.landmarks = part(p, 64), .causal = p.causal}); }},
      // sums over the keys, formed once
      {"linear", linear, learned, [](P p) { return nn::LinearAttention(p.width, p.heads, {.causal = p.causal}); }},
      {"linear-rotary", linear, none, [](P p) { return nn::LinearAttention(p.width, p.heads, {.causal = p.causal, .positions = nn::Rotary()}); }},
      {"cosformer", linear, learned, [](P p) { return nn::LinearAttention(p.width, p.heads, {.cosine_length = p.longest, .causal = p.causal}); }},
      {"first-order", linear, learned, [](P p) { return nn::LinearAttention(p.width, p.heads, {.features = FeatureMap::direction, .causal = p.causal}); }},
      {"efficient", linear, learned, [](P p) { return nn::EfficientAttention(p.width, p.heads, {.causal = p.causal}); }},
      {"performer", linear, learned, [](P p) { return nn::Performer(p.width, p.heads, {.causal = p.causal}); }},
      {"performer-cosh", linear, learned, [](P p) { return nn::Performer(p.width, p.heads, {.kernel = FavorKernel::hyperbolic, .causal = p.causal}); }},
      {"performer-relu", linear, learned, [](P p) { return nn::Performer(p.width, p.heads, {.kernel = FavorKernel::relu, .causal = p.causal}); }},
      {"norm", linear, learned, [](P p) { return nn::NormAttention(p.width, p.heads, {.causal = p.causal}); }},
      {"transnormer", linear, learned, [](P p) -> nn::AnySequenceLayer {
         if (2 * p.layer < p.layers) return nn::DiagAttention(p.width, p.heads, {.block = part(p, 64), .causal = p.causal});
         return nn::NormAttention(p.width, p.heads, {.causal = p.causal});
       }},
      // attention and feed-forward in one
      {"gated", gated, learned, [](P p) { return nn::GatedAttentionUnit(p.width, {.key_width = p.width, .length = p.length, .max_length = p.longest, .causal = p.causal}); }},
      {"gated-softmax", gated, learned, [](P p) { return nn::GatedAttentionUnit(p.width, {.key_width = p.width, .weights = nn::GatedWeights::softmax, .max_length = p.longest, .causal = p.causal}); }},
      {"flash", gated, learned, [](P p) { return nn::MixedChunkAttention(p.width, {.key_width = p.width, .size = part(p, 256), .causal = p.causal}); }},
      // a state of its own size, whatever the length, which forgets
      {"retention", state, none, [](P p) { return nn::Retention(p.width, p.heads); }},
      {"gla", state, none, [](P p) { return nn::GatedLinearAttention(p.width, p.heads); }},
      {"mamba", state, none, [](P p) { return nn::Mamba(p.width, {.layers = p.layers}); }},
      {"mamba2", state, none, [](P p) { return nn::Mamba2(p.width, {.states = 32, .head_width = 16}); }},
      {"rwkv", state, none, [](P p) { return nn::RwkvTimeMix(p.width, {.layer = p.layer, .layers = p.layers}); }},
      {"mlstm", state, none, [](P p) { return nn::MLSTM(p.width, p.heads); }},
      // or is corrected
      {"delta", state, none, [](P p) { return nn::DeltaNet(p.width, p.heads); }},
      {"gated-delta", state, none, [](P p) { return nn::GatedDeltaNet(p.width, p.heads); }},
      {"rwkv7", state, none, [](P p) { return nn::Rwkv7TimeMix(p.width, p.heads, {.layer = p.layer, .layers = p.layers}); }},
      // or is one linear system, whatever the token
      {"s4", state, none, [](P p) { return nn::S4(p.width, {.length = p.length}); }},
      {"s4d", state, none, [](P p) { return nn::S4D(p.width); }},
      {"lru", state, none, [](P p) { return nn::LRU(p.width, {.states = 2 * p.width, .min_radius = 0.9, .max_radius = 0.999}); }},
      // or has gates that look at the token alone
      {"min-gru", state, none, [](P p) { return nn::MinGRU(p.width, {.hidden = 2 * p.width}); }},
      {"min-lstm", state, none, [](P p) { return nn::MinLSTM(p.width, {.hidden = 2 * p.width}); }},
  };
  return all;
}
// clang-format on
