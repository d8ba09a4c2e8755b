// A transformer that predicts the next character: GPT-2's, with the attention and the position encoding left open.
#pragma once
#include <cotangent/cotangent.hpp>
#include <string>

struct ModelOptions {
  std::string attention = "multihead", position = "learned";
  int64_t width = 128, layers = 4, heads = 4, context = 128;
  double dropout = 0;
};

struct Block : cotangent::nn::Module {
  cotangent::nn::LayerNorm norm1, norm2;
  cotangent::nn::AnyAttention attention;
  cotangent::nn::Linear up, down;
  cotangent::nn::Dropout dropout;
  COTANGENT_MODULE(norm1, attention, norm2, up, down, dropout)

  explicit Block(const ModelOptions& options);
  cotangent::Tensor forward(const cotangent::Tensor& x);
  cotangent::Tensor step(const cotangent::Tensor& x, cotangent::nn::StreamState& state);
};

struct CharGpt : cotangent::nn::Module {
  cotangent::nn::Embedding token, position;
  std::vector<Block> blocks;
  cotangent::nn::LayerNorm norm;
  cotangent::nn::Linear head;
  cotangent::nn::Dropout dropout;
  COTANGENT_MODULE(token, position, blocks, norm, head, dropout)

  CharGpt(int64_t vocabulary, const ModelOptions& options);
  /// tokens (B, T) -> logits (B, T, vocabulary): at each place, the scores of the characters that may come next.
  cotangent::Tensor forward(const cotangent::Tensor& tokens);
  /// The same for the next tokens of `batch` sequences that are written as they come.
  cotangent::nn::StreamState start(int64_t batch);
  cotangent::Tensor step(const cotangent::Tensor& tokens, cotangent::nn::StreamState& state);
};
