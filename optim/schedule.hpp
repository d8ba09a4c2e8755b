#pragma once
// Learning rates that change with the number of steps taken. A schedule is a plain struct, a function of time; an
// LRScheduler applies it to an optimizer:
//
//     optim::LRScheduler scheduler(optimizer, optim::CosineAnnealingLR{.T_max = 1000});
//     for (...) {
//       ...
//       optimizer.step();
//       scheduler.step();  // after the optimizer
//     }
//
// Schedules combine: a warm-up over 100 steps, then a cosine over 900:
//
//     optim::SequentialLR{{optim::LinearLR{.start_factor = 0.01, .total_iters = 100},
//                          optim::CosineAnnealingLR{.T_max = 900}}, {100}}
//
// In the formulas t counts steps from 0, and base is the learning rate the optimizer was made with. Whether a step is
// one batch or one epoch is up to the caller. The values are PyTorch's; it computes most of them from the value before,
// here each is computed by itself, so that no error adds up and any t can be asked for.
#include <concepts>
#include <utility>

#include <cotangent/optim/optimizer.hpp>

namespace cotangent::optim {

/// Any schedule: what has `double at(int64_t t, double base) const` and `void check() const`, which throws a ValueError
/// for settings out of range; optionally `double momentum_at(int64_t t) const`, NaN for a momentum that is left alone.
class Schedule {
 public:
  template <class S>
  requires requires(const S& s) {
    { s.at(int64_t(), double()) } -> std::convertible_to<double>;
    s.check();
  } &&(!std::same_as<S, Schedule>)Schedule(const S& schedule) : model_(new Model<S>(schedule)) {
    try {
      schedule.check();
    } catch (...) {
      delete model_;
      throw;
    }
  }
  Schedule(const Schedule& other) : model_(other.model_->clone()) {}
  Schedule& operator=(Schedule other) noexcept {
    std::swap(model_, other.model_);
    return *this;
  }
  ~Schedule() { delete model_; }

  /// The learning rate after t steps.
  double at(int64_t t, double base) const { return model_->at(t, base); }
  double momentum_at(int64_t t) const { return model_->momentum_at(t); }
  bool has_momentum() const;

 private:
  struct Base {
    virtual ~Base() = default;
    virtual Base* clone() const = 0;
    virtual double at(int64_t t, double base) const = 0;
    virtual double momentum_at(int64_t t) const = 0;
  };
  template <class S>
  struct Model : Base {
    explicit Model(const S& s) : schedule(s) {}
    Base* clone() const override { return new Model(schedule); }
    double at(int64_t t, double base) const override { return schedule.at(t, base); }
    double momentum_at([[maybe_unused]] int64_t t) const override {
      if constexpr (requires { schedule.momentum_at(t); })
        return schedule.momentum_at(t);
      else
        return __builtin_nan("");
    }
    S schedule;
  };
  Base* model_;
};

/// base * gamma^floor(t / step_size)
struct StepLR {
  int64_t step_size = 0;  ///< must be given
  double gamma = 0.1;
  double at(int64_t t, double base) const;
  void check() const;
};

/// base * gamma^(the number of milestones up to t)
struct MultiStepLR {
  std::vector<int64_t> milestones;
  double gamma = 0.1;
  double at(int64_t t, double base) const;
  void check() const;
};

/// base * factor for the first total_iters steps, then base.
struct ConstantLR {
  double factor = 1.0 / 3;
  int64_t total_iters = 5;
  double at(int64_t t, double base) const;
  void check() const;
};

/// From base * start_factor to base * end_factor in total_iters steps, in a straight line: the usual warm-up.
struct LinearLR {
  double start_factor = 1.0 / 3;
  double end_factor = 1;
  int64_t total_iters = 5;
  double at(int64_t t, double base) const;
  void check() const;
};

/// base * gamma^t
struct ExponentialLR {
  double gamma = 0;  ///< must be given
  double at(int64_t t, double base) const;
  void check() const;
};

/// base * (1 - t / total_iters)^power, and 0 from total_iters on.
struct PolynomialLR {
  int64_t total_iters = 5;
  double power = 1;
  double at(int64_t t, double base) const;
  void check() const;
};

/// eta_min + (base - eta_min) (1 + cos(pi t / T_max)) / 2, which rises again after T_max steps.
struct CosineAnnealingLR {
  int64_t T_max = 0;  ///< must be given
  double eta_min = 0;
  double at(int64_t t, double base) const;
  void check() const;
};

/// The falling half of the cosine again and again, over T_0 steps, T_0 T_mult steps, T_0 T_mult^2 steps, ... (SGDR:
/// Loshchilov and Hutter 2017)
struct CosineAnnealingWarmRestarts {
  int64_t T_0 = 0;  ///< must be given
  int64_t T_mult = 1;
  double eta_min = 0;
  double at(int64_t t, double base) const;
  void check() const;
};

enum class Anneal : uint8_t { cos, linear };

/// From max_lr / div_factor up to max_lr, and down to max_lr / div_factor / final_div_factor, in total_steps steps in
/// all; the momentum (or the first beta) falls and rises meanwhile. (Smith and Topin, "Super-convergence", 2018.) The
/// base does not matter when max_lr is given. Later steps than the last give its value (PyTorch goes on for one step
/// beyond the end of the curve, where the rate rises again); a ValueError for t > total_steps.
struct OneCycleLR {
  double max_lr = 0;        ///< 0: the base, so that each group has its own
  int64_t total_steps = 0;  ///< must be given
  double pct_start = 0.3;   ///< the part of the steps in which the rate rises
  Anneal anneal_strategy = Anneal::cos;
  bool cycle_momentum = true;
  double base_momentum = 0.85;
  double max_momentum = 0.95;
  double div_factor = 25;
  double final_div_factor = 1e4;
  bool three_phase = false;  ///< falls as long as it rose, and then to the end
  double at(int64_t t, double base) const;
  double momentum_at(int64_t t) const;
  void check() const;
};

/// base * factor(t), for a function int64_t -> double:   LambdaLR([](int64_t t) { return std::pow(0.95, t); })
template <class F>
struct LambdaLR {
  explicit LambdaLR(F f) : factor(std::move(f)) {}
  F factor;
  double at(int64_t t, double base) const { return base * factor(t); }
  void check() const {}
};

/// One schedule after the other: the next takes over, at its own t = 0, when t reaches a milestone.
struct SequentialLR {
  std::vector<Schedule> schedules;
  std::vector<int64_t> milestones;  ///< one fewer than schedules, rising
  double at(int64_t t, double base) const;
  double momentum_at(int64_t t) const;
  void check() const;
};

/// All at once: what one schedule gives is the base of the next. For those that multiply the base this is the product.
struct ChainedScheduler {
  std::vector<Schedule> schedules;
  double at(int64_t t, double base) const;
  double momentum_at(int64_t t) const;  // of the last that has one
  void check() const;
};

/// Sets the learning rates of an optimizer's groups, at once and after each step(). It must not outlive the optimizer.
///
/// A rate that something else changed in between (ReduceLROnPlateau, another scheduler, a line of yours) stays changed:
/// the base is scaled alike. A group that is added later starts with its own rate as base.
class LRScheduler {
 public:
  /// A ValueError for settings out of range, or for a schedule that moves the momentum of an optimizer without one.
  LRScheduler(Optimizer& optimizer, const Schedule& schedule);
  /// Call it after optimizer.step(). A ValueError when the schedule gives a rate that is negative or not finite.
  void step();
  /// How many steps were taken, and the rate that was set last.
  int64_t last_epoch() const { return last_epoch_; }
  double last_lr(size_t group = 0) const;

  /// What is needed to go on; save the optimizer's state_dict with it. The schedule itself is not part of it.
  StateDict state_dict() const;
  /// Also sets the optimizer's rates (and momentum) as they were, so that the optimizer may be loaded before or after.
  /// A ValueError, and no change, when the state is not that of a scheduler of as many groups.
  void load_state_dict(const StateDict& state);

 private:
  void apply();
  std::vector<double> bases_now() const;  // scaled by what changed the rates since
  void set(std::vector<double> bases, std::vector<double> rates);

  Optimizer* optimizer_;
  Schedule schedule_;
  int64_t last_epoch_ = 0;
  std::vector<double> base_lrs_, last_lrs_;
};

}  // namespace cotangent::optim
