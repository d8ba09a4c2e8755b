#pragma once
// A language model of GPT-2's shape, with the layer that looks at other tokens and the encoding of positions left open.
//
//     zoo::GPT model(vocabulary.size(), {.attention = "linear", .position = "rotary", .context = 256});
//     zoo::GPT model(vocabulary.size(), {.attention = "mamba2"});
//     Tensor loss = cross_entropy(model(x).flatten(0, 1), y.flatten());
//     Tensor text = model.write(vocabulary.encode("The ").unsqueeze(0), 200, {.temperature = 0.8});
#include <optional>

#include <cotangent/nn/attention/position.hpp>
#include <cotangent/nn/attention/transformer.hpp>
#include <cotangent/nn/embedding.hpp>
#include <cotangent/nn/sampling.hpp>

namespace cotangent::zoo {

struct GPTOptions {
  std::string attention = "multihead";  ///< how tokens look at those before them: one of gpt_attentions()
  std::string position = "auto";        ///< how the model knows where a token stands: one of gpt_positions()
  int64_t width = 128, layers = 4, heads = 4;
  int64_t context = 128;  ///< tokens that the model sees
  double dropout = 0;
  bool bias = true;        ///< of attention, feed-forward and norms; layers with a state and gated ones have their own
  bool tied = false;       ///< the head's weights are those of the embedding
  bool gpt2_init = false;  ///< weights of attention, feed-forward and head start as N(0, 0.02^2), smaller by
                           ///< sqrt(2 layers) where the result is added to the tokens, and biases at 0
};

/// Attention: multihead, grouped, multiquery, local, strided, diagonal, linear, efficient, performer, norm, gated,
/// flash. In its place, layers whose state does not grow (nn/sequence/), which keep the rest of the model as it is, and
/// start as their authors have them: retention, gla, mamba, mamba2, rwkv (with its channel mixing for a feed-forward),
/// rwkv7 (both with a norm behind the embedding), mlstm, delta, gated-delta, s4, s4d, lru, min-gru, min-lstm.
const std::vector<std::string>& gpt_attentions();
/// learned and sinusoidal, which are added to the tokens; rotary, alibi and t5, which attention applies; none; and
/// auto: none for layers with a state, which know the order of tokens by themselves, else learned
const std::vector<std::string>& gpt_positions();

/// Embeddings, pre-norm transformer layers with causal attention, or another layer in its place, and an inner width of
/// 4 width, a norm, and a linear layer without a bias. Radford et al., "Language models are unsupervised multitask
/// learners", 2019.
///   tokens (B, T) -> logits (B, T, vocabulary): at each place, the scores of the tokens that may come next
/// A ValueError for a name that there is not, for sizes that the layers do not take, and for positions of attention
/// where there is none.
struct GPT : nn::Module {
  explicit GPT(int64_t vocabulary, const GPTOptions& options = {});
  nn::Embedding token;
  std::optional<nn::LearnedEncoding> learned;  // one of the two, or neither where the attention knows places
  std::optional<nn::SinusoidalEncoding> sinusoidal;
  std::optional<nn::LayerNorm> embedding_norm;  // of rwkv and rwkv7
  nn::TransformerEncoder blocks;
  nn::Linear head;
  nn::Dropout dropout;
  int64_t context;
  bool endless;  ///< no token is too late: the state neither grows nor counts places
  COTANGENT_MODULE(token, learned, sinusoidal, embedding_norm, blocks, head, dropout)

  Tensor forward(const Tensor& tokens);
  /// What the head makes logits of: tokens (B, T) -> (B, T, width).
  Tensor hidden(const Tensor& tokens);
  /// The same for sequences that are written as they come: the state keeps what later tokens need of those before.
  nn::StreamState start(int64_t batch) { return blocks.start(batch); }
  Tensor step(const Tensor& tokens, nn::StreamState& state);
  Tensor step_hidden(const Tensor& tokens, nn::StreamState& state);
  /// hidden() of a tree of tokens (nn/sequence/tree.hpp).
  Tensor step_tree(const Tensor& tokens, nn::StreamState& state, const Tensor& parents);
  /// Continues a prompt, as nn::generate does: prompt (B, T) -> (B, T + count). Each new token costs one step. When the
  /// context is full it starts anew with the later half, unless the model is endless. Call eval() first where there is
  /// dropout.
  Tensor write(const Tensor& prompt, int64_t count, const nn::SamplingOptions& sampling = {},
               Generator& generator = default_generator());

 private:
  Tensor embed(const Tensor& tokens, int64_t start);
  Tensor placed(const Tensor& x, int64_t start);
};

}  // namespace cotangent::zoo
