#pragma once
// What the gradient checker differentiates: a user's function, and its gradient as a function again.
#include <cotangent/autograd/gradcheck/gradcheck.hpp>

namespace cotangent::detail {

/// A function from tensors to tensors, of any order of differentiation.
class CheckedFunction {
 public:
  virtual ~CheckedFunction() = default;
  /// The outputs at the present values of the inputs; with a history if `record`.
  virtual Tensors call(const Tensors& inputs, bool record) = 0;
};

/// The user's function: its floating outputs.
class UserFunction : public CheckedFunction {
 public:
  explicit UserFunction(FunctionRef f) : f_(f) {}
  Tensors call(const Tensors& inputs, bool record) override;
  /// Whether it takes the inputs that it is given; else it holds them itself.
  bool takes_inputs() const { return f_.count != 0; }

 private:
  FunctionRef f_;
};

/// The gradient of f as a function of its inputs and the cotangents, in that order.
class GradientFunction : public CheckedFunction {
 public:
  GradientFunction(CheckedFunction& f, size_t inputs) : f_(f), inputs_(inputs) {}
  Tensors call(const Tensors& all, bool record) override;

 private:
  CheckedFunction& f_;
  size_t inputs_;
};

/// The vector-Jacobian product of f: the gradient of each of its inputs. Undefined ones are zeros, and not `reached`.
Tensors product(CheckedFunction& f, const Tensors& inputs, const Tensors& cotangents, bool create_graph,
                std::vector<bool>* reached = nullptr);
/// The same from outputs that are there. Cotangents that are undefined are left out.
Tensors product_of(const Tensors& outputs, const Tensors& inputs, const Tensors& cotangents, bool create_graph,
                   bool retain_graph = false, std::vector<bool>* reached = nullptr);

}  // namespace cotangent::detail
