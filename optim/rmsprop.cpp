#include <cotangent/optim/rmsprop.hpp>

#include <cotangent/optim/options_internal.hpp>
#include <cotangent/tensor/optim.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(RMSpropOptions, lr, alpha, eps, weight_decay, momentum, centered, maximize)
COTANGENT_FIELDS(RMSpropState, square_avg, momentum_buffer, grad_avg)
template class GroupedOptimizer<RMSpropOptions, RMSpropState>;

namespace {

void check(const RMSpropOptions& o) {
  detail::check_not_negative("RMSprop", "lr", o.lr);
  detail::check_fraction("RMSprop", "alpha", o.alpha);
  detail::check_not_negative("RMSprop", "eps", o.eps);
  detail::check_not_negative("RMSprop", "weight_decay", o.weight_decay);
  detail::check_not_negative("RMSprop", "momentum", o.momentum);
}

}  // namespace

RMSprop::RMSprop(const Tensors& parameters, const RMSpropOptions& options)
    : RMSprop(std::vector<Group<RMSpropOptions>>{{parameters, options}}) {}
RMSprop::RMSprop(std::vector<Group<RMSpropOptions>> groups) : GroupedOptimizer("RMSprop", check, std::move(groups)) {}

void RMSprop::step() {
  for_each([](const Tensor& p, const Tensor& g, RMSpropState& state, const RMSpropOptions& o) {
    if (!state.square_avg.defined()) state.square_avg = detail::state_like(p);
    if (o.momentum != 0 && !state.momentum_buffer.defined()) state.momentum_buffer = detail::state_like(p);
    if (o.centered && !state.grad_avg.defined()) state.grad_avg = detail::state_like(p);
    raw::rmsprop_step({.lr = o.lr,
                       .alpha = o.alpha,
                       .eps = o.eps,
                       .momentum = o.momentum,
                       .weight_decay = o.weight_decay,
                       .sign = o.maximize ? -1.0 : 1.0},
                      p, g, state.square_avg, o.centered ? state.grad_avg : Tensor(),
                      o.momentum != 0 ? state.momentum_buffer : Tensor());
  });
}

}  // namespace cotangent::optim
