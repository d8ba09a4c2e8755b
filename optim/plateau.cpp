#include <cotangent/optim/plateau.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent::optim {

ReduceLROnPlateau::ReduceLROnPlateau(Optimizer& optimizer, PlateauOptions options)
    : optimizer_(&optimizer), options_(std::move(options)) {
  const char* name = "ReduceLROnPlateau";
  const PlateauOptions& o = options_;
  if (!(o.factor >= 0 && o.factor < 1)) fail<ValueError>("[{}] factor is {}; it must be in [0, 1)", name, o.factor);
  cotangent::detail::check_not_negative(name, "patience", static_cast<double>(o.patience));
  cotangent::detail::check_not_negative(name, "threshold", o.threshold);
  cotangent::detail::check_not_negative(name, "cooldown", static_cast<double>(o.cooldown));
  cotangent::detail::check_not_negative(name, "eps", o.eps);
  for (double lr : o.min_lr) cotangent::detail::check_not_negative(name, "min_lr", lr);
  if (o.min_lr.size() != 1 && o.min_lr.size() != optimizer.group_count())
    fail<ValueError>("[{}] {} values of min_lr for {} groups; give one, or one for each group", name, o.min_lr.size(),
                     optimizer.group_count());
  best_ =
      o.mode == PlateauMode::min ? std::numeric_limits<double>::infinity() : -std::numeric_limits<double>::infinity();
}

bool ReduceLROnPlateau::better(double metric) const {
  double margin = options_.threshold;
  if (options_.threshold_mode == ThresholdMode::rel) margin *= std::isinf(best_) ? 0 : std::fabs(best_);
  return options_.mode == PlateauMode::min ? metric < best_ - margin : metric > best_ + margin;
}

bool ReduceLROnPlateau::step(double metric) {
  if (std::isnan(metric))
    fail<ValueError>("[ReduceLROnPlateau] the metric of epoch {} is NaN; look into the training", last_epoch_ + 1);
  ++last_epoch_;
  if (better(metric)) {
    best_ = metric;
    num_bad_epochs_ = 0;
  } else {
    ++num_bad_epochs_;
  }
  if (cooldown_counter_ > 0) {
    --cooldown_counter_;
    num_bad_epochs_ = 0;
  }
  if (num_bad_epochs_ <= options_.patience) return false;
  num_bad_epochs_ = 0;
  cooldown_counter_ = options_.cooldown;
  bool reduced = false;
  for (size_t g = 0; g < optimizer_->group_count(); ++g) {
    double& lr = optimizer_->lr(g);
    const double least = options_.min_lr[options_.min_lr.size() == 1 ? 0 : std::min(g, options_.min_lr.size() - 1)];
    const double next = std::max(lr * options_.factor, least);
    if (lr - next <= options_.eps) continue;
    lr = next;
    reduced = true;
  }
  return reduced;
}

StateDict ReduceLROnPlateau::state_dict() const {
  StateDict state;
  state.add("best", full({}, best_, float64));
  state.add("num_bad_epochs", full({}, static_cast<double>(num_bad_epochs_), float64));
  state.add("cooldown_counter", full({}, static_cast<double>(cooldown_counter_), float64));
  state.add("last_epoch", full({}, static_cast<double>(last_epoch_), float64));
  return state;
}

void ReduceLROnPlateau::load_state_dict(const StateDict& state) {
  double values[4];
  size_t i = 0;
  for (const char* name : {"best", "num_bad_epochs", "cooldown_counter", "last_epoch"}) {
    const Tensor& value = state.get(name);
    if (!value.defined() || value.numel() != 1 || state.size() != 4)
      fail<ValueError>(
          "[load_state_dict] this is not the state of a ReduceLROnPlateau; load what state_dict() of one gave");
    values[i++] = value.item();
  }
  best_ = values[0];
  num_bad_epochs_ = static_cast<int64_t>(values[1]);
  cooldown_counter_ = static_cast<int64_t>(values[2]);
  last_epoch_ = static_cast<int64_t>(values[3]);
}

}  // namespace cotangent::optim
