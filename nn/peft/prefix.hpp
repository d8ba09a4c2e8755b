#pragma once
// Prefix and prompt tuning: what is learned stands before the tokens, in the attentions or at the input.
#include <optional>

#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/peft/tuned.hpp>

namespace cotangent::nn {

struct PrefixOptions {
  std::vector<std::string> targets = {"self_attn"};  ///< modules: MultiHeadAttention
  int64_t length = 20;                               ///< l
  int64_t hidden = 512;  ///< the width inside the network that makes the prefix in training; 0 for no network
};

/// Prefix tuning: learned keys and values of l places, which each query of an attention sees before those of the
/// tokens. The tokens keep their positions. With scores s_p of its places and s_j of the tokens, c is its share of the
/// softmax:
///   c = sum_p e^s_p / (sum_p e^s_p + sum_j e^s_j)
///   attention = (1 - c) attention of the model + c attention to the prefix
/// To train keys and values themselves is unstable, so they are trained as the result of a network,
/// (P_k, P_v) = up(tanh(down(tokens))); fold() then keeps the result alone.
///   prefix.tokens (l, d), standard normal at the start; prefix.down.weight (hidden, d), prefix.up.weight (n, hidden)
///   and their biases, which start as Linear's; without a network, or after fold(), prefix.values (l, n) instead,
///   normal with a deviation of 0.02
/// d is the width of the first target. n is the sum of 2 G dh over the targets, for G heads of keys and values of width
/// dh; the targets come in order, and of each the keys before the values. A ValueError for a length below 1, a hidden
/// width below 0, and targets that are not in the model or no MultiHeadAttention. Li and Liang, arXiv:2101.00190.
struct Prefix : Tuner {
  using Options = PrefixOptions;
  Prefix(Module& base, const PrefixOptions& options);
  std::vector<std::string> targets;
  Parameter tokens, values;
  std::optional<Linear> down, up;
  void members(Members& visitor) override;
  COTANGENT_CLONE
  void enter(detail::Tuning& call) override;
  /// Puts the prefix that the network makes into the place of the network. An optimizer is to be made anew. A
  /// ValueError where there is no network.
  void fold();

 private:
  Tensor made();
};

struct PromptOptions {
  std::string embedding = "token";  ///< the Embedding of the tokens
  int64_t length = 20;              ///< l
};

/// Prompt tuning: l learned vectors stand before the embeddings of the tokens, and nothing else is trained. Their
/// places are cut off the result, which must be (B, l + T, ..): a ShapeError otherwise. Positions that are added to the
/// embeddings count the prompt as well. In a stream the first step alone is tuned: the state then holds the prompt, and
/// the model goes on by itself.
///
///     tuned.run([&](zoo::GPT& m) { return m.step(tokens, state); });  // (B, l + T, V)
///     tuned.base.step(next, state);                                   // (B, 1, V), and so on
///
///   prompt.weight (l, d): starts as embeddings of tokens that are drawn at random
/// A ValueError for a length below 1, and unless one module has the name and is an Embedding. Lester, Al-Rfou and
/// Constant, arXiv:2104.08691.
struct Prompt : Tuner {
  using Options = PromptOptions;
  Prompt(Module& base, const PromptOptions& options);
  std::string embedding;
  Parameter weight;
  void members(Members& visitor) override;
  COTANGENT_CLONE
  void enter(detail::Tuning& call) override;
  Tensor finish(const Tensor& y) const override;
};

}  // namespace cotangent::nn
