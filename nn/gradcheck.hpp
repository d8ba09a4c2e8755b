#pragma once
// Checks the gradients of a module: by its inputs, and by all parameters under their names.
//
//     const GradcheckReport report = gradcheck(MyLayer(3), {randn({4, 3})});
//     if (!report.ok()) std::puts(report.to_string().c_str());  // "fc1.weight", index, x, analytic, numeric, ...
#include <type_traits>
#include <utility>

#include <cotangent/autograd/gradcheck/gradcheck.hpp>
#include <cotangent/nn/module.hpp>

namespace cotangent {
namespace nn::detail {

using cotangent::detail::FunctionRef;

template <class M>
concept IsModule = std::is_base_of_v<Module, std::remove_cvref_t<M>>;

/// The tensors of what a module gives: one, a list, a tuple, or a struct of two or three.
template <class Result>
Tensors tensors_of(const Result& result) {
  Tensors all;
  const auto add = [&all](const auto&... parts) { (all.push_back(parts), ...); };
  if constexpr (std::is_convertible_v<const Result&, Tensor>) {
    add(result);
  } else if constexpr (std::is_convertible_v<const Result&, Tensors>) {
    all = result;
  } else if constexpr (requires { std::tuple_size<Result>::value; }) {
    [&]<size_t... i>(std::index_sequence<i...>) { add(get<i>(result)...); }
    (std::make_index_sequence<std::tuple_size<Result>::value>());
  } else if constexpr (sizeof(Result) == 2 * sizeof(Tensor)) {
    const auto& [a, b] = result;
    add(a, b);
  } else {
    static_assert(sizeof(Result) == 3 * sizeof(Tensor),
                  "gradcheck knows modules that give a Tensor, a list or a tuple of them, or a struct of two or three; "
                  "of another, give the tensors by a function: gradcheck(layer, [&](Tensor x) { ... }, {x})");
    const auto& [a, b, c] = result;
    add(a, b, c);
  }
  return all;
}

[[noreturn]] void wrong_count(const Module& m, size_t inputs);

template <size_t>
using EachTensor = Tensor;

/// Calls the module with the tensors of the list, or with the list where it takes one.
template <class M>
Tensors call_module(void* module, const Tensors& x) {
  M& m = *static_cast<M*>(module);
  Tensors y;
  const auto call_with = [&]<size_t... n>(std::index_sequence<n...>) {
    if constexpr (cotangent::detail::takes<M, EachTensor<n>...>()) {
      if (x.size() != sizeof...(n)) return false;
      y = tensors_of(m(x[n]...));
      return true;
    }
    return false;
  };
  if (call_with(std::make_index_sequence<0>()) || call_with(std::make_index_sequence<1>()) ||
      call_with(std::make_index_sequence<2>()) || call_with(std::make_index_sequence<3>()) ||
      call_with(std::make_index_sequence<4>()))
    return y;
  if constexpr (cotangent::detail::takes<M, Tensors>())
    return tensors_of(m(x));
  else
    wrong_count(m, x.size());
}
/// -1: it asks for the number itself.
template <class M>
FunctionRef module_ref(M& m) {
  return {&m, call_module<M>, -1};
}

GradcheckReport check_module(Module& m, FunctionRef call, const Tensors& inputs, const GradcheckOptions& options,
                             bool control);

/// The module as one that may be changed for a time.
template <class M>
std::remove_cvref_t<M>& borrowed(M& m) {
  return const_cast<std::remove_cvref_t<M>&>(m);
}

}  // namespace nn::detail

/// gradcheck of a module: of its result by its inputs and by its parameters, which the report calls by their names.
///
/// **Inputs** are what the module is called with, up to four tensors or one list. Those that are not floating (indices,
/// masks) are passed on, and so are undefined ones; parameters of the module are left out, as they are checked anyway.
/// Its result is a Tensor, a list, a tuple, or a struct of two or three tensors.
///
/// **Parameters** take part with values of their own: those that they have, moved at random by up to half of their root
/// mean square (of 1 where they are 0), so that none stays at 0 or 1, where a missing factor or term would hide. One
/// that the module has in two places stays one. Frozen ones are moved, but not checked.
///
/// **Modes.** The module is checked in training, and in evaluation if its result is another there; of these the report
/// says "fc1.weight in evaluation". What is random draws the same numbers in every call. Each call finds the buffers as
/// they were before the first; those of evaluation come out of a call in training, so that running statistics are not
/// at 0 and 1.
///
/// A module of lower precision is checked in float64, and its gradients are compared with those.
///
/// The module is left as it was, also by an exception: it has other tensors only for the time of the check.
template <nn::detail::IsModule M>
GradcheckReport gradcheck(M&& module, const Tensors& inputs, const GradcheckOptions& options = {}) {
  auto& m = nn::detail::borrowed(module);
  return nn::detail::check_module(m, nn::detail::module_ref(m), inputs, options, false);
}

/// The same of f(inputs), which calls the module in another way: with options, or for a part of what it gives.
///
///     gradcheck(lstm, [&](Tensor x) { return lstm(x).output; }, {x});
template <nn::detail::IsModule M, class F>
GradcheckReport gradcheck(M&& module, F&& f, const Tensors& inputs, const GradcheckOptions& options = {}) {
  return nn::detail::check_module(nn::detail::borrowed(module), detail::function_ref<Tensors>(f), inputs, options,
                                  false);
}

/// The negative control of the first of these, which must fail: see gradcheck_control.
template <nn::detail::IsModule M>
GradcheckReport gradcheck_control(M&& module, const Tensors& inputs, const GradcheckOptions& options = {}) {
  auto& m = nn::detail::borrowed(module);
  return nn::detail::check_module(m, nn::detail::module_ref(m), inputs, options, true);
}

}  // namespace cotangent
