#include <cotangent/optim/lion.hpp>

#include <cotangent/optim/rule.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(LionOptions, not_negative(lr), beta(betas), not_negative(weight_decay), maximize)
COTANGENT_FIELDS(LionState, exp_avg)

template <>
void Lion::update(const detail::Update& u, LionState& s, const LionOptions& o) {
  u.take(kernels::LionStep{.lr = o.lr, .beta1 = o.betas[0], .beta2 = o.betas[1], .shrink = 1 - o.lr * o.weight_decay},
         {&s.exp_avg});
}
COTANGENT_OPTIMIZER(Lion, LionOptions, LionState)

}  // namespace cotangent::optim
