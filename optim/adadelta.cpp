#include <cotangent/optim/adadelta.hpp>

#include <cotangent/optim/options_internal.hpp>
#include <cotangent/tensor/optim.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(AdadeltaOptions, lr, rho, eps, weight_decay, maximize)
COTANGENT_FIELDS(AdadeltaState, square_avg, acc_delta)
template class GroupedOptimizer<AdadeltaOptions, AdadeltaState>;

namespace {

void check(const AdadeltaOptions& o) {
  detail::check_not_negative("Adadelta", "lr", o.lr);
  detail::check_fraction("Adadelta", "rho", o.rho);
  detail::check_not_negative("Adadelta", "eps", o.eps);
  detail::check_not_negative("Adadelta", "weight_decay", o.weight_decay);
}

}  // namespace

Adadelta::Adadelta(const Tensors& parameters, const AdadeltaOptions& options)
    : Adadelta(std::vector<Group<AdadeltaOptions>>{{parameters, options}}) {}
Adadelta::Adadelta(std::vector<Group<AdadeltaOptions>> groups)
    : GroupedOptimizer("Adadelta", check, std::move(groups)) {}

void Adadelta::step() {
  for_each([](const Tensor& p, const Tensor& g, AdadeltaState& state, const AdadeltaOptions& o) {
    if (!state.square_avg.defined()) {
      state.square_avg = detail::state_like(p);
      state.acc_delta = detail::state_like(p);
    }
    raw::adadelta_step(
        {.lr = o.lr, .rho = o.rho, .eps = o.eps, .weight_decay = o.weight_decay, .sign = o.maximize ? -1.0 : 1.0}, p, g,
        state.square_avg, state.acc_delta);
  });
}

}  // namespace cotangent::optim
