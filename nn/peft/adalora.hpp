#pragma once
#include <cotangent/nn/peft/tuned.hpp>

namespace cotangent::nn {

struct AdaLoRAOptions {
  std::vector<std::string> targets = {"in_proj_weight.q", "in_proj_weight.v"};  ///< as of LoRA
  int64_t r = 12;                                                               ///< rank of each target at the start
  int64_t target_r = 8;                                                         ///< their mean rank at the end
  double alpha = 12;           ///< the change is multiplied by alpha / r
  int64_t steps = 1000;        ///< of the whole training
  int64_t initial = 100;       ///< steps at the start with all ranks
  int64_t final = 300;         ///< steps at the end in which the choice of the ranks stays
  int64_t interval = 10;       ///< steps from one choice to the next
  double beta1 = 0.85;         ///< decay of the running mean I of the importance
  double beta2 = 0.85;         ///< decay of the running mean U of its deviation
  double orthogonality = 0.5;  ///< the factor of penalty()
};

/// The change of one weight in the form of a singular value decomposition, and the importance of its elements: their I
/// (mean_*) and U (deviation_*).
struct Triplets : Module {
  Parameter lora_P, lora_s, lora_Q;
  Buffer mean_P, mean_s, mean_Q, deviation_P, deviation_s, deviation_Q;
  Buffer kept;  ///< 1, or 0 where the singular value is held at 0
  COTANGENT_MEMBERS(lora_P, lora_s, lora_Q, mean_P, mean_s, mean_Q, deviation_P, deviation_s, deviation_Q, kept)
};

/// LoRA that gives ranks to the weights where they matter: W = W0 + c P diag(s) Q, c = alpha / r. A triplet is a column
/// of P, an element of s and a row of Q. As many triplets as the budget allows are kept over all targets; the s of the
/// others is set to 0.
///   NAME.lora_P (out, r) and NAME.lora_Q (r, in), normal with a deviation of 0.02 at the start; NAME.lora_s (r), 0, so
///   that the start is the model
///   dP = c dW Q^T diag(s),   ds = c diag(P^T dW Q^T),   dQ = c diag(s) P^T dW
/// The importance of an element w is I U, where I is the running mean of |w dw| and U that of | |w dw| - I |. That of a
/// triplet is the importance of s plus the mean over its column plus the mean over its row. For n targets the budget is
/// n r in the first `initial` steps, then n target_r + n (r - target_r) (1 - progress)^3, and n target_r in the last
/// `final` steps.
///
///     Tensor loss = cross_entropy(model(x), y) + model.tuner.penalty();
///     loss.backward();
///     optimizer.step();
///     model.tuner.allocate(step);   // step = 1, 2, .. steps
///     optimizer.zero_grad();
///
/// A ValueError unless 1 <= target_r <= r, both betas are in [0, 1), initial + final < steps and interval >= 1; and for
/// targets that are not in the model. Zhang et al., arXiv:2303.10512.
struct AdaLoRA : WeightTuner {
  using Options = AdaLoRAOptions;
  AdaLoRA(Module& base, const AdaLoRAOptions& options);
  AdaLoRAOptions options;
  std::vector<Triplets> deltas;
  void members(Members& visitor) override;
  COTANGENT_CLONE
  Tensor tuned(size_t target, const Tensor& w) const override;
  std::string settings() const override;

  /// orthogonality * the sum over the targets of |P^T P - 1|^2 + |Q Q^T - 1|^2.
  Tensor penalty() const;
  /// How many triplets may be kept at a step, over all targets.
  int64_t budget(int64_t step) const;
  /// Adds the gradients of this step to the importance and, at the steps of a choice, sets the singular values beyond
  /// the budget to 0. A ValueError where a parameter has no gradient, or one that is not finite.
  void allocate(int64_t step);
  /// The rank of each target: how many of its singular values are not held at 0.
  std::vector<int64_t> ranks() const;

 private:
  void choose(int64_t count);
};

}  // namespace cotangent::nn
