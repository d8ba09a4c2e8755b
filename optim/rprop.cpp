#include <cotangent/optim/rprop.hpp>

#include <cotangent/optim/rule.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(RpropOptions, not_negative(lr), etas, step_sizes, maximize)
COTANGENT_FIELDS(RpropState, prev, step_size)

void RpropOptions::check() const {
  if (!(etas[0] > 0 && etas[0] < 1 && etas[1] > 1))
    fail<ValueError>("[Rprop] etas are {} and {}; the first must be in (0, 1), the second above 1", etas[0], etas[1]);
  if (!(step_sizes[0] >= 0 && step_sizes[0] <= step_sizes[1]))
    fail<ValueError>("[Rprop] step_sizes are {} and {}; the first must be 0 or more, the second no less", step_sizes[0],
                     step_sizes[1]);
}

template <>
void Rprop::update(const detail::Update& u, RpropState& s, const RpropOptions& o) {
  u.start(s.step_size, o.lr);
  u.take(
      kernels::RpropStep{.shrink = o.etas[0], .grow = o.etas[1], .least = o.step_sizes[0], .greatest = o.step_sizes[1]},
      {&s.prev, &s.step_size});
}
COTANGENT_OPTIMIZER(Rprop, RpropOptions, RpropState)

}  // namespace cotangent::optim
