// The op table of autograd/ops/attention.hpp.
#include <cmath>

#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/attention.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {
template <bool Causal>
Results attend(Arguments x) {
  return scaled_dot_product_attention(x[0], x[1], x[2], {.mask = x.size() > 3 ? x[3] : Tensor(), .causal = Causal});
}
// Row by row, as the definition reads.
template <bool Causal>
Results attend_naively(Arguments x) {
  const Tensor q = contiguous(x[0].detach()), k = contiguous(x[1].detach()), v = contiguous(x[2].detach());
  const int64_t B = q.size(0), H = q.size(1), G = k.size(1), Tq = q.size(2), Tk = k.size(2), d = q.size(3),
                dv = v.size(3);
  Tensor mask;
  if (x.size() > 3) mask = contiguous(expand(x[3].detach(), {B, H, Tq, Tk}));
  Tensor y = zeros({B, H, Tq, dv}, float64);
  for (int64_t b = 0; b < B; ++b)
    for (int64_t h = 0; h < H; ++h)
      for (int64_t i = 0; i < Tq; ++i) {
        std::vector<double> weight(static_cast<size_t>(Tk));
        double total = 0;
        for (int64_t j = 0; j < Tk; ++j) {
          double s = 0;
          for (int64_t c = 0; c < d; ++c) s += q[b][h][i][c].item() * k[b][h * G / H][j][c].item();
          s /= std::sqrt(static_cast<double>(d));
          bool seen = !Causal || j <= i + Tk - Tq;
          if (mask.defined() && mask.dtype() == boolean)
            seen = seen && mask[b][h][i][j].item<bool>();
          else if (mask.defined())
            s += mask[b][h][i][j].item();
          total += weight[static_cast<size_t>(j)] = seen ? std::exp(s) : 0;
        }
        for (int64_t j = 0; j < Tk && total > 0; ++j)
          for (int64_t c = 0; c < dv; ++c)
            y.data<double>()[((b * H + h) * Tq + i) * dv + c] +=
                weight[static_cast<size_t>(j)] / total * v[b][h * G / H][j][c].item();
      }
  return y;
}
}  // namespace

COTANGENT_OP_TABLE(attention) {
  const InputSpec q = normal({1, 2, 3, 2}), k = normal({1, 2, 3, 2}), kv1 = normal({1, 1, 4, 2});
  return {{.name = "scaled_dot_product_attention",
           .samples = {{{q, k, k}, attend<false>, attend_naively<false>},
                       {{q, k, k}, attend<true>, attend_naively<true>},
                       {{q, kv1, normal({1, 1, 4, 3})}, attend<true>, attend_naively<true>},
                       {{normal({1, 1, 3, 2}), kv1, kv1, normal({3, 4})}, attend<false>, attend_naively<false>},
                       {{normal({1, 1, 3, 2}), kv1, kv1, constant(normal({1, 1, 3, 4}))},
                        attend<true>,
                        attend_naively<true>},
                       // the second row sees nothing
                       {{normal({1, 1, 3, 2}), kv1, kv1, values({3, 4}, {1, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0}, boolean)},
                        attend<false>,
                        attend_naively<false>},
                       {{normal({3, 2}), normal({4, 2}), normal({4, 2})}, attend<false>}},
           .errors = {{{q, normal({1, 2, 3, 4}), k}, attend<false>, "differ in width"},
                      {{q, k, normal({1, 2, 4, 2})}, attend<false>, "differ in length"},
                      {{normal({1, 3, 3, 2}), k, k}, attend<false>, "divide those of q"},
                      {{q, k, k, integers({3, 3}, 0, 2)}, attend<false>, "it must be bool"},
                      {{q, k, k, normal({2, 4})}, attend<false>, "broadcast"}},
           .recorded_as = {"seen_scores", "seen_product"}}};
}

}  // namespace cotangent
