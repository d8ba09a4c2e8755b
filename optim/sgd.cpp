#include <cotangent/optim/sgd.hpp>

#include <cotangent/optim/rule.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(SGDOptions, not_negative(lr), fraction(momentum), fraction(dampening), not_negative(weight_decay),
                 nesterov, maximize)
COTANGENT_FIELDS(SGDState, momentum_buffer)

void SGDOptions::check() const {
  if (nesterov && (momentum == 0 || dampening != 0))
    fail<ValueError>("[SGD] nesterov with momentum {} and dampening {}; it needs momentum above 0 and dampening 0",
                     momentum, dampening);
}

template <>
void SGD::update(const detail::Update& u, SGDState& s, const SGDOptions& o) {
  u.take(kernels::SgdStep{.lr = o.lr,
                          .momentum = o.momentum,
                          .fresh = s.momentum_buffer.defined() ? 1 - o.dampening : 1,  // the first v is d
                          .weight_decay = o.weight_decay,
                          .nesterov = o.nesterov},
         {o.momentum != 0 ? &s.momentum_buffer : nullptr});
}
COTANGENT_OPTIMIZER(SGD, SGDOptions, SGDState)

}  // namespace cotangent::optim
