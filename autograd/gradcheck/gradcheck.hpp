#pragma once
// Checks gradients against differences: of an op, a layer, a loss, to any order.
#include <cotangent/autograd/function.hpp>
#include <cotangent/autograd/gradcheck/report.hpp>
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// Options of gradcheck.
struct GradcheckOptions {
  /// An element is right if |analytic - numeric| <= atol + rtol * the larger magnitude, and the error bar of the
  /// numeric one is no wider. For lower precision than float64 rtol is at least the root of the machine epsilon.
  double rtol = 1e-6;
  double atol = 0;          ///< excuses absolute errors, so it can hide a wrong gradient that is small
  int order = 2;            ///< derivatives to check: 2 also checks the gradient of the gradient
  double step = 0;          ///< of the first differences, relative to |x|; 0 takes 1.2e-4 in float64
  uint64_t seed = 1;        ///< of the cotangents and directions
  int64_t full_limit = 64;  ///< every element of an input of at most this size is checked, else random directions
  int directions = 4;       ///< for each larger input, and as many single elements
  bool allow_zero = false;  ///< for functions whose gradient is 0 everywhere, like floor; else that fails as vacuous
  bool contracts = true;    ///< also check what is said of the contracts below
  bool empty = false;       ///< of these, also for inputs without rows: f must give a result for them or throw
};

namespace detail {
GradcheckReport run_gradcheck(FunctionRef f, const Tensors& inputs, std::vector<std::string> names,
                              const GradcheckOptions& options);
GradcheckReport run_control(FunctionRef f, const Tensors& inputs, const GradcheckOptions& options);
GradcheckReport run_manual(FunctionRef f, const std::string& name, const Tensor& gradient, const Tensor& x,
                           const GradcheckOptions& options);
}  // namespace detail

/// Compares the gradient of f with central differences, at the inputs and contracted with random cotangents.
///
/// f gives a Tensor or a list of them. It takes the list of inputs, or up to three Tensors, or nothing: then it reaches
/// the inputs by itself, as a module does its parameters. Inputs are floating leaves, moved in place and put back.
/// Those that do not require a gradient do for the time of the check. Outputs that are not floating are left out.
///
///     GradcheckReport report = gradcheck([](Tensor x) { return tanh(x); }, {x});
///     if (!report.ok()) fmt::print("{}", report.to_string());
///
/// **The verdict** is `pass`, `fail` or `inconclusive`, for each element, each input and the whole. An element passes
/// if it was measured to be right: it agrees with differences within the tolerance, and the error bar of these is
/// within the tolerance too. It fails if it differs by more than both together. Everything else is inconclusive, with a
/// reason: rounding hides it, there is a kink, the function ends there. An input is inconclusive if the error in such
/// an element may be more than a hundredth of what the tolerance allows in the largest derivative, and the whole if an
/// input is. Only a verdict of `pass` is ok(). A check that certifies nothing fails.
///
/// **Differences** are of two steps, whose error bar is their disagreement and the measured noise of f; where that is
/// not enough to pass, of more, extrapolated to a step of 0. Steps are relative to |x|, but at least of 0.01. In a
/// larger input elements of like gradients are moved together, in random directions; one that does not pass is halved
/// until one element is left.
///
/// **Orders.** Each is checked twice, as the engine runs it without and with create_graph. From the second on the
/// cotangents are inputs too.
///
/// **Contracts**, checked as well: f gives the same values in each call and with recording off; the backward pass gives
/// the same bits twice, is linear in the cotangent over six decades, also for one that is not contiguous, for one
/// output and one input at a time, and for a retained graph; it changes neither the inputs nor the cotangent nor what
/// was saved; gradients are added up; inputs may be strided, permuted, sliced or expanded, and empty if the
/// options say so; the gradient is right a little way off too; the Hessian is symmetric; each input has an influence.
/// What backward() throws is a problem in the report; what f throws passes through.
///
/// **Lower precision.** If f takes its inputs, and gives float64 for float64, the check is of f in float64, and the
/// gradients in the lower precision are compared with those. Else steps and tolerances are such as fit the dtype.
///
/// **Blame.** Where an order fails, f is run a few dozen times more, however long its tape is, to see which recorded op
/// is the first, from the outputs, whose rule sends on something else than differences of its results say. The report
/// names it, its place among its likes, the input, the module, and the line of the call where there is debug
/// information. Where the history is cut (a detach(), a copy by hand), it names the op that takes what has none.
///
/// A DTypeError for an input that is not floating; a GradError for an input that is not a leaf, or shares memory
/// between its elements; a ValueError without inputs or without a floating output.
template <class F>
GradcheckReport gradcheck(F&& f, const Tensors& inputs, const GradcheckOptions& options = {}) {
  return detail::run_gradcheck(detail::function_ref<Tensors>(f), inputs, {}, options);
}

/// The negative control: the same check of f with its gradient scaled by 1 + 1e-3 (or four times the tolerance, if that
/// is more), which it must refuse. A report that is ok() shows that the check can't see what it looks for.
template <class F>
GradcheckReport gradcheck_control(F&& f, const Tensors& inputs, const GradcheckOptions& options = {}) {
  return detail::run_control(detail::function_ref<Tensors>(f), inputs, options);
}

/// Checks a gradient that was derived by hand, as in an exercise: `gradient` against d(sum of f(x))/dx by differences.
/// `name` is what the report calls it. A ShapeError or DTypeError unless it is like x.
///
///     report = check_manual("dlogits", my_dlogits, [&](Tensor z) { return cross_entropy(z, targets); }, logits);
template <class F>
GradcheckReport check_manual(const std::string& name, const Tensor& gradient, F&& f, const Tensor& x,
                             const GradcheckOptions& options = {}) {
  return detail::run_manual(detail::function_ref<Tensors>(f), name, gradient, x, options);
}

}  // namespace cotangent
