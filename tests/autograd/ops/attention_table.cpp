// The op table of autograd/ops/attention.hpp.
#include <cmath>
#include <limits>

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
Results spread(Arguments x) { return toeplitz(x[0], 3, 4); }
Results spread_naively(Arguments x) {
  std::vector<double> out;
  const std::vector<double> w = x[0].detach().to_vector<double>();
  for (int64_t h = 0; h < 2; ++h)
    for (int64_t i = 0; i < 3; ++i)
      for (int64_t j = 0; j < 4; ++j) out.push_back(w[static_cast<size_t>(h * 6 + i - j + 3)]);
  return from_vector(out, {2, 3, 4});
}

// The last argument is the distance_bias, the one before a mask if there are five.
template <bool Causal>
Results attend_by_distance(Arguments x) {
  return scaled_dot_product_attention(
      x[0], x[1], x[2], {.mask = x.size() > 4 ? x[3] : Tensor(), .causal = Causal, .distance_bias = x[x.size() - 1]});
}
template <bool Causal>
Results attend_by_distance_naively(Arguments x) {
  const Tensor bias = toeplitz(x[x.size() - 1].detach(), x[0].size(2), x[1].size(2));
  const Tensor mask = x.size() < 5              ? bias
                      : x[3].dtype() == boolean ? where(x[3], bias, -std::numeric_limits<double>::infinity())
                                                : x[3].detach() + bias;
  const Tensor all[] = {x[0], x[1], x[2], mask};
  return attend_naively<Causal>(all);
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
                       {{normal({3, 2}), normal({4, 2}), normal({4, 2})}, attend<false>},
                       {{normal({2, 2, 3, 2}), normal({2, 1, 4, 2}), normal({2, 1, 4, 3}), normal({2, 6})},
                        attend_by_distance<true>,
                        attend_by_distance_naively<true>},
                       {{q, k, k, normal({1, 5})}, attend_by_distance<false>, attend_by_distance_naively<false>},
                       {{q, k, k, values({3, 3}, {1, 0, 1, 1, 1, 0, 0, 0, 0}, boolean), normal({2, 5})},
                        attend_by_distance<false>,
                        attend_by_distance_naively<false>},
                       {{q, k, k, constant(normal({2, 1, 3})), normal({2, 5})},
                        attend_by_distance<true>,
                        attend_by_distance_naively<true>}},
           .errors = {{{q, normal({1, 2, 3, 4}), k}, attend<false>, "differ in width"},
                      {{q, k, normal({1, 2, 4, 2})}, attend<false>, "differ in length"},
                      {{normal({1, 3, 3, 2}), k, k}, attend<false>, "divide those of q"},
                      {{q, k, k, integers({3, 3}, 0, 2)}, attend<false>, "it must be bool"},
                      {{q, k, k, normal({2, 4})}, attend<false>, "broadcast"},
                      {{q, k, k, normal({2, 4})}, attend_by_distance<false>, "it must be (2, 5)"},
                      {{q, k, k, integers({2, 5}, 0, 2)}, attend_by_distance<false>, "as q is"}},
           .recorded_as = {"seen_scores", "seen_product"}},
          {"toeplitz",
           {{{normal({2, 6})}, spread, spread_naively}},
           {{{normal({2, 7})}, spread, "its last dimension must be 6"}}}};
}

}  // namespace cotangent
