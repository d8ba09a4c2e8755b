#include <cotangent/nn/shape.hpp>

#include <cotangent/autograd/ops/view.hpp>

namespace cotangent::nn {

Tensor Flatten::forward(const Tensor& x) { return flatten(x, start_dim, end_dim); }

}  // namespace cotangent::nn
