// The op table of autograd/ops/lsh_attention.hpp, compared with a loop over pairs of positions.
#include <algorithm>
#include <cmath>
#include <numeric>

#include <cotangent/autograd/ops/lsh_attention.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/autograd/ops/naive_attention.hpp>

namespace cotangent {
namespace {

template <bool Causal>
Results attend(Arguments x) {
  return lsh_attention(x[0], x[1], x[2], {.chunk = 2, .causal = Causal, .key_mask = x.size() > 3 ? x[3] : Tensor()});
}

// Positions are sorted by bucket and cut into chunks; a pair counts once if any round has it near.
template <bool Causal>
Results attend_naively(Arguments x) {
  const Array q(x[0]), rotations(x[2]);
  const int64_t T = x[0].size(2), d = x[0].size(3), rounds = x[2].size(0), m = x[2].size(2), chunk = 2;
  const int64_t chunks = (T + chunk - 1) / chunk;
  const auto kept = [&](int64_t b, int64_t t) { return x.size() < 4 || x[3][b][t].template item<bool>(); };
  const auto r = x[2].detach().template to_vector<double>();
  const auto near = [&](int64_t b, int64_t h, int64_t i, int64_t j) {
    for (int64_t s = 0; s < rounds; ++s) {
      std::vector<int64_t> bucket, order(static_cast<size_t>(T)), home(static_cast<size_t>(T));
      for (int64_t t = 0; t < T; ++t) {
        double best = -1;
        int64_t found = 2 * m;
        for (int64_t k = 0; kept(b, t) && k < 2 * m; ++k) {
          double y = 0;
          for (int64_t e = 0; e < d; ++e) y += q(b, h, t, e) * r[static_cast<size_t>((s * d + e) * m + k % m)];
          if (k >= m) y = -y;
          if (k == 0 || y > best) best = y, found = k;
        }
        bucket.push_back(found);
      }
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t c) {
        return bucket[static_cast<size_t>(a)] < bucket[static_cast<size_t>(c)];
      });
      for (size_t n = 0; n < order.size(); ++n) home[static_cast<size_t>(order[n])] = static_cast<int64_t>(n) / chunk;
      const int64_t a = home[static_cast<size_t>(i)], c = home[static_cast<size_t>(j)];
      if (a == c || c == (a + chunks - 1) % chunks) return true;
    }
    return false;
  };
  return weighted(x[0], x[1], true, 1e-300, [&](int64_t b, int64_t h, int64_t i, int64_t j) {
    if (!near(b, h, i, j) || !kept(b, j) || (Causal && j > i)) return 0.0;
    double length = 0;
    for (int64_t e = 0; e < d; ++e) length += q(b, h, j, e) * q(b, h, j, e);
    // one that sees only itself has the weight 1, however small
    if (i == j) return 1e-280;
    return std::exp(dot(q, q, b, h, i, j) / std::sqrt(length * static_cast<double>(d)));
  });
}

Results buckets(Arguments x) { return lsh_buckets(x[0], x[1]); }

}  // namespace

COTANGENT_OP_TABLE(lsh_attention) {
  const InputSpec q = normal({2, 1, 7, 3}), v = normal({2, 1, 7, 2}), r = constant(normal({2, 3, 2})),
                  one = constant(normal({1, 3, 2})), few = normal({1, 2, 4, 3});
  const InputSpec kept = values({2, 7}, {1, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 1}, boolean);
  return {{.name = "lsh_buckets",
           .samples = {{{constant(values({3, 2}, {1, 0, 0, 2, -3, 1})), constant(values({1, 2, 2}, {1, 0, 0, 1}))},
                        buckets,
                        [](Arguments) -> Results {
                          return tensor({{0, 1, 2}}, int64);
                        }}},
           .errors = {{{normal({3, 2}), normal({1, 3, 2})}, buckets, "do not fit together"},
                      {{normal({3, 2}), normal({2, 2})}, buckets, "do not fit together"}},
           .orders = 0},
          {"lsh_attention",
           {{{q, v, r}, attend<false>, attend_naively<false>},
            {{q, v, r}, attend<true>, attend_naively<true>},
            {{q, v, one}, attend<true>, attend_naively<true>},
            {{few, few, one}, attend<false>, attend_naively<false>},
            {{q, v, r, kept}, attend<true>, attend_naively<true>}},
           {{{q, v, r},
             [](Arguments x) -> Results { return lsh_attention(x[0], x[1], x[2], {.chunk = 0}); },
             "a chunk of 0"},
            {{q, v, constant(normal({0, 3, 2}))}, attend<false>, "a number of rounds of 0"},
            {{q, v, constant(normal({2, 2, 2}))}, attend<false>, "do not fit together"},
            {{q, normal({2, 1, 6, 2}), r}, attend<false>, "do not fit together"}}}};
}

}  // namespace cotangent
