#include <cotangent/optim/adamax.hpp>

#include <cmath>

#include <cotangent/optim/options_internal.hpp>
#include <cotangent/tensor/optim.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(AdamaxOptions, lr, betas, eps, weight_decay, maximize)
COTANGENT_FIELDS(AdamaxState, step, exp_avg, exp_inf)
template class GroupedOptimizer<AdamaxOptions, AdamaxState>;

namespace {

void check(const AdamaxOptions& o) {
  detail::check_not_negative("Adamax", "lr", o.lr);
  detail::check_betas("Adamax", o.betas);
  detail::check_not_negative("Adamax", "eps", o.eps);
  detail::check_not_negative("Adamax", "weight_decay", o.weight_decay);
}

}  // namespace

Adamax::Adamax(const Tensors& parameters, const AdamaxOptions& options)
    : Adamax(std::vector<Group<AdamaxOptions>>{{parameters, options}}) {}
Adamax::Adamax(std::vector<Group<AdamaxOptions>> groups) : GroupedOptimizer("Adamax", check, std::move(groups)) {}

void Adamax::step() {
  for_each([](const Tensor& p, const Tensor& g, AdamaxState& state, const AdamaxOptions& o) {
    if (!state.exp_avg.defined()) {
      state.exp_avg = detail::state_like(p);
      state.exp_inf = detail::state_like(p);
    }
    raw::adamax_step({.beta1 = o.betas[0],
                      .beta2 = o.betas[1],
                      .eps = o.eps,
                      .weight_decay = o.weight_decay,
                      .sign = o.maximize ? -1.0 : 1.0,
                      .step_size = o.lr / (1 - std::pow(o.betas[0], static_cast<double>(++state.step)))},
                     p, g, state.exp_avg, state.exp_inf);
  });
}

}  // namespace cotangent::optim
