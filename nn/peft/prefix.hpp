#pragma once
// What is learned here stands before the tokens, in the attentions or at the input.
#include <optional>

#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/peft/tuned.hpp>

namespace cotangent::nn {

struct PrefixOptions {
  std::vector<std::string> targets = {"self_attn"};  ///< modules: MultiHeadAttention
  int64_t length = 20;                               ///< l
  int64_t hidden = 512;  ///< the width inside the network that makes the prefix in training; 0 for none
};

/// Prefix tuning: keys and values of l places that each query of an attention sees besides those of the tokens, whose
/// positions stay. With c the prefix' share of the softmax, c = sum_p e^(q.k_p) / (sum_p e^(q.k_p) + sum_j e^(q.k_j)),
///   attention = (1 - c) attention of the model + c attention to the prefix
/// They are trained as the result of a network, (P_k, P_v) = up(tanh(down(tokens))), since training them as they are
/// is unstable; fold() then keeps the result alone.
///   prefix.tokens (l, d), standard normal, prefix.down.weight (hidden, d), prefix.up.weight (n, hidden) and biases, as
///   Linear starts; or without a network, or after fold(), prefix.values (l, n), normal with 0.02
/// n = 2 G dh for each target in order, keys before values, and d is the width of the first. A ValueError for a length
/// below 1, and for targets that are not in the model or no MultiHeadAttention. Li and Liang, arXiv:2101.00190.
struct Prefix : Tuner {
  using Options = PrefixOptions;
  Prefix(Module& base, const PrefixOptions& options);
  std::vector<std::string> targets;
  Parameter tokens, values;
  std::optional<Linear> down, up;
  void members(Members& visitor) override;
  COTANGENT_CLONE
  void enter(detail::Tuning& call) override;
  /// Puts the prefix that the network makes into its place. The optimizer is to be made anew, if more is to be trained.
  void fold();

 private:
  Tensor made();
};

struct PromptOptions {
  std::string embedding = "token";  ///< the Embedding of the tokens
  int64_t length = 20;              ///< l
};

/// Prompt tuning: l learned vectors before the embeddings of the tokens, and nothing else. Their places are cut off the
/// result, which must be (B, l + T, ..). For a model of a whole sequence at once: in a stream the prompt would come
/// before each step. Positions that are added to the embeddings number the prompt as well.
///   prompt.weight (l, d): starts as embeddings of tokens drawn at random
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
