#include <cotangent/optim/nadam.hpp>

#include <cmath>

#include <cotangent/optim/adam_internal.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(NAdamOptions, not_negative(lr), beta(betas), not_negative(eps), not_negative(weight_decay),
                 not_negative(momentum_decay), decoupled_weight_decay, maximize)
COTANGENT_FIELDS(NAdamState, step, mu_product, exp_avg, exp_avg_sq)

template <>
void NAdam::update(const detail::Update& u, NAdamState& s, const NAdamOptions& o) {
  const auto mu = [&](double t) { return o.betas[0] * (1 - 0.5 * std::pow(0.96, t * o.momentum_decay)); };
  const double t = static_cast<double>(++s.step), now = mu(t), next = mu(t + 1);
  s.mu_product *= now;
  kernels::AdamStep step = detail::adam_step(o);
  step.step_size = o.lr * next / (1 - s.mu_product * next);
  step.scale = 1 / std::sqrt(1 - std::pow(o.betas[1], t));
  step.ahead = o.lr * (1 - now) / (1 - s.mu_product);
  u.take(step, {&s.exp_avg, &s.exp_avg_sq});
}
COTANGENT_OPTIMIZER(NAdam, NAdamOptions, NAdamState)

}  // namespace cotangent::optim
