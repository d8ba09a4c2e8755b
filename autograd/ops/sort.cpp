#include <cotangent/autograd/ops/sort.hpp>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/index_internal.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/sort.hpp>

namespace cotangent {
namespace {

// The values are x gathered at the indices, and so is their gradient.
SortResult record_order(const char* op, const Tensor& x, int dim, const raw::Ordered& found) {
  Tensor y[] = {found.values, found.indices};
  record_all(op, {x}, y, Keep::output(1), dim, [](const Backward& b, int d) -> Gradients {
    return {detail::scatter_sum(b.grad(), b.shape(0), d, b.output(1))};
  });
  return {y[0], y[1]};
}

}  // namespace

SortResult sort(const Tensor& x, int64_t dim, bool descending) {
  const int d = checked_dim("sort", dim, x.rank());
  return record_order("sort", x, d, raw::sort(x, d, descending));
}

Tensor argsort(const Tensor& x, int64_t dim, bool descending) {
  return raw::sort(x, checked_dim("argsort", dim, x.rank()), descending).indices;
}

SortResult topk(const Tensor& x, int64_t k, int64_t dim, bool largest, bool sorted) {
  const int d = checked_dim("topk", dim, x.rank());
  const int64_t least = x.rank() ? 0 : 1, size = x.rank() ? x.shape()[d] : 1;
  if (k < least || k > size)
    fail<ValueError>("[topk] k is {} for dimension {} of shape {}; it must be from {} to {}", k, d, x.shape(), least,
                     size);
  return record_order("topk", x, d, raw::topk(x, k, d, largest, sorted));
}

}  // namespace cotangent
