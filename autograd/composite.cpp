// The differentiable way through a fused op: its composite form, run again on what was kept.
#include <algorithm>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/node.hpp>

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
  struct Composite {
    Tensors (*f)(std::span<const Tensor> inputs, const void* attributes);
    const void* attributes;
  } const composite{f, attributes};
  return through(
      [](const Backward& b, const void* p) -> Tensors {
        const Composite& c = *static_cast<const Composite*>(p);
        Tensors xs;
        for (int i = 0; i < b.inputs(); ++i)
          xs.push_back(b.needs(i) ? b.recorded_input(i) : b.input(i).defined() ? b.input(i).detach() : Tensor());
        return c.f(xs, c.attributes);
      },
      &composite);
}

Gradients Backward::through(Tensors (*f)(const Backward& backward, const void* attributes),
                            const void* attributes) const {
  EnableGrad guard;
  detail::record_after(node_);  // so that what f records is newer than all that the pass around this one goes over
  const Tensors results = f(*this, attributes);
  Tensors outputs, ends;
  GradOptions options{.create_graph = creates_graph(), .allow_unused = true};
  for (size_t i = 0; i < results.size(); ++i)
    if (results[i].requires_grad() && has_grad(static_cast<int>(i))) {
      outputs.push_back(results[i]);
      options.gradients.push_back(grad(static_cast<int>(i)));
    }
  Gradients gradients = Gradients::undefined(inputs());
  if (outputs.empty()) return gradients;
  std::vector<int> places;
  for (int i = 0; i < inputs(); ++i) {
    const Edge& edge = node_->edges()[i];
    const auto is_same = [&](int k) {
      return node_->edges()[k].node == edge.node && node_->edges()[k].output == edge.output;
    };
    // one tensor may stand for several inputs: the first gets it all
    if (!needs(i) || std::any_of(places.begin(), places.end(), is_same)) continue;
    places.push_back(i);
    ends.push_back(detail::at_edge(detail::make_tensor({0}, dtype(i)), edge));
  }
  Tensors found = detail::grad_above(node_->order + 1, outputs, ends, options);
  for (size_t k = 0; k < places.size(); ++k) gradients[places[k]] = std::move(found[k]);
  return gradients;
}

}  // namespace cotangent
