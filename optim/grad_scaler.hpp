#pragma once
#include <cotangent/optim/optimizer.hpp>

namespace cotangent::optim {

struct GradScalerOptions {
  double init_scale = 65536;       ///< a power of 2, by which multiplication is exact
  double growth_factor = 2;        ///< of the scale, after growth_interval steps without infinity or NaN
  double backoff_factor = 0.5;     ///< of the scale, when there was one
  int64_t growth_interval = 2000;  ///< steps
  bool enabled = true;             ///< false: the scale is 1, and nothing is looked at
};

/// Keeps gradients in the range of float16, of which the smallest number is 6e-8: the loss is multiplied by a scale,
/// and so are all gradients; they are divided by it, in float32, before the step (Micikevicius et al.,
/// arXiv:1710.03740). The largest scale that does not overflow is found by trial: a step whose gradients hold infinity
/// or NaN is left out, and the scale falls; it grows again after many good ones.
///
///     optim::GradScaler scaler;
///     scaler.scale(loss).backward();
///     scaler.unscale_(optimizer);                       // only for what comes between:
///     optim::clip_grad_norm_(optimizer.masters(), 1);
///     if (scaler.step(optimizer)) schedule.step();      // counts no step that was left out, as Adam does not
///     scaler.update();
///
/// The scales are those of PyTorch's torch.amp.GradScaler, and so is the order of the calls, of which another is a
/// ValueError.
class GradScaler {
 public:
  /// A ValueError for an init_scale or a growth_interval that is not positive, a growth_factor of 1 or less, or a
  /// backoff_factor outside of (0, 1).
  explicit GradScaler(const GradScalerOptions& options = {});

  /// loss * scale, in float32 at least.   dx = dy * scale
  Tensor scale(const Tensor& loss) const;
  /// Divides the gradients of an optimizer's parameters by the scale, once between updates; where a parameter has a
  /// master, that gets the result. A DTypeError for a gradient in float16 of one that has none: what was scaled up to
  /// fit would be lost.
  void unscale_(Optimizer& optimizer);
  /// optimizer.step(), after unscale_ if that was not called; or, where a gradient is infinite or NaN, nothing and
  /// false.
  bool step(Optimizer& optimizer);
  /// Changes the scale by what the steps since the last call have found.
  void update();

  double scale() const { return options_.enabled ? scale_ : 1; }
  bool is_enabled() const { return options_.enabled; }

  /// Under PyTorch's names: scale, growth_factor, backoff_factor, growth_interval, _growth_tracker.
  StateDict state_dict() const;
  void load_state_dict(const StateDict& state);

 private:
  struct Seen {
    const Optimizer* optimizer;
    bool found_inf, stepped;
  };
  Seen* find(const Optimizer& optimizer);

  GradScalerOptions options_;
  double scale_;
  int64_t growth_tracker_ = 0;  // good steps since the scale changed
  std::vector<Seen> seen_;      // since update()
};

}  // namespace cotangent::optim
