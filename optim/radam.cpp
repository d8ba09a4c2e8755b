#include <cotangent/optim/radam.hpp>

#include <cmath>

#include <cotangent/optim/options_internal.hpp>
#include <cotangent/tensor/optim.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(RAdamOptions, lr, betas, eps, weight_decay, decoupled_weight_decay, maximize)
COTANGENT_FIELDS(RAdamState, step, exp_avg, exp_avg_sq)
template class GroupedOptimizer<RAdamOptions, RAdamState>;

namespace {

void check(const RAdamOptions& o) {
  detail::check_not_negative("RAdam", "lr", o.lr);
  detail::check_betas("RAdam", o.betas);
  detail::check_not_negative("RAdam", "eps", o.eps);
  detail::check_not_negative("RAdam", "weight_decay", o.weight_decay);
}

}  // namespace

RAdam::RAdam(const Tensors& parameters, const RAdamOptions& options)
    : RAdam(std::vector<Group<RAdamOptions>>{{parameters, options}}) {}
RAdam::RAdam(std::vector<Group<RAdamOptions>> groups) : GroupedOptimizer("RAdam", check, std::move(groups)) {}

void RAdam::step() {
  for_each([](const Tensor& p, const Tensor& g, RAdamState& state, const RAdamOptions& o) {
    if (!state.exp_avg.defined()) {
      state.exp_avg = detail::state_like(p);
      state.exp_avg_sq = detail::state_like(p);
    }
    const double t = static_cast<double>(++state.step), power = std::pow(o.betas[1], t);
    const double rho_inf = 2 / (1 - o.betas[1]) - 1, rho = rho_inf - 2 * t * power / (1 - power);
    const bool adaptive = rho > 5;
    double size = o.lr / (1 - std::pow(o.betas[0], t));
    if (adaptive)
      size *= std::sqrt((1 - power) * (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho));
    raw::adam_step({.beta1 = o.betas[0],
                    .beta2 = o.betas[1],
                    .eps = adaptive ? o.eps : 1,  // else what m is divided by is 0 * sqrt(v) + 1
                    .weight_decay = o.decoupled_weight_decay ? 0 : o.weight_decay,
                    .sign = o.maximize ? -1.0 : 1.0,
                    .shrink = o.decoupled_weight_decay ? 1 - o.lr * o.weight_decay : 1,
                    .step_size = size,
                    .scale = adaptive ? 1.0 : 0.0},
                   p, g, state.exp_avg, state.exp_avg_sq, Tensor());
  });
}

}  // namespace cotangent::optim
