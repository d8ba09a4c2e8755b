#include <cotangent/optim/sgd.hpp>

#include <cotangent/optim/options_internal.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/optim.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(SGDOptions, lr, momentum, dampening, weight_decay, nesterov, maximize)
COTANGENT_FIELDS(SGDState, momentum_buffer)
template class GroupedOptimizer<SGDOptions, SGDState>;

namespace {

void check(const SGDOptions& o) {
  detail::check_not_negative("SGD", "lr", o.lr);
  detail::check_not_negative("SGD", "momentum", o.momentum);
  detail::check_not_negative("SGD", "weight_decay", o.weight_decay);
  if (o.nesterov && (o.momentum == 0 || o.dampening != 0))
    fail<ValueError>("[SGD] nesterov with momentum {} and dampening {}; it needs momentum above 0 and dampening 0",
                     o.momentum, o.dampening);
}

}  // namespace

SGD::SGD(const Tensors& parameters, const SGDOptions& options)
    : SGD(std::vector<Group<SGDOptions>>{{parameters, options}}) {}
SGD::SGD(std::vector<Group<SGDOptions>> groups) : GroupedOptimizer("SGD", check, std::move(groups)) {}

void SGD::step() {
  for_each([](const Tensor& p, const Tensor& g, SGDState& state, const SGDOptions& o) {
    raw::SgdStep step{.lr = o.lr,
                      .momentum = o.momentum,
                      .fresh = 1 - o.dampening,
                      .weight_decay = o.weight_decay,
                      .sign = o.maximize ? -1.0 : 1.0,
                      .nesterov = o.nesterov};
    if (o.momentum != 0 && !state.momentum_buffer.defined()) {
      state.momentum_buffer = detail::state_like(p);
      step.fresh = 1;
    }
    raw::sgd_step(step, p, g, o.momentum != 0 ? state.momentum_buffer : Tensor());
  });
}

}  // namespace cotangent::optim
