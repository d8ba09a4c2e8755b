#include <cotangent/optim/nadam.hpp>

#include <cmath>

#include <cotangent/optim/options_internal.hpp>
#include <cotangent/tensor/optim.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(NAdamOptions, lr, betas, eps, weight_decay, momentum_decay, decoupled_weight_decay, maximize)
COTANGENT_FIELDS(NAdamState, step, mu_product, exp_avg, exp_avg_sq)
template class GroupedOptimizer<NAdamOptions, NAdamState>;

namespace {

void check(const NAdamOptions& o) {
  detail::check_not_negative("NAdam", "lr", o.lr);
  detail::check_betas("NAdam", o.betas);
  detail::check_not_negative("NAdam", "eps", o.eps);
  detail::check_not_negative("NAdam", "weight_decay", o.weight_decay);
  detail::check_not_negative("NAdam", "momentum_decay", o.momentum_decay);
}

}  // namespace

NAdam::NAdam(const Tensors& parameters, const NAdamOptions& options)
    : NAdam(std::vector<Group<NAdamOptions>>{{parameters, options}}) {}
NAdam::NAdam(std::vector<Group<NAdamOptions>> groups) : GroupedOptimizer("NAdam", check, std::move(groups)) {}

void NAdam::step() {
  for_each([](const Tensor& p, const Tensor& g, NAdamState& state, const NAdamOptions& o) {
    if (!state.exp_avg.defined()) {
      state.exp_avg = detail::state_like(p);
      state.exp_avg_sq = detail::state_like(p);
    }
    const auto mu = [&](double t) { return o.betas[0] * (1 - 0.5 * std::pow(0.96, t * o.momentum_decay)); };
    const double t = static_cast<double>(++state.step), now = mu(t), next = mu(t + 1);
    state.mu_product *= now;
    raw::adam_step({.beta1 = o.betas[0],
                    .beta2 = o.betas[1],
                    .eps = o.eps,
                    .weight_decay = o.decoupled_weight_decay ? 0 : o.weight_decay,
                    .sign = o.maximize ? -1.0 : 1.0,
                    .shrink = o.decoupled_weight_decay ? 1 - o.lr * o.weight_decay : 1,
                    .step_size = o.lr * next / (1 - state.mu_product * next),
                    .scale = 1 / std::sqrt(1 - std::pow(o.betas[1], t)),
                    .ahead = o.lr * (1 - now) / (1 - state.mu_product)},
                   p, g, state.exp_avg, state.exp_avg_sq, Tensor());
  });
}

}  // namespace cotangent::optim
