#include <cotangent/optim/adadelta.hpp>

#include <cotangent/optim/rule.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(AdadeltaOptions, not_negative(lr), fraction(rho), not_negative(eps), not_negative(weight_decay),
                 maximize)
COTANGENT_FIELDS(AdadeltaState, square_avg, acc_delta)

template <>
void Adadelta::update(const detail::Update& u, AdadeltaState& s, const AdadeltaOptions& o) {
  u.take(kernels::AdadeltaStep{.lr = o.lr, .rho = o.rho, .eps = o.eps, .weight_decay = o.weight_decay},
         {&s.square_avg, &s.acc_delta});
}
COTANGENT_OPTIMIZER(Adadelta, AdadeltaOptions, AdadeltaState)

}  // namespace cotangent::optim
