#include <cotangent/nn/peft/ia3.hpp>

#include <algorithm>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

IA3::IA3(Module& base, const IA3Options& o) {
  using Targets = std::vector<detail::FoundTarget>;
  if (o.outputs.empty() && o.inputs.empty()) fail<ValueError>("[IA3] no parameter is named as a target");
  const Targets outputs = o.outputs.empty() ? Targets() : detail::find_targets("IA3", base, o.outputs);
  const Targets inputs = o.inputs.empty() ? Targets() : detail::find_targets("IA3", base, o.inputs);
  for (const detail::FoundTarget& t : outputs) {
    for (const detail::FoundTarget& other : inputs)
      if (other.parameter == t.parameter)
        fail<ValueError>("[IA3] {} is to scale both outputs and inputs; take either", t.parameter);
    add(t, 0);
  }
  for (const detail::FoundTarget& t : inputs) add(t, 1);

  // The biases follow: "in_proj_bias" that of "in_proj_weight".
  for (const NamedTensor& p : base.named_parameters())
    for (size_t i = 0; i < outputs.size(); ++i) {
      const TuningTarget& t = outputs[i];
      if (!t.parameter.ends_with("weight") || p.name != t.parameter.substr(0, t.parameter.size() - 6) + "bias")
        continue;
      targets.push_back({p.name, p.name, t.first, t.rows});
      uses_.push_back({i, 0});
    }
}

void IA3::add(const detail::FoundTarget& t, int dim) {
  Scale scale;
  scale.ia3_l = ones({t.values.size(dim)}, t.values.dtype());
  scales.push_back(scale);
  uses_.push_back({names_.size(), dim});
  names_.push_back(t.name);
  targets.push_back(t);
}

void IA3::members(Members& visitor) {
  for (size_t i = 0; i < scales.size(); ++i) visitor.add(names_[i], scales[i]);
}

Tensor IA3::tuned(size_t i, const Tensor& w) const {
  const Tensor& l = scales[uses_[i].scale].ia3_l;
  Shape shape(std::vector<int64_t>(static_cast<size_t>(w.rank()), 1));
  shape[uses_[i].dim] = l.numel();
  return w * reshape(l, shape);
}

}  // namespace cotangent::nn
