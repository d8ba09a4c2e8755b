// The op table of autograd/ops/scan.hpp.
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/scan.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/scan.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
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
