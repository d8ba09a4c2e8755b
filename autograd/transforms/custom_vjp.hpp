#pragma once
#include <cotangent/autograd/function.hpp>
#include <cotangent/autograd/record.hpp>

namespace cotangent {

namespace detail {
template <class Rule>
struct CustomRule {
  Rule rule;
};
}  // namespace detail

template <class Rule>
inline constexpr bool is_attribute<detail::CustomRule<Rule>> = true;  // what it captures is constant, so its user says

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
    const Tensors xs = detail::call_list(inputs...);
    const PooledVector<TensorRef> refs(xs.begin(), xs.end());
    Tensors ys = forward(detail::function_of<detail::call_count<X...>>(forward_), xs);
    detail::check_kept(op_, keep_, xs.size(), ys.size());
    if (detail::should_record(refs.data(), refs.size())) {
      detail::CustomRule<Rule> rule{rule_};
      const auto call = [](const Backward& b, const detail::CustomRule<Rule>& r) { return Gradients(r.rule(b)); };
      detail::record_outputs<detail::CustomRule<Rule>, decltype(call)>(op_, refs.data(), refs.size(), ys.data(),
                                                                       ys.size(), keep_, rule);
    }
    return detail::from_list<detail::Like<Y>>(std::move(ys));
  }

 private:
  static Tensors forward(detail::FunctionRef f, const Tensors& inputs) {
    const NoGrad guard;
    Tensors ys = f(inputs);
    for (Tensor& y : ys) y = detail::apart(y, inputs);
    return ys;
  }

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
