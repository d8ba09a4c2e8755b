#include <cotangent/optim/radam.hpp>

#include <cmath>

#include <cotangent/optim/adam_internal.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(RAdamOptions, not_negative(lr), beta(betas), not_negative(eps), not_negative(weight_decay),
                 decoupled_weight_decay, maximize)
COTANGENT_FIELDS(RAdamState, step, exp_avg, exp_avg_sq)

template <>
void RAdam::update(const detail::Update& u, RAdamState& s, const RAdamOptions& o) {
  const double t = static_cast<double>(++s.step), power = std::pow(o.betas[1], t);
  const double rho_inf = 2 / (1 - o.betas[1]) - 1, rho = rho_inf - 2 * t * power / (1 - power);
  kernels::AdamStep step = detail::adam_step(o);
  step.step_size = o.lr / (1 - std::pow(o.betas[0], t));
  if (rho > 5) {
    step.step_size *= std::sqrt((1 - power) * (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho));
  } else {
    step.scale = 0;  // what m is divided by is 0 * sqrt(v) + 1
    step.eps = 1;
  }
  u.take(step, {&s.exp_avg, &s.exp_avg_sq});
}
COTANGENT_OPTIMIZER(RAdam, RAdamOptions, RAdamState)

}  // namespace cotangent::optim
