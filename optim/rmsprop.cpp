#include <cotangent/optim/rmsprop.hpp>

#include <cotangent/optim/rule.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(RMSpropOptions, not_negative(lr), fraction(alpha), not_negative(eps), not_negative(weight_decay),
                 fraction(momentum), centered, maximize)
COTANGENT_FIELDS(RMSpropState, square_avg, momentum_buffer, grad_avg)

template <>
void RMSprop::update(const detail::Update& u, RMSpropState& s, const RMSpropOptions& o) {
  u.take(
      kernels::RmspropStep{
          .lr = o.lr, .alpha = o.alpha, .eps = o.eps, .momentum = o.momentum, .weight_decay = o.weight_decay},
      {&s.square_avg, o.centered ? &s.grad_avg : nullptr, o.momentum != 0 ? &s.momentum_buffer : nullptr});
}
COTANGENT_OPTIMIZER(RMSprop, RMSpropOptions, RMSpropState)

}  // namespace cotangent::optim
