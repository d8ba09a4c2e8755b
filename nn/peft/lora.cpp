#include <cotangent/nn/peft/lora.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/decomposition.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/random.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/attention/headed.hpp>
#include <cotangent/nn/embedding.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

/// A weight with all dimensions but the first in one.
Tensor matrix(const Tensor& w) { return w.rank() > 2 ? flatten(w, 1) : w; }

}  // namespace

LoRA::LoRA(Module& base, const LoRAOptions& o) : options(o) {
  if (o.r < 1) fail<ValueError>("[LoRA] r = {}; it must be 1 at least", o.r);
  if (!std::isfinite(o.alpha)) fail<ValueError>("[LoRA] alpha = {}; it must be finite", o.alpha);
  if (!(o.dropout >= 0 && o.dropout < 1))
    fail<ValueError>("[LoRA] dropout {} must be at least 0 and below 1", o.dropout);
  for (const detail::FoundTarget& t : detail::find_targets("LoRA", base, o.targets)) {
    const bool linear = dynamic_cast<Linear*>(t.owner) ||
                        (dynamic_cast<HeadedAttention*>(t.owner) && t.parameter.ends_with("proj_weight"));
    if (o.dropout > 0 && !linear)
      fail<ValueError>("[LoRA] {} is a parameter of {}, whose input is out of reach of the dropout; take dropout = 0",
                       t.name, t.owner->type_name());
    transposed_.push_back(dynamic_cast<Embedding*>(t.owner) != nullptr);
    const Tensor w = matrix(t.values);
    const int64_t in = w.size(transposed_.back() ? 0 : 1), out = w.size(transposed_.back() ? 1 : 0);
    LowRank delta;
    const Tensor a = empty({o.r, in}, w.dtype()), b = empty({out, o.r}, w.dtype());
    delta.lora_A = transposed_.back() ? init::zeros_(a) : init::kaiming_uniform_(a, {.slope = std::sqrt(5.0)});
    delta.lora_B = transposed_.back() ? init::normal_(b) : init::zeros_(b);
    deltas.push_back(delta);
    targets.push_back(t);
  }
}

void LoRA::members(Members& visitor) {
  for (size_t i = 0; i < targets.size(); ++i) visitor.add(targets[i].name, deltas[i]);
}

Tensor LoRA::tuned(size_t i, const Tensor& w) const {
  const Tensor &a = deltas[i].lora_A, &b = deltas[i].lora_B;
  const Tensor sum = transposed_[i] ? addmm(w, transpose(a, 0, 1), transpose(b, 0, 1), 1, scale())
                                    : addmm(matrix(w), b, a, 1, scale());
  return w.rank() > 2 ? reshape(sum, w.shape()) : sum;
}

Tensor LoRA::beside(size_t i, const Tensor& x) const {
  return linear(linear(dropout(x, options.dropout), deltas[i].lora_A), deltas[i].lora_B) * scale();
}

std::string LoRA::settings() const {
  return fmt::format("r = {}, alpha = {}{}", options.r, options.alpha,
                     options.dropout > 0 ? fmt::format(", dropout = {}", options.dropout) : "");
}

StateDict svd_delta(const StateDict& tuned, const StateDict& base, int64_t r) {
  const NoGrad guard;
  StateDict result;
  for (const auto& [name, w] : tuned) {
    const Tensor& before = base.get(name);
    if (!before.defined() || !w.is_floating() || w.rank() < 2) continue;
    if (w.shape() != before.shape())
      fail<ShapeError>("[svd_delta] {} is {} and was {}; it must keep its shape", name, w.shape(), before.shape());
    const Tensor change = matrix(w.to(float64) - before.to(float64));
    const int64_t most = std::min(change.size(0), change.size(1));
    if (r < 1 || r > most)
      fail<ValueError>("[svd_delta] r = {} for {}, which is {}; it must be between 1 and {}", r, name, w.shape(), most);
    const linalg::SVD s = linalg::svd(change, false);
    const Tensor root = sqrt(narrow(s.S, 0, 0, r));
    result.add(name + ".lora_A", (unsqueeze(root, 1) * narrow(s.Vh, 0, 0, r)).to(w.dtype()));
    result.add(name + ".lora_B", (narrow(s.U, 1, 0, r) * root).to(w.dtype()));
  }
  return result;
}

}  // namespace cotangent::nn
