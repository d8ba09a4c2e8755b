#include <cotangent/autograd/function.hpp>

#include <utility>

#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::detail {

void check_count(const char* op, FunctionRef f, size_t inputs) {
  if (f.count > 0 && std::cmp_not_equal(f.count, inputs))
    fail<ValueError>("[{}] the function takes {} tensors, and there are {} inputs; let it take as many, or a list", op,
                     f.count, inputs);
}

Tensor apart(const Tensor& y, std::span<const Tensor> inputs) {
  if (!y.defined()) return y;
  for (const Tensor& x : inputs)
    if (x.defined() && x.shares_storage(y)) return raw::clone(y.detach());
  return y.detach();
}

}  // namespace cotangent::detail
