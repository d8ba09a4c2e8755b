#include <cotangent/optim/adagrad.hpp>

#include <cotangent/optim/rule.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(AdagradOptions, not_negative(lr), not_negative(lr_decay), not_negative(weight_decay),
                 not_negative(initial_accumulator_value), not_negative(eps), maximize)
COTANGENT_FIELDS(AdagradState, step, sum)

template <>
void Adagrad::update(const detail::Update& u, AdagradState& s, const AdagradOptions& o) {
  u.start(s.sum, o.initial_accumulator_value);
  const double t = static_cast<double>(s.step++);
  u.take(kernels::AdagradStep{.eps = o.eps, .weight_decay = o.weight_decay, .step_size = o.lr / (1 + t * o.lr_decay)},
         {&s.sum});
}
COTANGENT_OPTIMIZER(Adagrad, AdagradOptions, AdagradState)

}  // namespace cotangent::optim
