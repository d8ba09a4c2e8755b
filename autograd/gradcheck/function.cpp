#include <cotangent/autograd/gradcheck/function_internal.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/transforms/products_internal.hpp>
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
  return pull_back(outputs, inputs, cotangents,
                   create_graph   ? Retention::created
                   : retain_graph ? Retention::retained
                                  : Retention::freed,
                   reached);
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
