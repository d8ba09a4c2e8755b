// The differentiable way through a fused op: its composite form, run again on what was kept.
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/record.hpp>

namespace cotangent {

Gradients Backward::through(Tensor (*f)(std::span<const Tensor> inputs, const void* attributes),
                            const void* attributes) const {
  EnableGrad guard;
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
  const Tensors found = cotangent::grad({f(places, attributes)}, wanted,
                                        {.gradients = {grad()}, .create_graph = creates_graph(), .allow_unused = true});
  Tensors gradients(count);
  for (size_t i = 0, k = 0; i < count; ++i)
    if (places[i].defined() && needs(static_cast<int>(i))) gradients[i] = found[k++];
  return gradients;
}

}  // namespace cotangent
