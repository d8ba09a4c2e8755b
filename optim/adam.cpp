#include <cotangent/optim/adam.hpp>

#include <cmath>

#include <cotangent/optim/options_internal.hpp>
#include <cotangent/tensor/optim.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(AdamOptions, lr, betas, eps, weight_decay, amsgrad, decoupled_weight_decay, maximize)
COTANGENT_FIELDS(AdamWOptions, lr, betas, eps, weight_decay, amsgrad, maximize)
COTANGENT_FIELDS(AdamState, step, exp_avg, exp_avg_sq, max_exp_avg_sq)
template class GroupedOptimizer<AdamOptions, AdamState>;
template class GroupedOptimizer<AdamWOptions, AdamState>;

namespace {

template <class Options>
constexpr const char* name_of = std::is_same_v<Options, AdamOptions> ? "Adam" : "AdamW";

template <class Options>
void check(const Options& o) {
  const char* name = name_of<Options>;
  detail::check_not_negative(name, "lr", o.lr);
  detail::check_betas(name, o.betas);
  detail::check_not_negative(name, "eps", o.eps);
  detail::check_not_negative(name, "weight_decay", o.weight_decay);
}

template <class Options>
void update(const Tensor& p, const Tensor& g, AdamState& state, const Options& o) {
  bool decoupled = true;
  if constexpr (std::is_same_v<Options, AdamOptions>) decoupled = o.decoupled_weight_decay;
  if (!state.exp_avg.defined()) {
    state.exp_avg = detail::state_like(p);
    state.exp_avg_sq = detail::state_like(p);
  }
  if (o.amsgrad && !state.max_exp_avg_sq.defined()) state.max_exp_avg_sq = detail::state_like(p);
  const double t = static_cast<double>(++state.step);
  raw::adam_step({.beta1 = o.betas[0],
                  .beta2 = o.betas[1],
                  .eps = o.eps,
                  .weight_decay = decoupled ? 0 : o.weight_decay,
                  .sign = o.maximize ? -1.0 : 1.0,
                  .shrink = decoupled ? 1 - o.lr * o.weight_decay : 1,
                  .step_size = o.lr / (1 - std::pow(o.betas[0], t)),
                  .scale = 1 / std::sqrt(1 - std::pow(o.betas[1], t))},
                 p, g, state.exp_avg, state.exp_avg_sq, o.amsgrad ? state.max_exp_avg_sq : Tensor());
}

}  // namespace

Adam::Adam(const Tensors& parameters, const AdamOptions& options)
    : Adam(std::vector<Group<AdamOptions>>{{parameters, options}}) {}
Adam::Adam(std::vector<Group<AdamOptions>> groups) : GroupedOptimizer("Adam", check, std::move(groups)) {}
void Adam::step() { for_each(update<AdamOptions>); }

AdamW::AdamW(const Tensors& parameters, const AdamWOptions& options)
    : AdamW(std::vector<Group<AdamWOptions>>{{parameters, options}}) {}
AdamW::AdamW(std::vector<Group<AdamWOptions>> groups) : GroupedOptimizer("AdamW", check, std::move(groups)) {}
void AdamW::step() { for_each(update<AdamWOptions>); }

}  // namespace cotangent::optim
