#pragma once
// Checks gradients against differences: of an op, a layer, a loss, to any order.
#include <type_traits>

#include <cotangent/autograd/gradcheck/report.hpp>
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// Options of gradcheck.
struct GradcheckOptions {
  double rtol = 1e-6;  ///< an element is good if |analytic - numeric| <= atol + rtol * the larger magnitude
  double atol = 1e-8;
  int order = 2;            ///< derivatives to check: 2 also checks the gradient of the gradient
  double step = 0;          ///< of the differences for |x| <= 1; 0 takes 6e-6, the cube root of the machine epsilon
  uint64_t seed = 1;        ///< of the cotangents and directions
  int64_t full_limit = 64;  ///< every element of an input of at most this size is checked, else random directions
  int directions = 4;       ///< for each larger input
  bool allow_zero = false;  ///< for functions whose gradient is 0 everywhere, like floor; else that fails as vacuous
  bool contracts = true;    ///< also check what is said of the contracts below
};

namespace detail {
struct GradcheckCall {
  void* function;
  Tensors (*call)(void* function, const Tensors& inputs);
};
GradcheckReport run_gradcheck(GradcheckCall f, const Tensors& inputs, const GradcheckOptions& options);

template <class Result>
Tensors as_list(Result&& result) {
  if constexpr (std::is_convertible_v<Result&&, Tensor>)
    return {Tensor(std::forward<Result>(result))};
  else
    return Tensors(std::forward<Result>(result));
}
}  // namespace detail

/// Compares the gradient of f with central differences, at the inputs and contracted with random cotangents.
///
/// f gives a Tensor or a list of them. It takes the list of inputs, or up to three Tensors, or nothing: then it reaches
/// the inputs by itself, as a module does its parameters. Inputs are float64 leaves, moved in place and put back. Those
/// that do not require a gradient do for the time of the check. Outputs must be float64; those that are not floating
/// are left out.
///
///     GradcheckReport report = gradcheck([](Tensor x) { return tanh(x); }, {x});
///     if (!report.ok()) fmt::print("{}", report.to_string());
///
/// Each order is checked twice, as the engine runs it without and with create_graph. A worse fit is measured again with
/// extrapolated differences before it counts as bad. In a larger input a direction that is bad is halved until one
/// element is left. Checked as well: f gives the same values twice and with recording off; the backward pass gives the
/// same bits twice, and the same for a cotangent that is not contiguous, 0 for a cotangent of 0; it changes neither the
/// inputs nor the cotangent; not everything is 0. What backward() throws is a problem in the report; what f throws
/// passes through.
///
/// A DTypeError for an input or output that is not float64; a GradError for an input that is not a leaf, or shares
/// memory between its elements; a ValueError without inputs or without a floating output.
template <class F>
GradcheckReport gradcheck(F&& f, const Tensors& inputs, const GradcheckOptions& options = {}) {
  using Function = std::remove_reference_t<F>;
  if constexpr (std::is_function_v<Function>) {
    auto* pointer = &f;  // an object, as the rest expects
    return gradcheck(pointer, inputs, options);
  } else {
    auto call = [](void* object, const Tensors& x) -> Tensors {
      Function& g = *static_cast<Function*>(object);
      if constexpr (std::is_invocable_v<Function&, const Tensors&>)
        return detail::as_list(g(x));
      else if constexpr (std::is_invocable_v<Function&, std::span<const Tensor>>)
        return detail::as_list(g(std::span<const Tensor>(x)));
      else if constexpr (std::is_invocable_v<Function&>)
        return detail::as_list(g());
      else if constexpr (std::is_invocable_v<Function&, const Tensor&>)
        return detail::as_list(g(x.at(0)));
      else if constexpr (std::is_invocable_v<Function&, const Tensor&, const Tensor&>)
        return detail::as_list(g(x.at(0), x.at(1)));
      else
        return detail::as_list(g(x.at(0), x.at(1), x.at(2)));
    };
    return detail::run_gradcheck({const_cast<void*>(static_cast<const void*>(&f)), call}, inputs, options);
  }
}

}  // namespace cotangent
