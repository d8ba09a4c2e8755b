#include <cotangent/optim/adagrad.hpp>

#include <cotangent/optim/options_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/optim.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(AdagradOptions, lr, lr_decay, weight_decay, initial_accumulator_value, eps, maximize)
COTANGENT_FIELDS(AdagradState, step, sum)
template class GroupedOptimizer<AdagradOptions, AdagradState>;

namespace {

void check(const AdagradOptions& o) {
  detail::check_not_negative("Adagrad", "lr", o.lr);
  detail::check_not_negative("Adagrad", "lr_decay", o.lr_decay);
  detail::check_not_negative("Adagrad", "weight_decay", o.weight_decay);
  detail::check_not_negative("Adagrad", "initial_accumulator_value", o.initial_accumulator_value);
  detail::check_not_negative("Adagrad", "eps", o.eps);
}

}  // namespace

Adagrad::Adagrad(const Tensors& parameters, const AdagradOptions& options)
    : Adagrad(std::vector<Group<AdagradOptions>>{{parameters, options}}) {}
Adagrad::Adagrad(std::vector<Group<AdagradOptions>> groups) : GroupedOptimizer("Adagrad", check, std::move(groups)) {}

void Adagrad::step() {
  for_each([](const Tensor& p, const Tensor& g, AdagradState& state, const AdagradOptions& o) {
    if (!state.sum.defined()) {
      state.sum = detail::state_like(p);
      raw::fill_into(state.sum, o.initial_accumulator_value);
    }
    raw::adagrad_step({.eps = o.eps,
                       .weight_decay = o.weight_decay,
                       .sign = o.maximize ? -1.0 : 1.0,
                       .step_size = o.lr / (1 + static_cast<double>(state.step++) * o.lr_decay)},
                      p, g, state.sum);
  });
}

}  // namespace cotangent::optim
