// The op table of autograd/ops/linear_attention.hpp, compared with loops that read as the definitions do.
#include <cmath>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linear_attention.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/autograd/ops/naive_attention.hpp>

namespace cotangent {
namespace {

template <bool Reverse, int64_t Chunk>
Results sums(Arguments x) {
  return causal_product(x[0], x[1], x[2], x.size() > 3 ? x[3] : Tensor(), Reverse, Chunk);
}
template <bool Reverse>
Results sums_naively(Arguments x) {
  const Array q(x[0]), k(x[1]);
  Tensor y = weighted(x[0], x[2], false, 0, [&](int64_t b, int64_t h, int64_t i, int64_t j) {
    return (Reverse ? j >= i : j <= i) ? dot(q, k, b, h, i, j) : 0.0;
  });
  if (x.size() > 3) y = y + sum(unsqueeze(x[0].detach(), -1) * unsqueeze(x[3].detach(), 2), 3);
  return y;
}

// the last of five tensors is a key_mask
template <bool Causal, LinearForm Form, bool Normalize>
Results attend(Arguments x) {
  return linear_attention(x[0], x[1], x[2],
                          {.causal = Causal,
                           .normalize = Normalize,
                           .form = Form,
                           .chunk = 2,
                           .key_mask = x.size() == 4 ? x[3] : Tensor()});
}
template <bool Causal, bool Normalize>
Results attend_naively(Arguments x) {
  const Array q(x[0]), k(x[1]);
  std::vector<double> kept;
  if (x.size() == 4) kept = x[3].to_vector<double>();
  return weighted(x[0], x[2], Normalize, 1e-6, [&](int64_t b, int64_t h, int64_t i, int64_t j) {
    if (Causal && j > i) return 0.0;
    return dot(q, k, b, h, i, j) * (kept.empty() ? 1 : kept[static_cast<size_t>(b * x[1].size(2) + j)]);
  });
}
// rotated features stand in the numerator alone
template <bool Causal>
Results attend_rotated(Arguments x) {
  return linear_attention(x[0], x[1], x[2], {.causal = Causal, .rotated_q = x[3], .rotated_k = x[4]});
}
template <bool Causal>
Results rotated_naively(Arguments x) {
  const Array q(x[0]), k(x[1]), rq(x[3]), rk(x[4]);
  const Tensor top = weighted(x[0], x[2], false, 0, [&](int64_t b, int64_t h, int64_t i, int64_t j) {
    return Causal && j > i ? 0.0 : dot(rq, rk, b, h, i, j);
  });
  const Tensor total = weighted(
      x[0], ones_like(x[2].detach()), false, 0,
      [&](int64_t b, int64_t h, int64_t i, int64_t j) { return Causal && j > i ? 0.0 : dot(q, k, b, h, i, j); });
  return top / (total + 1e-6);
}

/// In two parts, the second of which starts from the state of the first.
template <LinearForm Form>
Results attend_in_parts(Arguments x) {
  LinearAttentionState state;
  Tensors parts;
  for (const auto& [first, count] : {std::pair(0, 3), std::pair(3, 2)})
    parts.push_back(linear_attention(narrow(x[0], 2, first, count), narrow(x[1], 2, first, count),
                                     narrow(x[2], 2, first, count), {.causal = true, .form = Form, .chunk = 2},
                                     &state));
  return cat(parts, 2);
}

template <bool Causal, LinearForm Form>
Results attend_efficiently(Arguments x) {
  return efficient_attention(x[0], x[1], x[2],
                             {.causal = Causal, .form = Form, .chunk = 2, .key_mask = x.size() == 4 ? x[3] : Tensor()});
}
template <bool Causal>
Results efficient_naively(Arguments x) {
  const Array q(x[0]), k(x[1]);
  std::vector<double> kept;
  if (x.size() == 4) kept = x[3].to_vector<double>();
  const int64_t T = x[1].size(2), m = x[1].size(3);
  const auto seen = [&](int64_t b, int64_t i, int64_t j) {
    return (!Causal || j <= i) && (kept.empty() || kept[static_cast<size_t>(b * T + j)] != 0);
  };
  return weighted(x[0], x[2], false, 0, [&](int64_t b, int64_t h, int64_t i, int64_t j) {
    double w = 0, below = 0;
    for (int64_t f = 0; f < m; ++f) below += std::exp(q(b, h, i, f));
    for (int64_t f = 0; f < m && seen(b, i, j); ++f) {
      double total = 0;
      for (int64_t l = 0; l < T; ++l) total += seen(b, i, l) ? std::exp(k(b, h, l, f)) : 0;
      w += std::exp(q(b, h, i, f)) / below * std::exp(k(b, h, j, f)) / total;
    }
    return w;
  });
}

template <FeatureMap Map>
Results map_features(Arguments x) {
  return feature_map(x[0], Map);
}
Results direction_naively(Arguments x) {
  const Tensor v = x[0].detach();
  return cat({ones({v.size(0), 1}, float64), v / sqrt(sum(v * v, 1, true))}, 1);
}
Results rotate_by_place(Arguments x) { return cosformer_features(x[0], 5, 1); }
Results rotate_naively(Arguments x) {
  const int64_t d = x[0].size(1);
  std::vector<double> out;
  const std::vector<double> v = x[0].detach().to_vector<double>();
  for (int64_t t = 0; t < x[0].size(0); ++t)
    for (int64_t c = 0; c < 2 * d; ++c) {
      const double angle = 3.141592653589793 / 2 * static_cast<double>(t + 1) / 5;
      out.push_back(std::max(v[static_cast<size_t>(t * d + c % d)], 0.0) * (c < d ? std::cos(angle) : std::sin(angle)));
    }
  return from_vector(out, {x[0].size(0), 2 * d});
}

}  // namespace

COTANGENT_OP_TABLE(linear_attention) {
  using enum LinearForm;
  const InputSpec q = uniform({2, 1, 5, 2}, 0.2, 1.5), v = normal({2, 1, 5, 3}), other = normal({2, 1, 5, 2});
  const InputSpec shorter = uniform({2, 1, 3, 2}, 0.2, 1.5);
  const InputSpec kept = values({2, 5}, {1, 1, 0, 1, 1, 0, 1, 1, 0, 0}, boolean);
  return {{"feature_map",
           {{{distinct({2, 3})},
             map_features<FeatureMap::elu_plus_one>,
             [](Arguments x) -> Results { return where(x[0] > 0, x[0] + 1, exp(x[0])); }},
            {{distinct({2, 3})},
             map_features<FeatureMap::elu>,
             [](Arguments x) -> Results { return where(x[0] > 0, x[0], exp(x[0]) - 1); }},
            {{normal({2, 3})}, map_features<FeatureMap::exp>, [](Arguments x) -> Results { return exp(x[0]); }},
            {{distinct({2, 3})},
             map_features<FeatureMap::relu>,
             [](Arguments x) -> Results { return maximum(x[0], tensor(0.0, float64)); }},
            {{distinct({2, 3})},
             map_features<FeatureMap::squared_relu>,
             [](Arguments x) -> Results { return where(x[0] > 0, x[0] * x[0], 0); }},
            {{normal({2, 3})}, map_features<FeatureMap::identity>, [](Arguments x) -> Results { return x[0] * 1; }},
            {{normal({2, 3})}, map_features<FeatureMap::direction>, direction_naively}}},
          {"cosformer_features",
           {{{distinct({4, 2})}, rotate_by_place, rotate_naively}},
           {{{normal({5, 2})}, rotate_by_place, "exceed the length 5"},
            {{normal({2})}, rotate_by_place, "must be (.., T, d)"}}},
          {"causal_product",
           {{{other, other, v}, sums<false, 2>, sums_naively<false>},
            {{other, other, v}, sums<true, 2>, sums_naively<true>},
            {{other, other, v, normal({2, 1, 2, 3})}, sums<false, 3>, sums_naively<false>},
            {{other, other, v, normal({2, 1, 2, 3})}, sums<true, 64>, sums_naively<true>}},
           {{{normal({1, 5, 2}), other, v}, sums<false, 2>, "must be (B, H, T, d)"},
            {{other, normal({2, 1, 5, 3}), v}, sums<false, 2>, "do not fit together"},
            {{shorter, other, v}, sums<false, 2>, "3 queries and 5 keys"},
            {{other, other, v}, sums<false, 0>, "a chunk of 0"},
            {{other, other, v, normal({2, 1, 3, 2})}, sums<false, 2>, "the state is (2, 1, 3, 2)"},
            {{integers({1, 1, 2, 2}, 0, 3), integers({1, 1, 2, 2}, 0, 3), integers({1, 1, 2, 2}, 0, 3)},
             sums<false, 2>,
             "one floating dtype"}}},
          {"linear_attention",
           {{{q, q, v}, attend<true, chunked, true>, attend_naively<true, true>},
            {{q, q, v}, attend<true, parallel, true>, attend_naively<true, true>},
            {{q, q, v}, attend<true, recurrent, true>, attend_naively<true, true>},
            {{other, other, v}, attend<true, automatic, false>, attend_naively<true, false>},
            {{q, q, v}, attend_in_parts<chunked>, attend_naively<true, true>},
            {{q, q, v}, attend_in_parts<recurrent>, attend_naively<true, true>},
            {{q, q, v}, attend_in_parts<parallel>, attend_naively<true, true>},
            {{shorter, q, v}, attend<false, automatic, true>, attend_naively<false, true>},
            {{q, q, v}, attend<false, parallel, true>, attend_naively<false, true>},
            {{q, q, v}, attend<false, chunked, true>, attend_naively<false, true>},
            {{q, q, v, kept}, attend<true, chunked, true>, attend_naively<true, true>},
            {{q, q, v, kept}, attend<false, chunked, true>, attend_naively<false, true>},
            {{q, q, v, other, other}, attend_rotated<true>, rotated_naively<true>},
            {{q, q, v, other, other}, attend_rotated<false>, rotated_naively<false>}},
           {{{q, q, v}, attend<false, recurrent, true>, "needs causal = true"},
            {{q, q, v},
             [](Arguments x) -> Results {
               LinearAttentionState state;
               return linear_attention(x[0], x[1], x[2], {}, &state);
             },
             "the whole sequence is needed"},
            {{q, q, v},
             [](Arguments x) -> Results { return linear_attention(x[0], x[1], x[2], {.chunk = 0}); },
             "a chunk of 0"},
            {{q, q, v},
             [](Arguments x) -> Results { return linear_attention(x[0], x[1], x[2], {.rotated_q = x[0]}); },
             "one of rotated_q and rotated_k is missing"},
            {{shorter, q, v}, attend<true, chunked, true>, "one key for each query"},
            {{q, q, v, integers({2, 5}, 0, 2)}, attend<false, chunked, true>, "it must be bool"},
            {{q, q, v, booleans({5, 2})}, attend<false, chunked, true>, "the key_mask is (5, 2)"}},
           3,
           1e-6,
           true,
           {"causal_product"}},
          {"efficient_attention",
           {{{other, other, v}, attend_efficiently<true, chunked>, efficient_naively<true>},
            {{other, other, v}, attend_efficiently<true, parallel>, efficient_naively<true>},
            {{other, other, v}, attend_efficiently<true, recurrent>, efficient_naively<true>},
            {{normal({2, 1, 3, 2}), other, v}, attend_efficiently<false, automatic>, efficient_naively<false>},
            {{other, other, v}, attend_efficiently<false, parallel>, efficient_naively<false>},
            {{other, other, v, kept}, attend_efficiently<false, chunked>, efficient_naively<false>},
            {{other, other, v, values({2, 5}, {0, 0, 0, 1, 1, 0, 1, 1, 0, 0}, boolean)},
             attend_efficiently<true, chunked>,
             nullptr}},
           {{{other, other, v}, attend_efficiently<false, recurrent>, "needs causal = true"},
            {{other, other, v},
             [](Arguments x) -> Results { return efficient_attention(x[0], x[1], x[2], {.chunk = 0}); },
             "a chunk of 0"},
            {{normal({2, 1, 3, 2}), other, v}, attend_efficiently<true, chunked>, "one key for each query"}}}};
}

}  // namespace cotangent
