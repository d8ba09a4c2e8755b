#include <cotangent/autograd/ops/softmax.hpp>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/elementwise_internal.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/precision_internal.hpp>
#include <cotangent/tensor/softmax.hpp>

namespace cotangent {

Tensor softmax(const Tensor& x, int64_t dim) {
  COTANGENT_AUTOCAST(softmax, x, dim);
  if (is_low_precision(x.dtype())) return in_float32<to>(softmax, x, dim);
  const Tensor in = detail::floating(x);
  const int d = checked_dim("softmax", dim, x.rank());
  return record("softmax", {in}, raw::softmax("softmax", in, d), Keep::output(), d,
                [](const Backward& b, int along) -> Gradients {
                  const Tensor y = b.output();
                  if (!b.creates_graph()) return {raw::softmax_backward("softmax", b.grad(), y, along)};
                  return {y * (b.grad() - sum(b.grad() * y, along, true))};
                });
}

Tensor softmin(const Tensor& x, int64_t dim) {
  COTANGENT_AUTOCAST(softmin, x, dim);
  checked_dim("softmin", dim, x.rank());
  return softmax(neg(x), dim);
}

Tensor log_softmax(const Tensor& x, int64_t dim) {
  COTANGENT_AUTOCAST(log_softmax, x, dim);
  if (is_low_precision(x.dtype())) return in_float32<to>(log_softmax, x, dim);
  const Tensor in = detail::floating(x);
  const int d = checked_dim("log_softmax", dim, x.rank());
  return record("log_softmax", {in}, raw::log_softmax("log_softmax", in, d), Keep::output(), d,
                [](const Backward& b, int along) -> Gradients {
                  const Tensor y = b.output();
                  if (!b.creates_graph()) return {raw::log_softmax_backward("log_softmax", b.grad(), y, along)};
                  return {b.grad() - exp(y) * sum(b.grad(), along, true)};
                });
}

}  // namespace cotangent
