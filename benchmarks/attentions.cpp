// Attentions that are not plain softmax attention, and positions, at the sizes of sequences.cpp: 4 heads, 2048 tokens,
// a width of 256, and a batch of 8; or of 2 where PyTorch forms whole matrices of scores. torch_attentions.py holds the
// same for PyTorch: banded, chunked or sorted as the papers' programs are.
#include "bench.hpp"

namespace bench {
namespace {

using Sizes = std::vector<int64_t>;
namespace nn = ct::nn;

constexpr int64_t kHeads = 4, kFew = 2;

template <class Positions>
Step with_positions(const Positions& positions, bool causal) {
  return of_layer(nn::MultiHeadAttention(kWidth, kHeads, {.causal = causal, .positions = positions}), kFew);
}

}  // namespace

std::vector<Workload> attentions() {
  std::vector<Workload> to;
  const auto add = [&](const char* name, Step (*make)(const Sizes&)) {
    to.push_back({name, make});
    to.push_back({std::string(name) + "_compiled", make});  // by torch.compile
  };
  // some of the keys
  add("local_attention", [](const Sizes&) { return of_layer(nn::SparseAttention(kWidth, kHeads)); });
  add("longformer",
      [](const Sizes&) { return of_layer(nn::Longformer(kWidth, kHeads, {.window = 128, .globals = {0}})); });
  add("atrous_attention", [](const Sizes&) {
    return of_layer(nn::SparseAttention(kWidth, kHeads, {.pattern = ct::SparsePattern::atrous, .causal = true}));
  });
  add("strided_attention", [](const Sizes&) {
    return of_layer(
        nn::SparseAttention(kWidth, kHeads, {.pattern = ct::SparsePattern::combined, .window = 63, .causal = true}));
  });
  add("diag_attention", [](const Sizes&) { return of_layer(nn::DiagAttention(kWidth, kHeads)); });
  add("lsh_attention", [](const Sizes&) { return of_layer(nn::LshAttention(kWidth, kHeads)); });
  // mixtures of keys, and scores without them
  add("linformer", [](const Sizes&) { return of_layer(nn::Linformer(kWidth, kHeads, {.length = kSteps})); });
  add("nystrom", [](const Sizes&) { return of_layer(nn::NystromAttention(kWidth, kHeads)); });
  add("synthesizer", [](const Sizes&) { return of_layer(nn::Synthesizer(kWidth, kHeads, {.length = kSteps}), kFew); });
  // sums over the keys
  add("linear_attention", [](const Sizes&) { return of_layer(nn::LinearAttention(kWidth, kHeads, {.causal = true})); });
  add("efficient_attention", [](const Sizes&) { return of_layer(nn::EfficientAttention(kWidth, kHeads)); });
  add("performer", [](const Sizes&) { return of_layer(nn::Performer(kWidth, kHeads, {.causal = true})); });
  add("norm_attention", [](const Sizes&) { return of_layer(nn::NormAttention(kWidth, kHeads, {.causal = true})); });
  // gated
  add("gated_attention_unit", [](const Sizes&) {
    return of_layer(nn::GatedAttentionUnit(kWidth, {.max_length = kSteps, .causal = true}), kFew);
  });
  add("mixed_chunk_attention",
      [](const Sizes&) { return of_layer(nn::MixedChunkAttention(kWidth, {.causal = true})); });
  // positions
  add("alibi", [](const Sizes&) { return with_positions(nn::Alibi(), true); });
  add("t5_bias", [](const Sizes&) { return with_positions(nn::T5Bias(kHeads, {.bidirectional = false}), true); });
  add("xpos", [](const Sizes&) { return with_positions(nn::XPos(), true); });
  add("shaw", [](const Sizes&) { return with_positions(nn::Shaw(kWidth / kHeads), true); });
  add("transformer_xl", [](const Sizes&) { return with_positions(nn::TransformerXL(kWidth, kHeads), true); });
  add("deberta", [](const Sizes&) { return with_positions(nn::Disentangled(kWidth, kHeads), false); });
  add("cape", [](const Sizes&) { return of_layer(nn::CapeEncoding(kWidth)); });
  add("complex_embedding", [](const Sizes&) {
    const auto m = std::make_shared<nn::ComplexEmbedding>(256, kWidth);
    const Tensor tokens = ct::randint(0, 256, {kBatch, kSteps});
    return forward_backward(m->parameters(), [=] { return (*m)(tokens); });
  });
  add("floater", [](const Sizes&) { return of_layer(nn::FloaterEncoding(kWidth)); });
  return to;
}

}  // namespace bench
