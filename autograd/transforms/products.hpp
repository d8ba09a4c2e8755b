#pragma once
// Transforms: functions of functions, which give derivatives. `f` is a function of the user's that gives a Tensor or a
// list of Tensors, and may be a lambda, a function, or a module. `x` is one Tensor, or a list of them, which f takes as
// a list (const Tensors&, std::span<const Tensor>) or as up to three Tensors; or f takes nothing and reaches x by
// itself, as a model does its parameters. A derivative is one Tensor where x, or the result of f, is one, and a list
// where it is a list:
//
//     Tensor J = jacobian([](const Tensor& x) { return softmax(x, -1); }, x);
//     auto [loss, gradients] = value_and_grad([&](const Tensor& w, const Tensor& b) { ... }, {w, b});
//     Tensors product = hvp([&] { return mse_loss(model(x), y); }, model.parameters(), directions).product;
//
// f is called once, with tensors of its own for x, and is recorded also under NoGrad. No grad() is changed. What f does
// not depend on has a derivative of 0. Derivatives have no history themselves unless create_graph says so: then they
// can be differentiated again, with respect to x and to all that f reads, and so transforms nest, to any order:
//
//     auto hessian_of = [&](const Tensor& x) { return hessian(f, x, {.create_graph = true}); };
//     Tensor third = jacobian(hessian_of, x);
//
// Names and meaning are those of torch.func, torch.autograd.functional and JAX. What f computes besides (has_aux there)
// it hands out through a variable that it captures.
//
// A DTypeError for an x that is not floating (let f capture it); a ValueError where f takes another number of tensors,
// or where there are not as many cotangents or tangents as there must be; a ShapeError or DTypeError for one of another
// shape or dtype; a GradError where f takes nothing and x does not require a gradient. An undefined cotangent or
// tangent stands for 0.
#include <cotangent/autograd/function.hpp>

namespace cotangent {

/// Options of the transforms.
struct TransformOptions {
  bool create_graph = false;  ///< record the derivatives, so that they can be differentiated themselves
};

namespace detail {

/// A call of f that was recorded, with inputs of its own.
struct Recorded {
  const char* op;
  Tensors inputs, outputs;
  bool create_graph;
  /// Without history, unless the graph is created.
  Tensors values() const;
  /// The vector-Jacobian product, for as many cotangents as there are outputs.
  Tensors pull(const Tensors& cotangents) const;
};

struct Products {
  Tensors values, products;
};
Recorded record_call(const char* op, FunctionRef f, const Tensors& inputs, const TransformOptions& options);
Products jvp(FunctionRef f, const Tensors& inputs, const Tensors& tangents, const TransformOptions& options);
Products value_and_grad(FunctionRef f, const Tensors& inputs, const TransformOptions& options);
Products hvp(const char* op, FunctionRef f, const Tensors& inputs, const Tensors& v, const TransformOptions& options);

}  // namespace detail

/// v -> v^T J, the gradient of sum(v * f(x)): one backward pass each time it is called. It holds what these need.
template <class Y, class X>
class Pullback {
 public:
  explicit Pullback(detail::Recorded recorded) : recorded_(std::move(recorded)) {}
  X operator()(const Y& cotangent) const { return detail::from_list<X>(recorded_.pull(detail::as_list(cotangent))); }

 private:
  detail::Recorded recorded_;
};

template <class Y, class X>
struct Vjp {
  Y value;
  Pullback<Y, X> pullback;
};

/// The vector-Jacobian product, as a function of the vector.
///     auto [y, pullback] = vjp(f, x);      y = f(x);   pullback(v) = v^T J with J = df/dx, of x's shape
/// v has y's shape and dtype.
template <class X = Tensors, class F>
auto vjp(F&& f, const X& x, const TransformOptions& options = {}) {
  using Y = detail::ResultOf<F, X>;
  using In = detail::Like<X>;
  detail::Recorded call = detail::record_call("vjp", detail::function_ref<In>(f), detail::as_list(In(x)), options);
  Tensors values = call.values();
  return Vjp<Y, In>{detail::from_list<Y>(std::move(values)), Pullback<Y, In>(std::move(call))};
}

template <class Y>
struct Jvp {
  Y value, tangent;
};

/// The Jacobian-vector product: the derivative of f(x) as x moves along v.
///     auto [y, dy] = jvp(f, x, v);      y = f(x);   dy = J v, of y's shape;   v has x's shape and dtype
/// A result that is not floating has a tangent of 0, in the default dtype. No op has a rule for this: v^T J is linear
/// in v, and its gradient with respect to v is J (Townsend, "A new trick for calculating Jacobian vector products",
/// 2017). So it takes a backward pass that is recorded and one through that: in networks about three times what f(x)
/// takes, where its gradient takes two.
template <class X = Tensors, class F>
auto jvp(F&& f, const X& x, const detail::Like<X>& v, const TransformOptions& options = {}) {
  using Y = detail::ResultOf<F, X>;
  using In = detail::Like<X>;
  detail::Products both = detail::jvp(detail::function_ref<In>(f), detail::as_list(In(x)), detail::as_list(v), options);
  return Jvp<Y>{detail::from_list<Y>(std::move(both.values)), detail::from_list<Y>(std::move(both.products))};
}

template <class X>
struct ValueAndGrad {
  Tensor value;
  X gradient;
};

/// f(x), of one element, and its gradient, of x's shape.
///     auto [loss, gradient] = value_and_grad(f, x);
/// A ShapeError where f gives more than one element.
template <class X = Tensors, class F>
auto value_and_grad(F&& f, const X& x, const TransformOptions& options = {}) {
  using In = detail::Like<X>;
  detail::Products both = detail::value_and_grad(detail::function_ref<In>(f), detail::as_list(In(x)), options);
  return ValueAndGrad<In>{std::move(both.values[0]), detail::from_list<In>(std::move(both.products))};
}

template <class X>
struct Hvp {
  Tensor value;
  X product;
};

/// The product of a Hessian and a vector, without the Hessian: the gradient of sum(v * df/dx), in networks in about
/// four times what f(x) takes (Pearlmutter, "Fast exact multiplication by the Hessian", 1994).
///     auto [y, product] = hvp(f, x, v);      y = f(x), of one element;   product = H v, of x's shape, as v is
/// It is one backward pass through another, and so, to be exact, v^T H: the same where second derivatives are
/// continuous. A ShapeError where f gives more than one element.
template <class X = Tensors, class F>
auto hvp(F&& f, const X& x, const detail::Like<X>& v, const TransformOptions& options = {}) {
  using In = detail::Like<X>;
  detail::Products both =
      detail::hvp("hvp", detail::function_ref<In>(f), detail::as_list(In(x)), detail::as_list(v), options);
  return Hvp<In>{std::move(both.values[0]), detail::from_list<In>(std::move(both.products))};
}

/// v^T H. PyTorch's name for what hvp computes.
template <class X = Tensors, class F>
auto vhp(F&& f, const X& x, const detail::Like<X>& v, const TransformOptions& options = {}) {
  using In = detail::Like<X>;
  detail::Products both =
      detail::hvp("vhp", detail::function_ref<In>(f), detail::as_list(In(x)), detail::as_list(v), options);
  return Hvp<In>{std::move(both.values[0]), detail::from_list<In>(std::move(both.products))};
}

/// x as a constant: x.detach(), under the name that papers and JAX have for it within a formula.   dx = 0
inline Tensor stop_gradient(const Tensor& x) { return x.detach(); }

}  // namespace cotangent
