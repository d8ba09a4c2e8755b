#include <cotangent/optim/adamax.hpp>

#include <cmath>

#include <cotangent/optim/rule.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(AdamaxOptions, not_negative(lr), beta(betas), not_negative(eps), not_negative(weight_decay), maximize)
COTANGENT_FIELDS(AdamaxState, step, exp_avg, exp_inf)

template <>
void Adamax::update(const detail::Update& u, AdamaxState& s, const AdamaxOptions& o) {
  const double t = static_cast<double>(++s.step);
  u.take(kernels::AdamaxStep{.beta1 = o.betas[0],
                             .beta2 = o.betas[1],
                             .eps = o.eps,
                             .weight_decay = o.weight_decay,
                             .step_size = o.lr / (1 - std::pow(o.betas[0], t))},
         {&s.exp_avg, &s.exp_inf});
}
COTANGENT_OPTIMIZER(Adamax, AdamaxOptions, AdamaxState)

}  // namespace cotangent::optim
