#include <cotangent/autograd/transforms/products.hpp>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/transforms/products_internal.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::detail {
namespace {

// `vectors` (cotangents or tangents) fit `of` (outputs or inputs), of which each is an `each`.
void check_vectors(const char* op, const char* name, const Tensors& vectors, const char* each, const Tensors& of) {
  if (vectors.size() != of.size())
    fail<ValueError>("[{}] {} {}s for {} {}s; give one for each", op, vectors.size(), name, of.size(), each);
  for (size_t i = 0; i < of.size(); ++i) {
    const Tensor &v = vectors[i], &y = of[i];
    if (!v.defined()) continue;
    if (v.shape() != y.shape())
      fail<ShapeError>("[{}] {} {} has shape {}; it must have {}, as {} {}", op, name, i, v.shape(), y.shape(), each,
                       i);
    if (v.dtype() != y.dtype())
      fail<DTypeError>("[{}] {} {} is {}; it must be {}, as {} {}", op, name, i, v.dtype(), y.dtype(), each, i);
  }
}

Tensors detached(const Tensors& xs) {
  Tensors ys;
  for (const Tensor& x : xs) ys.push_back(x.defined() ? x.detach() : x);
  return ys;
}

}  // namespace

Tensors pull_back(const Tensors& outputs, const Tensors& inputs, const Tensors& cotangents, Retention graph,
                  std::vector<bool>* reached) {
  Tensors roots;
  GradOptions options{
      .retain_graph = graph != Retention::freed, .create_graph = graph == Retention::created, .allow_unused = true};
  for (size_t i = 0; i < outputs.size(); ++i)
    if (outputs[i].requires_grad() && cotangents[i].defined()) {
      roots.push_back(outputs[i]);
      options.gradients.push_back(cotangents[i]);
    }
  Tensors gradients(inputs.size());
  if (!roots.empty() && !inputs.empty()) gradients = grad(roots, inputs, options);
  if (reached) reached->clear();
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (reached) reached->push_back(gradients[i].defined());
    if (!gradients[i].defined()) gradients[i] = zeros(inputs[i].shape(), inputs[i].dtype());
  }
  return gradients;
}

Recorded record_call(const char* op, FunctionRef f, const Tensors& inputs, const TransformOptions& options) {
  check_count(op, f, inputs.size());
  Recorded call{op, {}, {}, options.create_graph};
  EnableGrad guard;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& x = inputs[i];
    if (!x.defined() || !x.is_floating())
      fail<DTypeError>("[{}] input {} is {}, which has no derivative; let the function capture it", op, i,
                       x.defined() ? name(x.dtype()) : "undefined");
    if (f.count == 0) {
      if (!x.requires_grad())
        fail<GradError>(
            "[{}] input {} does not require a gradient, and a function that takes no tensors has no other "
            "for it; call requires_grad_(), or let the function take it",
            op, i);
      call.inputs.push_back(x);
    } else {
      call.inputs.push_back(options.create_graph && x.requires_grad() ? identity(x) : x.detach().requires_grad_());
    }
  }
  call.outputs = f(call.inputs);
  for (size_t i = 0; i < call.outputs.size(); ++i)
    if (!call.outputs[i].defined()) fail<ValueError>("[{}] the function gives an undefined tensor as output {}", op, i);
  return call;
}

Tensors Recorded::values() const { return create_graph ? outputs : detached(outputs); }

Tensors Recorded::pull(const Tensors& cotangents) const {
  check_vectors(op, "cotangent", cotangents, "output", outputs);
  return pull_back(outputs, inputs, cotangents, kept(create_graph));
}

const Tensor& scalar_output(const Recorded& call) {
  if (call.outputs.size() != 1)
    fail<ValueError>("[{}] the function gives {} tensors; it must give one", call.op, call.outputs.size());
  const Tensor& y = call.outputs[0];
  if (y.numel() != 1)
    fail<ShapeError>("[{}] the function gives shape {} with {} elements; reduce it to one by sum() or mean()", call.op,
                     y.shape(), y.numel());
  return y;
}

Transposed transpose(const Recorded& call) {
  Transposed result;
  for (const Tensor& y : call.outputs)
    result.v.push_back(zeros(y.shape(), y.is_floating() ? y.dtype() : default_dtype()).requires_grad_());
  result.products = pull_back(call.outputs, call.inputs, result.v, Retention::created);
  return result;
}

Products jvp(FunctionRef f, const Tensors& inputs, const Tensors& tangents, const TransformOptions& options) {
  check_vectors("jvp", "tangent", tangents, "input", inputs);
  const Recorded call = record_call("jvp", f, inputs, options);
  return {call.values(), transpose(call).push(tangents, last(options.create_graph))};
}

Products value_and_grad(FunctionRef f, const Tensors& inputs, const TransformOptions& options) {
  const Recorded call = record_call("value_and_grad", f, inputs, options);
  const Tensor& y = scalar_output(call);
  return {call.values(), pull_back({y}, call.inputs, {ones_like(y)}, last(options.create_graph))};
}

Products hvp(const char* op, FunctionRef f, const Tensors& inputs, const Tensors& v, const TransformOptions& options) {
  check_vectors(op, "vector", v, "input", inputs);
  const Recorded call = record_call(op, f, inputs, options);
  const Tensor& y = scalar_output(call);
  const Tensors gradients = pull_back({y}, call.inputs, {ones_like(y)}, Retention::created);
  return {call.values(), pull_back(gradients, call.inputs, v, last(options.create_graph))};
}

}  // namespace cotangent::detail
