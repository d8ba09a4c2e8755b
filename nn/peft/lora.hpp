#pragma once
#include <cotangent/nn/peft/tuned.hpp>

namespace cotangent::nn {

struct LoRAOptions {
  /// Names of parameters, or ends of names, where * stands for any characters: of linear layers, fused projections or
  /// their parts, convolutions, recurrent layers and embeddings, with two dimensions or more.
  std::vector<std::string> targets = {"in_proj_weight.q", "in_proj_weight.v"};
  int64_t r = 8;
  double alpha = 16;   ///< the change is multiplied by alpha / r
  double dropout = 0;  ///< in training, of the input that A sees; only for linear layers and in_proj_weight
};

/// The two factors of the change of a weight.
struct LowRank : Module {
  Parameter lora_A, lora_B;
  COTANGENT_MEMBERS(lora_A, lora_B)
};

/// Low-rank adaptation: W = W0 + c B A, c = alpha / r. With dropout, y = x W0^T + c dropout(x) A^T B^T.
///   a weight (out, ..), as a matrix (out, in): NAME.lora_A (r, in) starts as a weight of Linear, NAME.lora_B (out, r)
///   at 0;   dB = c dW A^T,   dA = c B^T dW
///   an embedding (count, dim): W = W0 + c (B A)^T, lora_A (r, count) starts at 0, lora_B (dim, r) standard normal
/// So the start is the model. With r = min(out, in) any change can be represented. A parameter that stands in several
/// places (a tied embedding) is changed in all of them. A ValueError for an r below 1, a dropout outside of [0, 1),
/// targets that are not in the model and, with dropout, targets in other layers than those above. Hu et al.,
/// arXiv:2106.09685.
struct LoRA : WeightTuner {
  using Options = LoRAOptions;
  LoRA(Module& base, const LoRAOptions& options);
  LoRAOptions options;
  std::vector<LowRank> deltas;
  void members(Members& visitor) override;
  COTANGENT_CLONE
  Tensor tuned(size_t target, const Tensor& w) const override;
  bool is_beside(size_t) const override { return options.dropout > 0 && is_training(); }
  Tensor beside(size_t target, const Tensor& x) const override;
  std::string settings() const override;

 private:
  double scale() const { return options.alpha / static_cast<double>(options.r); }
  std::vector<bool> transposed_;  // of embeddings
};

/// What a training has changed, in the form of a LoRA of rank r with alpha = r: for each weight of two dimensions or
/// more that both states have, W - W0 = U S Vh is cut to the r largest singular values, NAME.lora_A = sqrt(S) Vh and
/// NAME.lora_B = U sqrt(S). The norm of what is lost is sqrt(sum_(i > r) S_i^2), the least that rank r allows. The
/// result fits tune<LoRA>(model, {.targets = names, .r = r, .alpha = r}).tuner.load_state_dict(..), but for embeddings.
/// A ValueError for an r outside of 1 to the smaller dimension, and a ShapeError for shapes that differ.
StateDict svd_delta(const StateDict& tuned, const StateDict& base, int64_t r);

}  // namespace cotangent::nn
