#include <cotangent/autograd/ops/scan.hpp>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/scan.hpp>

namespace cotangent {
namespace {

struct Direction {
  int dim;
  bool reverse;
};
Tensor running_sum(const Tensor& x, Direction way) {
  return record("cumsum", {x}, raw::cumsum(x, way.dim, way.reverse), Keep::nothing(), way,
                [](const Backward& b, Direction w) -> Gradients {
                  return {running_sum(b.grad(), {w.dim, !w.reverse})};
                });
}

}  // namespace

Tensor cumsum(const Tensor& x, int64_t dim) { return running_sum(x, {checked_dim("cumsum", dim, x.rank()), false}); }

}  // namespace cotangent
