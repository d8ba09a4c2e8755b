#include <cmath>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/nn/sequence/steps_internal.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

Tensor log_steps(const char* name, int64_t count, double low, double high, Dtype dtype) {
  if (!(0 < low && low <= high && std::isfinite(high)))
    fail<ValueError>("[{}] steps from {} to {}; they must be above 0, and the first not the larger", name, low, high);
  return init::uniform_(empty({count}, dtype), std::log(low), std::log(high));
}

Tensor step_biases(const char* name, int64_t count, double low, double high, double floor, Dtype dtype) {
  const Tensor steps = clamp(exp(log_steps(name, count, low, high, float64)), floor);
  return (steps + log(-expm1(-steps))).to(dtype);
}

}  // namespace cotangent::nn
