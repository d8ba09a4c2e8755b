#include "corpus.hpp"

#include <cmath>

namespace cotangent::corpus {

Tensor Rule::exact(int i, const Tensor& cotangent) const {
  EnableGrad guard;
  Tensors places;
  for (int k = 0; k < inputs(); ++k) {
    const Tensor& x = input(k);
    const bool linked = creates_graph() && x.requires_grad();
    if (k != i)
      places.push_back(linked ? x : x.detach());
    else
      places.push_back(linked ? identity(x) : x.detach().requires_grad_());
  }
  const Tensor& x = places[static_cast<size_t>(i)];
  const Tensor g = cotangent::grad(
      {fault.right(places)}, {x}, {.gradients = {cotangent}, .create_graph = creates_graph(), .allow_unused = true})[0];
  return g.defined() ? g : zeros(x.shape(), x.dtype());
}

namespace {

Tensor recorded(const Fault& fault, Arguments x) {
  constexpr Keep keeps[] = {Keep::inputs(1), Keep::inputs(2), Keep::inputs(3), Keep::inputs(4), Keep::inputs(5)};
  Tensor y;
  {
    NoGrad guard;
    y = clone(fault.right(x)).detach();
  }
  return record(fault.op, x, y, keeps[x.size() - 1] | Keep::output(), &fault,
                [](const Backward& b, const Fault* f) -> Gradients {
                  return f->rule({b, *f});
                });
}

InputSpec weight(const Shape& shape) { return between(shape, -0.8, 0.8); }
int64_t columns(const Shape& shape) { return shape.rank() < 2 ? shape.product() : shape.product() / shape[0]; }
Tensor rows(const Tensor& x) { return x.rank() < 2 ? reshape(x, {1, -1}) : reshape(x, {x.shape()[0], -1}); }

}  // namespace

// The inputs are those of the op, where the first is made by the layers before it, and then x and their weights.
Planted::Planted(const Fault& fault_, Network network_, bool healthy_, uint64_t seed)
    : fault(fault_), network(network_), healthy(healthy_) {
  std::vector<InputSpec> specs = healthy && !fault.healthy_inputs.empty() ? fault.healthy_inputs : fault.inputs;
  if (network != Network::none) {
    const Shape s = specs[0].shape;
    const Tensors sample = make_inputs(specs);
    const Shape out = fault.right(sample).shape();
    specs.erase(specs.begin());
    switch (network) {
      case Network::none: break;
      case Network::mlp:
        for (const Shape& shape : {Shape{s.rank() < 2 ? 1 : s[0], 3}, Shape{columns(s), 3}, Shape{2, columns(out)}})
          specs.push_back(weight(shape));
        break;
      case Network::cnn:
        for (const Shape& shape : {Shape{s[0], 2, s[2], s[3]}, Shape{s[1], 2, 3, 3}, Shape{2, out[1], 1, 1}})
          specs.push_back(weight(shape));
        break;
      case Network::attention:
        for (const Shape& shape : {Shape{s[0], s[1], 3}, Shape{s[2], 3}, Shape{2, out[2]}, Shape{2, out[2]}})
          specs.push_back(weight(shape));
        break;
      case Network::scores:
        for (const Shape& shape : {Shape{s[0], s[1], 3}, Shape{4, 3}, Shape{4, 3}, Shape{4, 3}})
          specs.push_back(weight(shape));
        break;
      case Network::recurrent:
        for (const Shape& shape : {Shape{3, s[0], 2}, Shape{s[1], 2}, Shape{s[1], s[1]}})
          specs.push_back(weight(shape));
        break;
    }
  }
  inputs = make_inputs(specs, seed);
  for (size_t i = 0; i < specs.size(); ++i)
    if (specs[i].differentiable) places.push_back(i);
}

Tensors Planted::checked() const {
  Tensors xs;
  for (size_t i : places) xs.push_back(inputs[i]);
  return xs;
}

Tensor Planted::op(Arguments x) const {
  if (healthy) return fault.right(x);
  return fault.wrong ? fault.wrong(x) : recorded(fault, x);
}

Tensor Planted::operator()(const Tensors& checked) const {
  Tensors x = inputs;
  for (size_t i = 0; i < places.size(); ++i) x[places[i]] = checked[i];
  if (network == Network::none) return op(x);
  const size_t own = fault.inputs.size() - 1;  // what the op takes besides its first input
  const Tensor* w = x.data() + own;
  const Shape& s = fault.inputs[0].shape;
  const auto call = [&](const Tensor& first) {
    Tensors all{first};
    all.insert(all.end(), x.begin(), x.begin() + static_cast<std::ptrdiff_t>(own));
    return op(all);
  };
  switch (network) {
    case Network::none: break;
    case Network::mlp: return tanh(linear(rows(call(reshape(tanh(linear(w[0], w[1])), s))), w[2]));
    case Network::cnn: {
      const Tensor y = call(silu(conv2d(w[0], w[1], {}, {.padding = 1})));
      return mean(conv2d(reshape(y, {y.shape()[0], y.shape()[1], -1, 1}), w[2]), {2, 3});
    }
    case Network::attention: {
      const Tensor h = call(linear(w[0], w[1]));
      const Tensor scores = matmul(linear(h, w[2]), transpose(linear(h, w[3]), -2, -1)) / std::sqrt(2.0);
      return h + matmul(softmax(scores, -1), h);
    }
    case Network::scores: {
      const Tensor q = linear(w[0], w[1]), k = linear(w[0], w[2]), v = linear(w[0], w[3]);
      return matmul(call(matmul(q, transpose(k, -2, -1)) * 0.5), v);
    }
    case Network::recurrent: {
      Tensor h = zeros(s, float64);
      for (int64_t t = 0; t < 3; ++t) h = call(tanh(linear(select(w[0], 0, t), w[1]) + linear(h, w[2])));
      return h;
    }
  }
  return {};
}

}  // namespace cotangent::corpus
