#pragma once
// Functions of the user's, as gradcheck and the transforms take them: from tensors to tensors.
#include <type_traits>

#include <cotangent/tensor/tensor.hpp>

namespace cotangent::detail {

/// A callable with its type erased, which it does not own.
struct FunctionRef {
  void* function;
  Tensors (*call)(void* function, const Tensors& inputs);
  int count;  ///< of the tensors that it takes; -1 for a list of any length
  Tensors operator()(const Tensors& inputs) const { return call(function, inputs); }
};

/// Whether f takes these. Of a module, whose call takes anything, forward() is asked.
template <class F, class... X>
constexpr bool takes() {
  if constexpr (requires(F & f, const X&... x) { f.forward(x...); })
    return true;
  else if constexpr (requires { &F::forward; })
    return false;
  else
    return std::is_invocable_v<F&, const X&...>;
}

/// How many tensors f takes: one where X is a Tensor and that will do, else -1 for a list of them, 0 where it reaches
/// its inputs by itself, or up to three.
template <class X, class F>
constexpr int count_of() {
  if constexpr (std::is_same_v<X, Tensor> && takes<F, Tensor>())
    return 1;
  else if constexpr (takes<F, Tensors>() || takes<F, std::span<const Tensor>>())
    return -1;
  else if constexpr (takes<F>())
    return 0;
  else
    return takes<F, Tensor>() ? 1 : takes<F, Tensor, Tensor>() ? 2 : 3;
}

/// f(x[0], x[1], ...), or f(x) where count is -1.
template <int count, class F>
auto apply(F& f, const Tensors& x) {
  if constexpr (count >= 0) return [&]<size_t... i>(std::index_sequence<i...>) {
      return f(x[i]...);
    }
  (std::make_index_sequence<size_t(count)>());
  else if constexpr (takes<F, Tensors>()) return f(x);
  else return f(std::span<const Tensor>(x));
}

template <class Result>
Tensors as_list(Result&& result) {
  if constexpr (std::is_convertible_v<Result&&, Tensor>)
    return {Tensor(std::forward<Result>(result))};
  else
    return Tensors(std::forward<Result>(result));
}

template <int count, class F>
Tensors call_erased(void* f, const Tensors& x) {
  return as_list(apply<count>(*reinterpret_cast<F*>(f), x));  // F may be a function
}
template <int count, class F>
FunctionRef function_of(F& f) {
  return {const_cast<void*>(reinterpret_cast<const volatile void*>(&f)), call_erased<count, F>, count};
}
/// f, called with one tensor or with a list of them, as X says.
template <class X, class F>
FunctionRef function_ref(F& f) {
  return function_of<count_of<X, F>()>(f);
}

/// A ValueError names `op` unless f takes so many, or none.
void check_count(const char* op, FunctionRef f, size_t inputs);

/// What a call with several tensors, or with one list of them, passes on: how many, and all in a list.
template <class... X>
inline constexpr int call_count = sizeof...(X) == 1 && (std::is_convertible_v<const X&, Tensors> && ...)
                                      ? -1
                                      : int(sizeof...(X));
template <class... X>
Tensors call_list(const X&... x) {
  static_assert(call_count<X...> == -1 || (std::is_convertible_v<const X&, Tensor> && ...),
                "the call takes tensors, or one Tensors: let the function capture everything else");
  if constexpr (call_count<X...> == -1)
    return Tensors(x...);
  else
    return {Tensor(x)...};
}

/// y without its history, as the result of an op that is recorded anew: a copy where it lies in the memory of an input.
Tensor apart(const Tensor& y, std::span<const Tensor> inputs);

/// Tensor for one tensor, and Tensors for what holds several: what X is given for.
template <class X>
using Like = std::conditional_t<std::is_convertible_v<X, Tensor>, Tensor, Tensors>;
/// The same of what F gives.
template <class F, class X>
using ResultOf = Like<decltype(apply<count_of<Like<X>, std::remove_reference_t<F>>()>(
    std::declval<std::remove_reference_t<F>&>(), std::declval<Tensors>()))>;

template <class X>
X from_list(Tensors list) {
  if constexpr (std::is_same_v<X, Tensor>)
    return std::move(list[0]);
  else
    return list;
}

}  // namespace cotangent::detail
