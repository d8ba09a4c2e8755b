#include <cotangent/nn/preference.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/autograd/ops/statistics.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent::nn {
namespace {

Tensor reduced(const Tensor& losses, Reduction reduction) {
  return reduction == Reduction::none ? losses : reduction == Reduction::sum ? sum(losses) : mean(losses);
}

void check_shape(const char* op, const char* what, const Tensor& x, const Shape& shape) {
  if (x.shape() != shape)
    fail<ShapeError>("[{}] {} has shape {}; it must be {}, that of the log-probabilities", op, what, x.shape(), shape);
}

}  // namespace

Tensor token_log_probabilities(const Tensor& logits, const Tensor& tokens) {
  if (logits.rank() < 1 || tokens.shape() != logits.shape().slice(0, logits.rank() - 1))
    fail<ShapeError>("[token_log_probabilities] logits {} and tokens {}; they must be (.., V) and (..)", logits.shape(),
                     tokens.shape());
  return squeeze(gather(log_softmax(logits, -1), -1, unsqueeze(tokens, -1)), -1);
}

Tensor dpo_loss(const Tensor& chosen, const Tensor& rejected, const Tensor& reference_chosen,
                const Tensor& reference_rejected, const DpoOptions& o) {
  check_shape("dpo_loss", "rejected", rejected, chosen.shape());
  check_shape("dpo_loss", "reference_chosen", reference_chosen, chosen.shape());
  check_shape("dpo_loss", "reference_rejected", reference_rejected, chosen.shape());
  cotangent::detail::check_not_negative("dpo_loss", "beta", o.beta);
  cotangent::detail::check_fraction("dpo_loss", "label_smoothing", o.label_smoothing);
  if (is_low_precision(chosen.dtype()))
    return in_float32<to>(dpo_loss, chosen, rejected, reference_chosen, reference_rejected, o);
  const Tensor margin = o.beta * ((chosen - rejected) - (reference_chosen - reference_rejected).detach());
  Tensor losses = -log_sigmoid(margin);
  if (o.label_smoothing > 0)  // else an infinite margin that is right would cost 0 * infinity
    losses = (1 - o.label_smoothing) * losses - o.label_smoothing * log_sigmoid(-margin);
  return reduced(losses, o.reduction);
}

Tensor group_advantages(const Tensor& rewards) {
  if (rewards.rank() < 1 || rewards.size(-1) < 2)
    fail<ShapeError>("[group_advantages] rewards of shape {}; the last dimension is a group of 2 or more",
                     rewards.shape());
  const Tensor r = rewards.detach();
  return (r - mean(r, {-1}, true)) / (std(r, {-1}, {.keepdim = true}) + 1e-4);
}

Tensor grpo_loss(const Tensor& log_probs, const Tensor& old, const Tensor& reference, const Tensor& advantages,
                 const GrpoOptions& o) {
  if (log_probs.rank() != 2)
    fail<ShapeError>("[grpo_loss] log-probabilities of shape {}; they must be (answers, tokens)", log_probs.shape());
  check_shape("grpo_loss", "old", old, log_probs.shape());
  check_shape("grpo_loss", "reference", reference, log_probs.shape());
  if (advantages.shape() != Shape{log_probs.size(0)})
    fail<ShapeError>("[grpo_loss] advantages of shape {}; with log-probabilities {} they must be {}",
                     advantages.shape(), log_probs.shape(), Shape{log_probs.size(0)});
  cotangent::detail::check_not_negative("grpo_loss", "epsilon", o.epsilon);
  cotangent::detail::check_not_negative("grpo_loss", "beta", o.beta);
  const bool masked = o.mask.defined();
  if (masked) check_shape("grpo_loss", "the mask", o.mask, log_probs.shape());
  if (masked && o.mask.dtype() != boolean)
    fail<DTypeError>("[grpo_loss] the mask is {}; it must be bool, false for what does not count", o.mask.dtype());

  if (is_low_precision(log_probs.dtype())) return in_float32<to>(grpo_loss, log_probs, old, reference, advantages, o);

  // What does not count is put aside before anything is computed of it: it may be infinite or NaN.
  const auto counted = [&](const Tensor& x) { return masked ? where(o.mask, x, 0) : x; };
  const Tensor own = counted(log_probs), a = unsqueeze(advantages.detach(), 1);
  const Tensor log_ratio = own - counted(old.detach()), d = counted(reference.detach()) - own;
  // min(w A, clamp(w) A) is w A cut on one side, which is the sign of A. The logarithm is cut, as an infinite w would
  // meet a gradient of 0.
  const double least = o.epsilon < 1 ? std::log1p(-o.epsilon) : -INFINITY;
  const Tensor gain =
      a * exp(where(a >= 0, clamp(log_ratio, -INFINITY, std::log1p(o.epsilon)), clamp(log_ratio, least)));
  const Tensor divergence = expm1(d) - d;
  const Tensor each = o.beta * (o.weighted_penalty ? exp(log_ratio) * divergence : divergence) - gain;
  const Tensor count = masked ? maximum(sum(o.mask.to(each.dtype()), {1}), tensor(1))
                              : full({}, std::max<int64_t>(each.size(1), 1), each.dtype());
  return reduced(sum(masked ? where(o.mask, each, 0) : each, {1}) / count, o.reduction);
}

}  // namespace cotangent::nn
