// A transformer that predicts the next character: GPT-2's, with the attention and the position encoding left open.
#pragma once
#include <cotangent/cotangent.hpp>
#include <optional>
#include <string>

struct ModelOptions {
  std::string attention = "multihead", position = "learned";
  int64_t width = 128, layers = 4, heads = 4, context = 128;
  double dropout = 0;
};

/// The names that ModelOptions takes.
inline const std::vector<std::string> kAttentions{"multihead", "grouped",  "multiquery", "local",
                                                  "strided",   "diagonal", "linear",     "efficient",
                                                  "performer", "norm",     "gated",      "flash"};
inline const std::vector<std::string> kPositions{"learned", "sinusoidal", "rotary", "alibi", "t5", "none"};

struct CharGpt : cotangent::nn::Module {
  cotangent::nn::Embedding token;
  std::optional<cotangent::nn::LearnedEncoding> learned;  // one of the two, or neither where the attention knows places
  std::optional<cotangent::nn::SinusoidalEncoding> sinusoidal;
  cotangent::nn::TransformerEncoder blocks;
  cotangent::nn::Linear head;
  cotangent::nn::Dropout dropout;
  COTANGENT_MODULE(token, learned, sinusoidal, blocks, head, dropout)

  CharGpt(int64_t vocabulary, const ModelOptions& options);
  /// tokens (B, T) -> logits (B, T, vocabulary): at each place, the scores of the characters that may come next.
  cotangent::Tensor forward(const cotangent::Tensor& tokens);
  /// The same for sequences that are written as they come: the state keeps what later characters need of those before.
  cotangent::nn::StreamState start(int64_t batch) { return blocks.start(batch); }
  cotangent::Tensor step(const cotangent::Tensor& tokens, cotangent::nn::StreamState& state);

 private:
  cotangent::Tensor embed(const cotangent::Tensor& tokens, int64_t start);
};
