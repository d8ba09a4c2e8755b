#include <cotangent/optim/adam.hpp>

#include <cmath>

#include <cotangent/optim/adam_internal.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(AdamOptions, not_negative(lr), beta(betas), not_negative(eps), not_negative(weight_decay), amsgrad,
                 decoupled_weight_decay, maximize)
COTANGENT_FIELDS(AdamWOptions, not_negative(lr), beta(betas), not_negative(eps), not_negative(weight_decay), amsgrad,
                 maximize)
COTANGENT_FIELDS(AdamState, step, exp_avg, exp_avg_sq, max_exp_avg_sq)

namespace {

template <class Options>
void adam(const detail::Update& u, AdamState& s, const Options& o) {
  const double t = static_cast<double>(++s.step);
  kernels::AdamStep step = detail::adam_step(o);
  step.step_size = o.lr / (1 - std::pow(o.betas[0], t));
  step.scale = 1 / std::sqrt(1 - std::pow(o.betas[1], t));
  u.take(step, {&s.exp_avg, &s.exp_avg_sq, o.amsgrad ? &s.max_exp_avg_sq : nullptr});
}

}  // namespace

template <>
void Adam::update(const detail::Update& u, AdamState& s, const AdamOptions& o) {
  adam(u, s, o);
}
COTANGENT_OPTIMIZER(Adam, AdamOptions, AdamState)

template <>
void AdamW::update(const detail::Update& u, AdamState& s, const AdamWOptions& o) {
  adam(u, s, o);
}
COTANGENT_OPTIMIZER(AdamW, AdamWOptions, AdamState)

}  // namespace cotangent::optim
