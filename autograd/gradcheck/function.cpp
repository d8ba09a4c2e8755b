#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/gradcheck/function_internal.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::detail {

Tensors UserFunction::call(const Tensors& inputs, bool record) {
  EnableGrad guard(record);
  Tensors ys;
  const Tensors all = f_(inputs);
  for (const Tensor& y : all)
    if (y.defined() && y.is_floating()) ys.push_back(y);
  if (ys.empty())
    fail<ValueError>("[gradcheck] none of the {} outputs is floating; there is no gradient to check", all.size());
  return ys;
}

Tensors product_of(const Tensors& outputs, const Tensors& inputs, const Tensors& cotangents, bool create_graph,
                   bool retain_graph, std::vector<bool>* reached) {
  EnableGrad guard;
  Tensors with_history;
  GradOptions options{.retain_graph = retain_graph, .create_graph = create_graph, .allow_unused = true};
  for (size_t i = 0; i < outputs.size(); ++i)
    if (outputs[i].requires_grad() && cotangents[i].defined()) {
      with_history.push_back(outputs[i]);
      options.gradients.push_back(cotangents[i]);
    }
  Tensors gradients(inputs.size());
  if (!with_history.empty()) gradients = grad(with_history, inputs, options);
  if (reached) reached->clear();
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (reached) reached->push_back(gradients[i].defined());
    if (!gradients[i].defined()) {
      gradients[i] = make_tensor(inputs[i].shape(), inputs[i].dtype());
      raw::fill_into(gradients[i], 0);
    }
  }
  return gradients;
}

Tensors product(CheckedFunction& f, const Tensors& inputs, const Tensors& cotangents, bool create_graph,
                std::vector<bool>* reached) {
  return product_of(f.call(inputs, true), inputs, cotangents, create_graph, false, reached);
}

Tensors GradientFunction::call(const Tensors& all, bool record) {
  const auto cut = all.begin() + static_cast<std::ptrdiff_t>(inputs_);
  return product(f_, Tensors(all.begin(), cut), Tensors(cut, all.end()), record);
}

}  // namespace cotangent::detail
