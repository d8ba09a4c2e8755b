#pragma once
// Checks gradients against differences: of an op, a layer, a loss, to any order.
#include <cotangent/autograd/function.hpp>
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
GradcheckReport run_gradcheck(FunctionRef f, const Tensors& inputs, const GradcheckOptions& options);
}

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
  return detail::run_gradcheck(detail::function_ref<Tensors>(f), inputs, options);
}

}  // namespace cotangent
