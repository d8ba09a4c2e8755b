#include <cotangent/optim/grad_scaler.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/optim.hpp>
#include <cotangent/tensor/reduce.hpp>

namespace cotangent::optim {
namespace {

constexpr double kLeast = 0x1p-126;  // by whose inverse float32 can multiply

void check(const GradScalerOptions& o) {
  if (!(o.init_scale >= kLeast && std::isfinite(static_cast<float>(o.init_scale))))
    fail<ValueError>("[GradScaler] init_scale is {}; it must be positive and finite, in float32 as is its inverse",
                     o.init_scale);
  if (!(o.growth_factor > 1)) fail<ValueError>("[GradScaler] growth_factor is {}; it must be above 1", o.growth_factor);
  if (!(o.backoff_factor > 0 && o.backoff_factor < 1))
    fail<ValueError>("[GradScaler] backoff_factor is {}; it must be above 0 and below 1", o.backoff_factor);
  if (o.growth_interval < 1)
    fail<ValueError>("[GradScaler] growth_interval is {}; it must be at least 1", o.growth_interval);
}

/// The scale is a number of float32, in which the gradients are multiplied by it.
double rounded(double scale) { return static_cast<double>(static_cast<float>(scale)); }

bool is_finite(const Tensor& x) {
  if (std::isfinite(raw::sum_of_squares(x))) return true;
  if (x.dtype() != float64) return false;
  const uint32_t all = (1u << x.rank()) - 1;  // squares of float64 may overflow
  return raw::all("GradScaler", raw::unary("GradScaler", raw::Unary::is_finite, x), all).item<bool>();
}

}  // namespace

GradScaler::GradScaler(const GradScalerOptions& options) : options_(options), scale_(rounded(options.init_scale)) {
  check(options);
}

Tensor GradScaler::scale(const Tensor& loss) const {
  return options_.enabled ? to(loss, compute_dtype(loss.dtype())) * scale_ : loss;
}

GradScaler::Seen* GradScaler::find(const Optimizer& optimizer) {
  const auto place = std::ranges::find(seen_, &optimizer, &Seen::optimizer);
  return place == seen_.end() ? nullptr : &*place;
}

void GradScaler::unscale_(Optimizer& optimizer) {
  if (!options_.enabled) return;
  if (const Seen* seen = find(optimizer))
    fail<ValueError>("[GradScaler] unscale_() {} of this optimizer; call it once before each, and update() at the end",
                     seen->stepped ? "after step()" : "twice before a step()");
  const NoGrad guard;
  const Tensors masters = optimizer.masters();
  for (size_t i = 0; i < masters.size(); ++i)
    if (const Tensor& g = optimizer.parameters()[i].grad(); g.defined() && masters[i].dtype() == float16)
      fail<DTypeError>(
          "[GradScaler] the gradient of parameter {} is float16, which can't hold it without the scale; call the "
          "optimizer's keep_masters()",
          i);
  bool found_inf = false;
  const double inverse = rounded(1 / scale_);
  for (size_t i = 0; i < masters.size(); ++i) {
    const Tensor& parameter = optimizer.parameters()[i];
    Tensor g = parameter.grad();
    if (!g.defined()) continue;
    found_inf |= !is_finite(g);
    if (masters[i].impl() == parameter.impl())
      g.mul_(inverse);
    else
      masters[i].set_grad(to(g, float32).mul_(inverse));
  }
  seen_.push_back({&optimizer, found_inf, false});
}

bool GradScaler::step(Optimizer& optimizer) {
  if (options_.enabled) {
    if (!find(optimizer)) unscale_(optimizer);
    Seen& seen = *find(optimizer);
    if (seen.stepped) fail<ValueError>("[GradScaler] step() twice of this optimizer; call update() after each");
    seen.stepped = true;
    if (seen.found_inf) return false;
  }
  optimizer.step();
  return true;
}

void GradScaler::update() {
  if (!options_.enabled) return;
  if (seen_.empty()) fail<ValueError>("[GradScaler] update() before any step(); nothing is known of the gradients");
  if (std::ranges::any_of(seen_, &Seen::found_inf)) {
    scale_ = std::max(rounded(scale_ * options_.backoff_factor), kLeast);
    growth_tracker_ = 0;
  } else if (++growth_tracker_ >= options_.growth_interval) {
    const double grown = rounded(scale_ * options_.growth_factor);
    if (std::isfinite(grown)) scale_ = grown;
    growth_tracker_ = 0;
  }
  seen_.clear();
}

StateDict GradScaler::state_dict() const {
  StateDict state;
  const auto add = [&](const char* name, double value) { state.add(name, full({}, value, float64)); };
  add("scale", scale_);
  add("growth_factor", options_.growth_factor);
  add("backoff_factor", options_.backoff_factor);
  add("growth_interval", static_cast<double>(options_.growth_interval));
  add("_growth_tracker", static_cast<double>(growth_tracker_));
  return state;
}

void GradScaler::load_state_dict(const StateDict& state) {
  const auto number = [&](const char* name) {
    const Tensor& value = state.get(name);
    if (!value.defined() || value.numel() != 1 || state.size() != 5 || !std::isfinite(value.item()))
      fail<ValueError>("[load_state_dict] this is not the state of a GradScaler; {} must be one of five numbers", name);
    return value.item();
  };
  GradScalerOptions options{.init_scale = number("scale"),
                            .growth_factor = number("growth_factor"),
                            .backoff_factor = number("backoff_factor"),
                            .growth_interval = static_cast<int64_t>(number("growth_interval")),
                            .enabled = options_.enabled};
  const auto tracker = static_cast<int64_t>(number("_growth_tracker"));
  check(options);
  scale_ = rounded(options.init_scale);
  growth_tracker_ = tracker;
  options_ = options;
  seen_.clear();
}

}  // namespace cotangent::optim
