#pragma once
// Decoding several tokens a step: heads on a language model guess tokens further ahead, the model checks a tree of
// their guesses at once, and what it agrees with is kept. docs/decoding.md has the figures.
//
//     zoo::Medusa medusa(model, 3);                          // the model stays as it is
//     Tensor loss = medusa.loss(x, y);                       // trains the heads
//     zoo::MedusaText text = medusa.write(prompt, 200, zoo::medusa_tree({{0}, {1}, {0, 0}}));
#include <cotangent/zoo/gpt.hpp>

namespace cotangent::zoo {

/// h -> head(h + silu(linear(h))), (.., width) -> (.., vocabulary). `linear` starts at 0 and `head` as the model's own,
/// so that at first it guesses as the model does.
struct MedusaHead : nn::Module {
  explicit MedusaHead(const nn::Linear& model_head);
  nn::Linear linear, head;
  COTANGENT_MODULE(linear, head)
  Tensor forward(const Tensor& h);
};

/// The guesses that a step checks: token 0 is the next one, which the model itself chose, and each other is the guess
/// number `rank`, from 0 on, of head `depth` behind its parent. In order of depth, as step_tree() takes them.
struct MedusaTree {
  std::vector<int64_t> parents{-1}, ranks{0}, depths{0};
};
/// The tree with these paths, each a list of ranks by depth, and all that begin one: {{0, 0}} holds {0} too, and none
/// is taken twice. A ValueError for a rank below 0 and for a path without ranks.
MedusaTree medusa_tree(const std::vector<std::vector<int64_t>>& paths);
/// The tree of `tokens` tokens that is likely to go furthest, where head k's guess number r is right with the
/// probability hits[k - 1][r] whatever the others are.   hits (heads, ranks). A ValueError for less than one token.
MedusaTree medusa_tree(const Tensor& hits, int64_t tokens);

struct MedusaLossOptions {
  double decay = 0.8;  ///< head k counts decay^k
  double joint = 0;    ///< above 0, the model is trained too: its own loss plus `joint` times that of the heads
};

/// Which guesses a step keeps: the longest path, of equal ones the first, each of whose tokens is accepted behind its
/// parent.
enum class Acceptance : uint8_t {
  greedy,  ///< it is the model's likeliest: the text is that of GPT::write at temperature 0, token for token
  typical  ///< its probability p exceeds min(epsilon, delta e^-H), H the entropy of what may stand there
};

struct MedusaOptions {
  Acceptance acceptance = Acceptance::greedy;
  double epsilon = 0.3, delta = 0.09;                ///< of typical acceptance
  nn::SamplingOptions sampling{.temperature = 0.7};  ///< of typical acceptance: p, and how the model's own are drawn
};

struct MedusaText {
  Tensor tokens;      ///< (B, T + count): the prompt and what follows
  int64_t steps = 0;  ///< calls of the model behind the prompt
};

/// A language model with heads 1 to K, of which head k guesses the token k places after the one that comes next.
/// Cai et al., "Medusa: simple LLM inference acceleration framework with multiple decoding heads", arXiv:2401.10774.
struct Medusa : nn::Module {
  /// Shares the model's parameters. Its attentions must take trees (SequenceLayer::has_trees): a ValueError otherwise.
  Medusa(const GPT& model, int64_t count);
  GPT model;
  std::vector<MedusaHead> heads;
  COTANGENT_MODULE(model, heads)

  /// The logits of the model and of each head: tokens (B, T) -> K + 1 of (B, T, vocabulary).
  Tensors forward(const Tensor& tokens);
  /// sum_k decay^k of the cross-entropy of head k, for x (B, T) and the tokens y (B, T) that follow each. Without a
  /// joint loss only the heads get gradients. A head that guesses beyond y has no loss.
  Tensor loss(const Tensor& x, const Tensor& y, const MedusaLossOptions& options = {});
  /// How often the guesses of each head are right: of x and y as in loss(), the share of places where the token is its
  /// guess number 0, 1, ..   -> float64 (heads, ranks)
  Tensor hits(const Tensor& x, const Tensor& y, int64_t ranks);
  /// Continues a prompt (B, T) by `count` tokens. Sequences go on at one pace: each step keeps as many guesses as the
  /// one of which it accepts least. When the context is full it starts anew as GPT::write does. Call eval() first where
  /// there is dropout. A ValueError for a tree deeper than the heads, or with more ranks than tokens.
  MedusaText write(const Tensor& prompt, int64_t count, const MedusaTree& tree, const MedusaOptions& options = {},
                   Generator& generator = default_generator());
};

}  // namespace cotangent::zoo
