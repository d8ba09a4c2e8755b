#pragma once
// Losses that train a language model by what people, or rules, prefer: DPO from pairs of answers, GRPO from answers
// with rewards. docs/preference.md derives what a model comes to by each. dy is the gradient of the loss.
//
//     const Tensor own = nn::token_log_probabilities(model(x), y);  // (N, T) of N answers
//     Tensor loss = nn::grpo_loss(own, old, reference, nn::group_advantages(rewards.view({-1, 8})).flatten());
#include <cotangent/autograd/ops/loss.hpp>

namespace cotangent::nn {

/// The logarithms of the probabilities that a model gave to the tokens: log_softmax(logits) at each token.
///   logits (.., V), tokens (..) of integers -> (..)
Tensor token_log_probabilities(const Tensor& logits, const Tensor& tokens);

struct DpoOptions {
  double beta = 0.1;           ///< how close to the reference the model stays: a larger one keeps it closer
  double label_smoothing = 0;  ///< e in [0, 1]: the share of pairs that are assumed to be the wrong way round
  Reduction reduction = Reduction::mean;
};
/// Direct preference optimization: with the margin m = beta ((chosen - reference_chosen) - (rejected -
/// reference_rejected)) of log-probabilities of whole answers,
///   -(1 - e) log sigmoid(m) - e log sigmoid(-m),   (N) each -> (), or (N) for Reduction::none
///   d(chosen) = -dy beta (1 - e - sigmoid(m)) = -d(rejected).   The reference gets no gradient.
/// Where an answer is preferred with probability p, the mean is smallest at m = log(p / (1 - p)). A ShapeError unless
/// all four have one shape; a ValueError for a beta below 0, and for an e outside of [0, 1]. Rafailov et al.,
/// arXiv:2305.18290.
Tensor dpo_loss(const Tensor& chosen, const Tensor& rejected, const Tensor& reference_chosen,
                const Tensor& reference_rejected, const DpoOptions& options = {});

/// (r - mean(r)) / (std(r) + 1e-4) within each row, the rewards of a group of answers to one question, with n - 1 under
/// the root; 0 where all are equal.   (.., G) -> (.., G), without a gradient. A ShapeError for groups of one.
Tensor group_advantages(const Tensor& rewards);

struct GrpoOptions {
  double epsilon = 0.2;  ///< ratios of probabilities are clipped to 1 - epsilon and 1 + epsilon
  double beta = 0.04;    ///< how close to the reference the model stays
  /// Multiplies the penalty by the ratio as well. Without, as in the article, its gradient is that of the divergence of
  /// the reference from the model, and with, that of the model from the reference.
  bool weighted_penalty = false;
  Tensor mask = {};  ///< bool (N, T), true: counts; false for padding behind an answer
  Reduction reduction = Reduction::mean;
};
/// Group relative policy optimization, of N answers of T tokens: with w = exp(log_probs - old) and d = reference -
/// log_probs of each token, and the advantage A of its answer,
///   loss of a token = beta (e^d - d - 1) - min(w A, clamp(w, 1 - epsilon, 1 + epsilon) A),
///   d(log_probs) = dy (beta (1 - e^d) - w A), without w A where the clamp is what counts,
/// of which the mean is taken over the tokens of each answer, and of these the mean over the answers.
///   log_probs, old, reference (N, T), advantages (N) -> (), or (N) for Reduction::none
/// Only log_probs get a gradient. `old` are those of the model that wrote the answers; at the first step after these it
/// is log_probs.detach(). An answer without a token that counts gives 0. A ShapeError where shapes do not fit, a
/// DTypeError for a mask that is not bool, a ValueError for an epsilon or a beta below 0. Shao et al.,
/// arXiv:2402.03300.
Tensor grpo_loss(const Tensor& log_probs, const Tensor& old, const Tensor& reference, const Tensor& advantages,
                 const GrpoOptions& options = {});

}  // namespace cotangent::nn
