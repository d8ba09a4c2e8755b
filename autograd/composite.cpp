// The differentiable way through a fused op: its composite form, run again on what was kept.
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/node.hpp>
#include <cotangent/autograd/ops/convert.hpp>

namespace cotangent {

Gradients Backward::through(Tensor (*f)(std::span<const Tensor> inputs, const void* attributes),
                            const void* attributes) const {
  struct One {
    Tensor (*f)(std::span<const Tensor> inputs, const void* attributes);
    const void* attributes;
  } const one{f, attributes};
  return through(
      [](std::span<const Tensor> inputs, const void* p) -> Tensors {
        const One& only = *static_cast<const One*>(p);
        return {only.f(inputs, only.attributes)};
      },
      &one);
}

Gradients Backward::through(Tensors (*f)(std::span<const Tensor> inputs, const void* attributes),
                            const void* attributes) const {
  EnableGrad guard;
  detail::record_after(node_);  // else the pass below would go on into the graph of an input that another thread made
  const size_t count = static_cast<size_t>(inputs());
  // Each input gets a place of its own in the graph: the same tensor may stand for several.
  Tensors places(count), wanted;
  for (size_t i = 0; i < count; ++i) {
    const Tensor& x = input(static_cast<int>(i));
    if (!x.defined()) continue;
    if (!needs(static_cast<int>(i))) {
      places[i] = x.detach();
    } else {
      places[i] = creates_graph() ? identity(x) : x.detach().requires_grad_();
      wanted.push_back(places[i]);
    }
  }
  Tensors outputs, cotangents;
  const Tensors results = f(places, attributes);
  for (size_t i = 0; i < results.size(); ++i)
    if (results[i].requires_grad() && has_grad(static_cast<int>(i))) {
      outputs.push_back(results[i]);
      cotangents.push_back(grad(static_cast<int>(i)));
    }
  Tensors gradients(count);
  if (outputs.empty()) return gradients;
  const Tensors found = cotangent::grad(
      outputs, wanted, {.gradients = cotangents, .create_graph = creates_graph(), .allow_unused = true});
  for (size_t i = 0, k = 0; i < count; ++i)
    if (places[i].defined() && needs(static_cast<int>(i))) gradients[i] = found[k++];
  return gradients;
}

}  // namespace cotangent
