#pragma once
#include <cotangent/autograd/function.hpp>
#include <cotangent/autograd/record.hpp>

namespace cotangent {

namespace detail {
/// The results of forward(inputs), not recorded, with the history of an op of this rule.
Tensors call_custom(const char* op, FunctionRef forward, const Tensors& inputs, Keep keep, RunRule rule,
                    AttributeBlock captured);
}  // namespace detail

/// What custom_vjp makes of a function: call it as the function itself.
template <class Forward, class Rule>
class CustomVjp {
 public:
  CustomVjp(const char* op, Forward forward, Keep keep, Rule rule)
      : op_(op), keep_(keep), forward_(std::move(forward)), rule_(std::move(rule)) {}

  template <class... X>
  requires(detail::takes<const Forward, X...>() &&
           (detail::call_count<X...> == -1 || (std::is_convertible_v<const X&, Tensor> && ...))) auto
  operator()(const X&... inputs) const {
    using Y = decltype(detail::apply<detail::call_count<X...>>(forward_, std::declval<const Tensors&>()));
    const auto run = [](const Backward& b, const void* rule) {
      return Gradients((*static_cast<const Rule*>(rule))(b));
    };
    return detail::from_list<detail::Like<Y>>(detail::call_custom(
        op_, detail::function_of<detail::call_count<X...>>(forward_), detail::call_list(inputs...), keep_, run,
        {sizeof(Rule), [](void* to, void* from) { new (to) Rule(*static_cast<const Rule*>(from)); },
         [](void* rule) { static_cast<Rule*>(rule)->~Rule(); }, const_cast<Rule*>(&rule_)}));
  }

 private:
  const char* op_;
  Keep keep_;
  Forward forward_;
  Rule rule_;
};

/// A function with a gradient of the user's own: for one that is more exact, or takes less memory, than that of the ops
/// in it, or is another one on purpose (an estimator, a clipped gradient, one that is turned round).
///
///     const auto softplus1 = custom_vjp("softplus1", [](const Tensor& x) { return log(1 + exp(x)); }, Keep::input(0),
///                                       [](const Backward& b) { return b.grad() * sigmoid(b.input(0)); });
///     Tensor y = softplus1(x);
///
/// `forward` takes tensors, which may be undefined, or one list of them, and gives a Tensor or a list; it is not
/// recorded. `keep` says which of its inputs and results the rule reads; what it computes on the way is kept as one
/// more result. `rule` gives the gradient of each input in order, as a Tensor, a list or Gradients: undefined for 0, or
/// where b.needs(i) is false, and those of the last inputs may be left out if they need none. Its ops are recorded
/// where a gradient is itself differentiated, and so it has derivatives of any order where it is right. Both may
/// capture what is constant. `op` names it in errors and must live as long as all graphs, as a literal does.
///
/// In the backward pass a GradError names `op` where the rule gives gradients of another number, shape or dtype than
/// the inputs, reads what is not kept, or what was written in place since. A result that lies in the memory of an input
/// is copied. JAX's custom_vjp, PyTorch's autograd.Function; an op of the library is written with record().
template <class Forward, class Rule>
CustomVjp<Forward, Rule> custom_vjp(const char* op, Forward forward, Keep keep, Rule rule) {
  return {op, std::move(forward), keep, std::move(rule)};
}

}  // namespace cotangent
