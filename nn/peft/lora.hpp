#pragma once
#include <cotangent/nn/peft/tuned.hpp>

namespace cotangent::nn {

struct LoRAOptions {
  /// Parameters: names or their ends, * for any characters. Those of two dimensions or more: of linear layers, fused
  /// projections or their parts, convolutions, recurrent layers, embeddings.
  std::vector<std::string> targets = {"in_proj_weight.q", "in_proj_weight.v"};
  int64_t r = 8;
  double alpha = 16;   ///< the change is multiplied by alpha / r
  double dropout = 0;  ///< in training, of the input that A sees: for linear layers and in_proj_weight alone
};

/// The two factors of the change of a weight.
struct LowRank : Module {
  Parameter lora_A, lora_B;
  COTANGENT_MEMBERS(lora_A, lora_B)
};

/// Low-rank adaptation: W = W0 + alpha / r B A. With dropout y = x W0^T + alpha / r dropout(x) A^T B^T.
///   of a weight (out, ...), the others in one: NAME.lora_A (r, in), Kaiming's uniform distribution with a slope of
///   sqrt(5), as Linear has it, NAME.lora_B (out, r), 0;   dB = alpha / r dW A^T, dA = alpha / r B^T dW
///   of an embedding (count, dim), W = W0 + alpha / r (B A)^T: lora_A (r, count), 0, lora_B (dim, r), standard normal
/// So the start is the model. With r = min(out, in) any change can be represented. A parameter that stands in several
/// places (a tied embedding) is changed in all. A ValueError for an r below 1, a dropout outside of [0, 1), and targets
/// that are not in the model or, with dropout, another layer's. Hu et al., arXiv:2106.09685.
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

/// What a training has changed, as a LoRA of rank r with alpha = r has it: for all matrices (and larger) of the same
/// name in both states, U S Vh = W - W0 cut to the r largest singular values, NAME.lora_A = sqrt(S) Vh and NAME.lora_B
/// = U sqrt(S). What is lost of W has the norm sqrt(sum of S_i^2, i > r), the least that rank r allows. It fits
/// tune<LoRA>(model, {.targets = names, .r = r, .alpha = r}).tuner.load_state_dict(..), but for embeddings.
/// A ValueError for an r outside of 1 to the smaller dimension, and a ShapeError for shapes that differ.
StateDict svd_delta(const StateDict& tuned, const StateDict& base, int64_t r);

}  // namespace cotangent::nn
