// The op table of autograd/ops/relative_attention.hpp.
#include <cmath>
#include <limits>

#include <cotangent/autograd/ops/relative_attention.hpp>
#include <cotangent/tests/autograd/ops/naive_attention.hpp>

namespace cotangent {
namespace {

// Three queries and four keys: the distances -3 to 2.
Results gather(Arguments x) { return gather_by_distance(x[0], x[1], 4); }
Results gather_naively(Arguments x) {
  const std::vector<double> from = x[0].detach().to_vector<double>();
  const std::vector<int64_t> buckets = x[1].to_vector<int64_t>();
  std::vector<double> out;
  for (size_t b = 0; b < 2; ++b)
    for (size_t i = 0; i < 3; ++i)
      for (size_t j = 0; j < 4; ++j) out.push_back(from[(b * 3 + i) * 2 + static_cast<size_t>(buckets[i - j + 3])]);
  return from_vector(out, {2, 3, 4});
}

Results add_up(Arguments x) { return sum_by_distance(x[0], x[1], 2); }
Results add_up_naively(Arguments x) {
  const std::vector<double> from = x[0].detach().to_vector<double>();
  const std::vector<int64_t> buckets = x[1].to_vector<int64_t>();
  std::vector<double> out(12);
  for (size_t b = 0; b < 2; ++b)
    for (size_t i = 0; i < 3; ++i)
      for (size_t j = 0; j < 4; ++j)
        out[(b * 3 + i) * 2 + static_cast<size_t>(buckets[i - j + 3])] += from[(b * 3 + i) * 4 + j];
  return from_vector(out, {2, 3, 2});
}

// q, k, v, the buckets, tables for queries (R, d), keys (H, R, d) and values (R, dv), the offset (H, 1, d), and perhaps
// a mask.
template <bool Causal>
Results attend(Arguments x) {
  return relative_attention(
      x[0], x[1], x[2], {.buckets = x[3], .for_queries = x[4], .offset = x[7], .for_keys = x[5], .for_values = x[6]},
      {.mask = x.size() > 8 ? x[8] : Tensor(), .causal = Causal});
}
template <bool Causal>
Results attend_naively(Arguments x) {
  const Array q(x[0]), k(x[1]), v(x[2]);
  const std::vector<int64_t> buckets = x[3].to_vector<int64_t>();
  const auto flat = [&](size_t i) { return x[i].detach().to_vector<double>(); };
  const std::vector<double> a = flat(4), b = flat(5), c = flat(6), o = flat(7);
  const std::vector<double> mask = x.size() > 8 && x[8].is_floating() ? flat(8) : std::vector<double>();
  const int64_t B = q.shape[0], H = q.shape[1], Tq = q.shape[2], Tk = k.shape[2], d = q.shape[3], dv = v.shape[3],
                R = x[4].size(0);
  std::vector<double> out;
  for (int64_t n = 0; n < B; ++n)
    for (int64_t h = 0; h < H; ++h)
      for (int64_t i = 0; i < Tq; ++i) {
        std::vector<double> y(static_cast<size_t>(dv));
        double total = 0;
        const int64_t g = h * k.shape[1] / H;
        for (int64_t j = 0; j < Tk; ++j) {
          if (Causal && j > i + Tk - Tq) continue;
          const int64_t r = buckets[static_cast<size_t>(i - j + Tk - 1)];
          double s = 0;
          for (int64_t f = 0; f < d; ++f)
            s += q(n, h, i, f) * k(n, g, j, f) +
                 (q(n, h, i, f) + o[static_cast<size_t>(h * d + f)]) * a[static_cast<size_t>(r * d + f)] +
                 k(n, g, j, f) * b[static_cast<size_t>((h * R + r) * d + f)];
          s /= std::sqrt(static_cast<double>(d));
          if (!mask.empty()) s += mask[static_cast<size_t>(i * Tk + j)];
          const double w = std::exp(s);
          total += w;
          for (int64_t f = 0; f < dv; ++f)
            y[static_cast<size_t>(f)] += w * (v(n, g, j, f) + c[static_cast<size_t>(r * dv + f)]);
        }
        for (double e : y) out.push_back(total > 0 ? e / total : 0);
      }
  return from_vector(out, {B, H, Tq, dv});
}

Results attend_plainly(Arguments x) { return relative_attention(x[0], x[1], x[2], {.buckets = x[3]}); }

}  // namespace

COTANGENT_OP_TABLE(relative_attention) {
  const InputSpec buckets = values({6}, {0, 1, 1, 0, 1, 0}, int64);
  const InputSpec q = normal({1, 2, 3, 2}), k = normal({1, 1, 4, 2}), v = normal({1, 1, 4, 3}), a = normal({2, 2}),
                  b = normal({2, 2, 2}), c = normal({2, 3}), o = normal({2, 1, 2});
  const double no = -std::numeric_limits<double>::infinity();
  const InputSpec hiding = constant(values({3, 4}, {0, 1, no, 0, no, no, no, no, 0.5, 0, 0, no}));
  return {{"gather_by_distance",
           {{{normal({2, 3, 2}), buckets}, gather, gather_naively}},
           {{{normal({2, 3, 2}), values({5}, {0, 1, 1, 0, 1}, int64)}, gather, "there must be 6"},
            {{normal({2, 3, 1}), buckets}, gather, "bucket 1 is outside the table of 1 rows"},
            {{normal({2, 3, 2}), normal({6})}, gather, "a vector of int64"},
            {{normal({3}), buckets}, gather, "x must be a matrix"}}},
          {"sum_by_distance",
           {{{normal({2, 3, 4}), buckets}, add_up, add_up_naively}},
           {{{normal({2, 3, 4}), values({6}, {0, 1, 2, 0, 1, 0}, int64)}, add_up, "bucket 2 is outside"}}},
          {.name = "relative_attention",
           .samples = {{{q, k, v, buckets, a, b, c, o}, attend<false>, attend_naively<false>},
                       {{q, k, v, buckets, a, b, c, o}, attend<true>, attend_naively<true>},
                       {{q, k, v, buckets, a, b, c, o, hiding}, attend<true>, attend_naively<true>},
                       {{q, k, v, buckets}, attend_plainly}},
           .errors = {{{q, k, v, buckets, normal({2, 3}), b, c, o}, attend<false>, "it must be of float64, and (R, 2)"},
                      {{q, k, v, buckets, a, normal({3, 2, 2}), c, o}, attend<false>, "(2, R, 2)"},
                      {{q, k, v, buckets, a, b, c, normal({2, 2, 2})}, attend<false>, "must be (2) or (2, 1, 2)"},
                      {{q, normal({1, 1, 4, 3}), v, buckets, a, b, c, o}, attend<false>, "differ in width"},
                      {{q, k, v, integers({7}, 0, 2), a, b, c, o}, attend<false>, "there must be 6"}},
           .recorded_as = {"seen_scores", "seen_product"}}};
}

}  // namespace cotangent
