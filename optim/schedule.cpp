#include <cotangent/optim/schedule.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/optim/rule.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent::optim {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

void check_steps(const char* name, const char* option, int64_t steps) {
  if (steps <= 0) fail<ValueError>("[{}] {} is {}; it must be 1 or more", name, option, steps);
}

/// Half a cosine from `from` to `to`, as `part` goes from 0 to 1.
double cosine(double from, double to, double part) { return to + (from - to) * (1 + std::cos(M_PI * part)) / 2; }

/// The number of milestones up to t.
int64_t passed(const std::vector<int64_t>& milestones, int64_t t) {
  return std::count_if(milestones.begin(), milestones.end(), [t](int64_t m) { return m <= t; });
}

}  // namespace

bool Schedule::has_momentum() const { return !std::isnan(momentum_at(0)); }

double StepLR::at(int64_t t, double base) const { return base * std::pow(gamma, t / step_size); }
void StepLR::check() const {
  check_steps("StepLR", "step_size", step_size);
  cotangent::detail::check_not_negative("StepLR", "gamma", gamma);
}

double MultiStepLR::at(int64_t t, double base) const { return base * std::pow(gamma, passed(milestones, t)); }
void MultiStepLR::check() const {
  for (int64_t m : milestones)
    if (m < 0) fail<ValueError>("[MultiStepLR] a milestone is {}; all must be 0 or more", m);
  cotangent::detail::check_not_negative("MultiStepLR", "gamma", gamma);
}

double ConstantLR::at(int64_t t, double base) const { return t < total_iters ? base * factor : base; }
void ConstantLR::check() const {
  cotangent::detail::check_fraction("ConstantLR", "factor", factor);
  check_steps("ConstantLR", "total_iters", total_iters);
}

double LinearLR::at(int64_t t, double base) const {
  const double part = static_cast<double>(std::min(t, total_iters)) / static_cast<double>(total_iters);
  return base * (start_factor + (end_factor - start_factor) * part);
}
void LinearLR::check() const {
  cotangent::detail::check_fraction("LinearLR", "start_factor", start_factor);
  cotangent::detail::check_fraction("LinearLR", "end_factor", end_factor);
  check_steps("LinearLR", "total_iters", total_iters);
}

double ExponentialLR::at(int64_t t, double base) const { return base * std::pow(gamma, t); }
void ExponentialLR::check() const {
  if (!(gamma > 0)) fail<ValueError>("[ExponentialLR] gamma is {}; it must be above 0", gamma);
}

double PolynomialLR::at(int64_t t, double base) const {
  const double part = static_cast<double>(std::min(t, total_iters)) / static_cast<double>(total_iters);
  return base * std::pow(1 - part, power);
}
void PolynomialLR::check() const {
  check_steps("PolynomialLR", "total_iters", total_iters);
  cotangent::detail::check_not_negative("PolynomialLR", "power", power);
}

double CosineAnnealingLR::at(int64_t t, double base) const {
  return cosine(base, eta_min, static_cast<double>(t) / static_cast<double>(T_max));
}
void CosineAnnealingLR::check() const {
  check_steps("CosineAnnealingLR", "T_max", T_max);
  cotangent::detail::check_not_negative("CosineAnnealingLR", "eta_min", eta_min);
}

double CosineAnnealingWarmRestarts::at(int64_t t, double base) const {
  int64_t length = T_0;
  if (T_mult == 1) t %= T_0;
  for (; t >= length; length *= T_mult) t -= length;
  return cosine(base, eta_min, static_cast<double>(t) / static_cast<double>(length));
}
void CosineAnnealingWarmRestarts::check() const {
  check_steps("CosineAnnealingWarmRestarts", "T_0", T_0);
  check_steps("CosineAnnealingWarmRestarts", "T_mult", T_mult);
  cotangent::detail::check_not_negative("CosineAnnealingWarmRestarts", "eta_min", eta_min);
}

namespace {

/// The value at t of a curve through `values` at the ends of the phases of a cycle.
double one_cycle(const OneCycleLR& o, int64_t t, std::initializer_list<double> values) {
  if (t > o.total_steps)
    fail<ValueError>("[OneCycleLR] step {} of a cycle of {}; stop, or make total_steps larger", t, o.total_steps);
  const double last = static_cast<double>(o.total_steps - 1), now = std::min(static_cast<double>(t), last);
  const double top = o.pct_start * static_cast<double>(o.total_steps) - 1;
  const double ends[] = {top, o.three_phase ? 2 * top : last, last};
  double start = 0;
  size_t phase = 0;
  for (; phase + 2 < values.size() && now > ends[phase]; ++phase) start = ends[phase];
  const double part = (now - start) / (ends[phase] - start), from = values.begin()[phase];
  const double to = values.begin()[phase + 1];
  return o.anneal_strategy == Anneal::cos ? cosine(from, to, part) : from + (to - from) * part;
}

}  // namespace

double OneCycleLR::at(int64_t t, double base) const {
  const double top = max_lr != 0 ? max_lr : base, start = top / div_factor, end = start / final_div_factor;
  return three_phase ? one_cycle(*this, t, {start, top, start, end}) : one_cycle(*this, t, {start, top, end});
}
double OneCycleLR::momentum_at(int64_t t) const {
  if (!cycle_momentum) return kNaN;
  const double top = max_momentum, low = base_momentum;
  return three_phase ? one_cycle(*this, t, {top, low, top, top}) : one_cycle(*this, t, {top, low, top});
}
void OneCycleLR::check() const {
  cotangent::detail::check_not_negative("OneCycleLR", "max_lr", max_lr);
  cotangent::detail::check_fraction("OneCycleLR", "pct_start", pct_start);
  const double top = pct_start * static_cast<double>(total_steps) - 1, last = static_cast<double>(total_steps - 1);
  if (!(top > 0 && (three_phase ? 2 * top : top) < last))
    fail<ValueError>(
        "[OneCycleLR] total_steps is {} and pct_start {}; the rise must take a step or more, and leave one to fall",
        total_steps, pct_start);
  for (double momentum : {base_momentum, max_momentum})
    if (!(momentum >= 0 && momentum < 1))
      fail<ValueError>("[OneCycleLR] a momentum is {}; both must be in [0, 1)", momentum);
  if (!(div_factor > 0 && final_div_factor > 0))
    fail<ValueError>("[OneCycleLR] div_factor is {} and final_div_factor {}; they must be above 0", div_factor,
                     final_div_factor);
}

double SequentialLR::at(int64_t t, double base) const {
  const auto i = static_cast<size_t>(passed(milestones, t));
  return schedules[i].at(i == 0 ? t : t - milestones[i - 1], base);
}
double SequentialLR::momentum_at(int64_t t) const {
  const auto i = static_cast<size_t>(passed(milestones, t));
  return schedules[i].momentum_at(i == 0 ? t : t - milestones[i - 1]);
}
void SequentialLR::check() const {
  if (schedules.size() != milestones.size() + 1)
    fail<ValueError>("[SequentialLR] {} schedules and {} milestones; there must be one milestone fewer than schedules",
                     schedules.size(), milestones.size());
  int64_t before = 0;
  for (int64_t m : milestones) {
    if (m <= before)
      fail<ValueError>("[SequentialLR] milestone {} follows {}; they must rise, from above 0", m, before);
    before = m;
  }
}

double ChainedScheduler::at(int64_t t, double base) const {
  for (const Schedule& s : schedules) base = s.at(t, base);
  return base;
}
double ChainedScheduler::momentum_at(int64_t t) const {
  double momentum = kNaN;
  for (const Schedule& s : schedules)
    if (s.has_momentum()) momentum = s.momentum_at(t);
  return momentum;
}
void ChainedScheduler::check() const {
  if (schedules.empty()) fail<ValueError>("[ChainedScheduler] there are no schedules; name one or more");
}

LRScheduler::LRScheduler(Optimizer& optimizer, const Schedule& schedule) : optimizer_(&optimizer), schedule_(schedule) {
  for (size_t g = 0; g < optimizer.group_count(); ++g)
    if (schedule_.has_momentum() && !optimizer.momentum(g))
      fail<ValueError>(
          "[OneCycleLR] the optimizer has neither momentum nor betas to cycle; set .cycle_momentum = false");
  apply();
}

void LRScheduler::step() {
  ++last_epoch_;
  try {
    apply();
  } catch (...) {
    --last_epoch_;
    throw;
  }
}

std::vector<double> LRScheduler::bases_now() const {
  std::vector<double> bases = base_lrs_;
  for (size_t g = 0; g < optimizer_->group_count(); ++g) {
    const double now = optimizer_->lr(g);
    if (g == bases.size()) bases.push_back(now);
    if (g < last_lrs_.size() && now != last_lrs_[g] && last_lrs_[g] != 0) bases[g] *= now / last_lrs_[g];
  }
  return bases;
}

void LRScheduler::apply() {
  std::vector<double> bases = bases_now(), rates;
  for (size_t g = 0; g < bases.size(); ++g) {
    rates.push_back(schedule_.at(last_epoch_, bases[g]));
    if (!(rates[g] >= 0 && std::isfinite(rates[g])))
      fail<ValueError>(
          "[LRScheduler] the schedule gives the learning rate {} for step {}; it must be finite, 0 or more", rates[g],
          last_epoch_);
  }
  set(std::move(bases), std::move(rates));
}

void LRScheduler::set(std::vector<double> bases, std::vector<double> rates) {
  const double momentum = schedule_.momentum_at(last_epoch_);
  for (size_t g = 0; g < rates.size(); ++g) {
    optimizer_->lr(g) = rates[g];
    if (!std::isnan(momentum)) *optimizer_->momentum(g) = momentum;
  }
  base_lrs_ = std::move(bases);
  last_lrs_ = std::move(rates);
}

double LRScheduler::last_lr(size_t group) const {
  if (group >= last_lrs_.size()) detail::no_such_group("LRScheduler", group, last_lrs_.size());
  return last_lrs_[group];
}

StateDict LRScheduler::state_dict() const {
  StateDict state;
  const std::vector<double> bases = bases_now();
  std::vector<double> rates;  // also as something else has changed them since
  for (size_t g = 0; g < bases.size(); ++g) rates.push_back(optimizer_->lr(g));
  const auto count = static_cast<int64_t>(bases.size());
  state.add("last_epoch", full({}, static_cast<double>(last_epoch_), float64));
  state.add("base_lrs", from_vector(bases, {count}));
  state.add("last_lrs", from_vector(rates, {count}));
  return state;
}

void LRScheduler::load_state_dict(const StateDict& state) {
  const Tensor &epoch = state.get("last_epoch"), &bases = state.get("base_lrs"), &rates = state.get("last_lrs");
  const Shape wanted{static_cast<int64_t>(optimizer_->group_count())};
  if (state.size() != 3 || !epoch.defined() || !bases.defined() || !rates.defined() || epoch.numel() != 1 ||
      bases.shape() != wanted || rates.shape() != wanted)
    fail<ValueError>(
        "[load_state_dict] this is not the state of an LRScheduler of {} groups; load what state_dict() of one gave",
        optimizer_->group_count());
  const int64_t before = std::exchange(last_epoch_, static_cast<int64_t>(epoch.item()));
  try {
    set(bases.to_vector<double>(), rates.to_vector<double>());
  } catch (...) {
    last_epoch_ = before;
    throw;
  }
}

}  // namespace cotangent::optim
