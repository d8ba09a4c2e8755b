#include <cotangent/autograd/ops/scan.hpp>

#include <cotangent/autograd/op_info.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
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

// ---- op table ----

namespace {
Tensor summed(const Tensor& x, int64_t dim) {
  Tensors parts = unbind(x, dim);
  for (size_t i = 1; i < parts.size(); ++i) parts[i] = parts[i] + parts[i - 1];
  return stack(parts, dim);
}
}  // namespace

COTANGENT_OP_TABLE(scan) {
  return {{"cumsum",
           {{{normal({2, 4})},
             [](Arguments x) -> Results { return cumsum(x[0], 1); },
             [](Arguments x) -> Results { return summed(x[0], 1); }},
            {{normal({3, 2, 2})},
             [](Arguments x) -> Results { return cumsum(x[0], -3); },
             [](Arguments x) -> Results { return summed(x[0], 0); }},
            {{normal({6, 2})},
             [](Arguments x) -> Results { return cumsum(x[0], 1); },
             [](Arguments x) -> Results { return summed(x[0], 1); }},
            {{normal({1})},
             [](Arguments x) -> Results { return cumsum(x[0], 0); },
             [](Arguments x) -> Results { return x[0] * 1; }},
            {{normal({})},
             [](Arguments x) -> Results { return cumsum(x[0], 0); },
             [](Arguments x) -> Results { return x[0] * 1; }}},
           {{{normal({3})}, [](Arguments x) -> Results { return cumsum(x[0], 1); }, "[cumsum] dimension 1"}}}};
}

}  // namespace cotangent
