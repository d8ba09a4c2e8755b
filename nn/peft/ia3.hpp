#pragma once
#include <cotangent/nn/peft/tuned.hpp>

namespace cotangent::nn {

struct IA3Options {
  std::vector<std::string> outputs = {"in_proj_weight.k", "in_proj_weight.v"};  ///< weights whose outputs are scaled
  std::vector<std::string> inputs = {"linear2.weight"};                         ///< weights whose inputs are scaled
};

/// (IA)^3: each element of keys, of values and of the inside of a feed-forward is multiplied by a learned scale l. The
/// scales are multiplied into the weights that give these elements, or take them, so that they can be merged.
///   outputs: W = diag(l) W0, and the bias, if there is one, b = l b0: NAME.ia3_l (out);   dl = rowsum(dW W0) + db b0
///   inputs: W = W0 diag(l), with l along the second dimension: NAME.ia3_l (in);   dl = colsum(dW W0)
/// All l are 1 at the start, which is the model. A ValueError for targets that are not in the model, and for a weight
/// among both. Liu et al., arXiv:2205.05638.
struct IA3 : WeightTuner {
  using Options = IA3Options;
  IA3(Module& base, const IA3Options& options);
  struct Scale : Module {
    Parameter ia3_l;
    COTANGENT_MEMBERS(ia3_l)
  };
  std::vector<Scale> scales;
  void members(Members& visitor) override;
  COTANGENT_CLONE
  Tensor tuned(size_t target, const Tensor& w) const override;

 private:
  void add(const detail::FoundTarget& target, int dim);

  struct Use {  // of a scale, by the target of the same number
    size_t scale;
    int dim;
  };
  std::vector<Use> uses_;
  std::vector<std::string> names_;  // of the scales
};

}  // namespace cotangent::nn
