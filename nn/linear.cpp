#include <cotangent/nn/linear.hpp>

#include <cmath>

#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

Linear::Linear(int64_t in, int64_t out, const LinearOptions& options) {
  if (in < 1 || out < 1)
    fail<ValueError>("[Linear] {} inputs and {} outputs; there must be at least 1 of each", in, out);
  const double bound = 1 / std::sqrt(static_cast<double>(in));
  weight = init::uniform_(empty({out, in}, options.dtype), -bound, bound);
  if (options.bias) bias = init::uniform_(empty({out}, options.dtype), -bound, bound);
}

Tensor Linear::forward(const Tensor& x) { return detail::heard(weight, 0, x, linear(x, weight, bias)); }

std::string Linear::settings() const {
  return fmt::format("{}, {}{}", weight.size(1), weight.size(0), bias.defined() ? "" : ", bias = false");
}

}  // namespace cotangent::nn
