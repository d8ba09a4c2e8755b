#include <cotangent/autograd/transforms/custom_vjp.hpp>

#include <cotangent/autograd/autocast_internal.hpp>

namespace cotangent::detail {

Tensors call_custom(const char* op, FunctionRef forward, const Tensors& inputs, Keep keep, RunRule rule,
                    AttributeBlock captured) {
  const PooledVector<TensorRef> refs(inputs.begin(), inputs.end());
  Tensors outputs;
  {
    const NoGrad guard;
    const UseAutocast off(without_autocast());  // as in the rule
    outputs = forward(inputs);
    for (Tensor& y : outputs) y = apart(y, inputs);
  }
  check_kept(op, keep, inputs.size(), outputs.size());
  if (should_record(refs.data(), refs.size()))
    attach(op, refs.data(), refs.size(), outputs.data(), outputs.size(), keep, rule, captured);
  return outputs;
}

}  // namespace cotangent::detail
