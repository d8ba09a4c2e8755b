#pragma once
#include <cotangent/nn/peft/tuned.hpp>

namespace cotangent::nn {

struct AdaLoRAOptions {
  std::vector<std::string> targets = {"in_proj_weight.q", "in_proj_weight.v"};  ///< as of LoRA
  int64_t r = 12;                                                               ///< of each target, at the start
  int64_t target_r = 8;                                                         ///< on average, at the end
  double alpha = 12;           ///< the change is multiplied by alpha / r
  int64_t steps = 1000;        ///< of the training
  int64_t initial = 100;       ///< steps with all ranks
  int64_t final = 300;         ///< steps at the end with the ranks that are left
  int64_t interval = 10;       ///< steps between two choices
  double beta1 = 0.85;         ///< of the mean of the importance
  double beta2 = 0.85;         ///< of the mean of its deviation
  double orthogonality = 0.5;  ///< the factor of penalty()
};

/// The change of a weight in the form of a singular value decomposition, and what is known of its elements' importance.
struct Triplets : Module {
  Parameter lora_P, lora_s, lora_Q;
  Buffer mean_P, mean_s, mean_Q, deviation_P, deviation_s, deviation_Q;
  Buffer kept;  ///< 1, or 0 where the singular value is held at 0
  COTANGENT_MEMBERS(lora_P, lora_s, lora_Q, mean_P, mean_s, mean_Q, deviation_P, deviation_s, deviation_Q, kept)
};

/// LoRA whose ranks go where they matter: W = W0 + alpha / r P diag(s) Q, of which as many triplets (column of P,
/// element of s, row of Q) as the budget allows are kept over all targets, and the s of the others set to 0.
///   NAME.lora_P (out, r) and NAME.lora_Q (r, in), normal with 0.02, NAME.lora_s (r), 0: the start is the model
/// An element's importance is I U, where I is the running mean of |w dw| and U that of | |w dw| - I |; a triplet's is
/// that of s plus the means of those of its column and its row. The budget is n r for `initial` steps, then
/// n target_r + n (r - target_r) (1 - progress)^3, n targets, then for `final` steps n target_r.
///
///     Tensor loss = cross_entropy(model(x), y) + model.tuner.penalty();
///     loss.backward();
///     optimizer.step();
///     model.tuner.allocate(step);   // step = 1, 2, .. steps
///     optimizer.zero_grad();
///
/// A ValueError unless 1 <= target_r <= r, for a beta outside of [0, 1), and unless initial + final < steps. Zhang et
/// al., arXiv:2303.10512.
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
  /// The triplets that may be kept at a step.
  int64_t budget(int64_t step) const;
  /// Takes note of the gradients, and where it is time sets singular values to 0. A ValueError where there is no
  /// gradient.
  void allocate(int64_t step);
  /// The rank of each target: singular values that are not held at 0.
  std::vector<int64_t> ranks() const;

 private:
  void choose(int64_t count);
};

}  // namespace cotangent::nn
