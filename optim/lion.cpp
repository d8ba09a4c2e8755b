#include <cotangent/optim/lion.hpp>

#include <cotangent/optim/options_internal.hpp>
#include <cotangent/tensor/optim.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(LionOptions, lr, betas, weight_decay, maximize)
COTANGENT_FIELDS(LionState, exp_avg)
template class GroupedOptimizer<LionOptions, LionState>;

namespace {

void check(const LionOptions& o) {
  detail::check_not_negative("Lion", "lr", o.lr);
  detail::check_betas("Lion", o.betas);
  detail::check_not_negative("Lion", "weight_decay", o.weight_decay);
}

}  // namespace

Lion::Lion(const Tensors& parameters, const LionOptions& options)
    : Lion(std::vector<Group<LionOptions>>{{parameters, options}}) {}
Lion::Lion(std::vector<Group<LionOptions>> groups) : GroupedOptimizer("Lion", check, std::move(groups)) {}

void Lion::step() {
  for_each([](const Tensor& p, const Tensor& g, LionState& state, const LionOptions& o) {
    if (!state.exp_avg.defined()) state.exp_avg = detail::state_like(p);
    raw::lion_step({.lr = o.lr,
                    .beta1 = o.betas[0],
                    .beta2 = o.betas[1],
                    .sign = o.maximize ? -1.0 : 1.0,
                    .shrink = 1 - o.lr * o.weight_decay},
                   p, g, state.exp_avg);
  });
}

}  // namespace cotangent::optim
