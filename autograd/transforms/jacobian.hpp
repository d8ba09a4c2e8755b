#pragma once
// All first or second derivatives of a function; see products.hpp for what transforms have in common.
#include <cotangent/autograd/transforms/products.hpp>

namespace cotangent {

namespace detail {
/// [output][input]
std::vector<Tensors> jacobian(FunctionRef f, const Tensors& inputs, const TransformOptions& options);
std::vector<Tensors> hessian(FunctionRef f, const Tensors& inputs, const TransformOptions& options);

template <class Rows, class Columns>
auto from_blocks(std::vector<Tensors> blocks) {
  if constexpr (std::is_same_v<Rows, Tensors> && std::is_same_v<Columns, Tensors>) {
    return blocks;
  } else if constexpr (std::is_same_v<Rows, Tensor>) {
    return from_list<Columns>(std::move(blocks[0]));
  } else {
    Tensors column;
    for (Tensors& row : blocks) column.push_back(std::move(row[0]));
    return column;
  }
}
}  // namespace detail

/// The Jacobian: each derivative of an element of f(x) with respect to an element of x.
///     Tensor J = jacobian(f, x);      f(x) (*out), x (*in) -> (*out, *in)
///     Tensors by_input = jacobian(f, {x, y});
/// For several results a list of what one gives: Tensors for one x, else a std::vector<Tensors>, J[result][input].
/// It takes a backward pass for each element of the results; where those are more than twice as many as the elements
/// of the inputs, a jvp for each of these instead. A DTypeError for a result that is not floating.
template <class X = Tensors, class F>
auto jacobian(F&& f, const X& x, const TransformOptions& options = {}) {
  using In = detail::Like<X>;
  return detail::from_blocks<detail::ResultOf<F, X>, In>(
      detail::jacobian(detail::function_ref<In>(f), detail::as_list(In(x)), options));
}

/// The Hessian of a function with a result of one element: each second derivative with respect to elements of x.
///     Tensor H = hessian(f, x);      x (*in) -> (*in, *in)
/// For several inputs blocks H[i][j], of the shapes of input i and input j one after the other, in a
/// std::vector<Tensors>. It is the Jacobian of the gradient, one backward pass for each element of the inputs; hvp
/// gives products with it at the cost of one. A ShapeError where f gives more than one element.
template <class X = Tensors, class F>
auto hessian(F&& f, const X& x, const TransformOptions& options = {}) {
  using In = detail::Like<X>;
  return detail::from_blocks<In, In>(detail::hessian(detail::function_ref<In>(f), detail::as_list(In(x)), options));
}

}  // namespace cotangent
