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

/// The tree of guesses that a step checks. Token 0 is the next one, which the model itself has chosen. Each other token
/// stands behind its parent, at a depth of k, and is guess number `rank` of head k, where 0 is the likeliest. Tokens
/// come in order of depth, as step_tree() takes them (nn/sequence/tree.hpp).
struct MedusaTree {
  std::vector<int64_t> parents{-1}, ranks{0};
};
/// The tree that has these paths, each a list of ranks by depth, and every beginning of a path: {{0, 0}} holds {0} too.
/// What several paths share stands in the tree once. A ValueError for a rank below 0 and for a path without ranks.
MedusaTree medusa_tree(const std::vector<std::vector<int64_t>>& paths);
/// The tree of `tokens` tokens of which the expected number that is accepted is largest, if head k's guess number r is
/// right with the probability hits[k - 1][r] whatever the others are; smaller where there are not so many guesses.
///   hits (heads, ranks), as Medusa::hits measures it. A ShapeError for another shape, a ValueError for less than one
///   token and for hits that are not in [0, 1].
MedusaTree medusa_tree(const Tensor& hits, int64_t tokens);

struct MedusaLossOptions {
  double decay = 0.8;  ///< the loss of head k is weighted by decay^k
  double joint = 0;    ///< above 0 the model is trained too: its own loss plus `joint` times that of the heads
};

/// When a guess is accepted. A step keeps the longest path all of whose tokens are accepted, and of equally long ones
/// the first.
enum class Acceptance : uint8_t {
  greedy,  ///< if it is the model's likeliest token there: the text is that of GPT::write at temperature 0, exactly
  typical  ///< if its probability p exceeds min(epsilon, delta e^-H), where H is the entropy of the model's prediction
};

struct MedusaOptions {
  Acceptance acceptance = Acceptance::greedy;
  double epsilon = 0.3, delta = 0.09;  ///< of typical acceptance
  /// Of typical acceptance: what makes probabilities p of logits, and draws the token that the model itself chooses.
  nn::SamplingOptions sampling{.temperature = 0.7};
};

struct MedusaText {
  Tensor tokens;      ///< (B, T + count): the prompt and what follows it
  int64_t steps = 0;  ///< calls of the model, without the one that reads the prompt
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
  /// sum_k decay^k L_k, where L_k is the mean cross-entropy of head k at the places whose token y holds, and 0 if there
  /// are none.   x (B, T), and y (B, T) the tokens that follow each -> ()
  /// Without a joint loss only the heads get gradients.
  Tensor loss(const Tensor& x, const Tensor& y, const MedusaLossOptions& options = {});
  /// How often each head's guesses number 0, 1, .. are right, as a share of the places whose token y holds; 0 if there
  /// are none.   x (B, T) and y (B, T) as for loss() -> float64 (heads, ranks)
  Tensor hits(const Tensor& x, const Tensor& y, int64_t ranks);
  /// Continues a prompt (B, T) by `count` tokens. All sequences of a batch grow by the same number of tokens a step:
  /// that of the sequence of which the fewest are accepted. When the context is full it starts anew with the later half
  /// of the text, as GPT::write does. Call eval() first where there is dropout. A ShapeError for a prompt without
  /// tokens; a ValueError for a tree that is none (see MedusaTree), is deeper than there are heads, or has a rank that
  /// is not below the number of tokens.
  MedusaText write(const Tensor& prompt, int64_t count, const MedusaTree& tree, const MedusaOptions& options = {},
                   Generator& generator = default_generator());
};

}  // namespace cotangent::zoo
