// What the op table can't say of autograd/ops/relative_attention.hpp: tiles against the definition, NaN, memory.
#include <cotangent/autograd/ops/relative_attention.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <catch2/catch.hpp>
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/memory/allocator.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {

constexpr double kNo = -std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();

Tensor draw(const Shape& shape, uint64_t seed, Dtype dtype = float64) {
  Generator g(seed);
  return randn(shape, dtype, g).requires_grad_();
}

/// All tables, of distances clipped to [-reach, reach], or with a row for each.
struct Problem {
  Problem(int64_t queries, int64_t keys, int64_t reach, Dtype dtype = float64)
      : q(draw({2, 2, queries, 3}, 1, dtype)), k(draw({2, 1, keys, 3}, 2, dtype)), v(draw({2, 1, keys, 5}, 3, dtype)) {
    const Tensor distance = arange(1 - keys, std::max(queries, 1 - keys));
    rows.buckets = reach == 0 ? distance + (keys - 1) : (clamp(distance, -reach, reach) + reach).to(int64);
    set_tables(reach == 0 ? queries + keys - 1 : 2 * reach + 1, dtype);
  }
  void set_tables(int64_t count, Dtype dtype = float64) {
    rows.for_queries = draw({2, count, 3}, 4, dtype), rows.for_keys = draw({count, 3}, 5, dtype);
    rows.for_values = draw({2, count, 5}, 6, dtype), rows.offset = draw({2, 1, 3}, 7, dtype);
  }
  /// The result, and the gradients of everything.
  Tensors all(const Tensor& y) const {
    Generator g(8);
    Tensors results = grad({sum(y * randn(y.shape(), y.dtype(), g))},
                           {q, k, v, rows.for_queries, rows.for_keys, rows.for_values, rows.offset});
    results.push_back(y.detach());
    return results;
  }
  Tensors in_tiles(const AttentionOptions& options) const { return all(relative_attention(q, k, v, rows, options)); }
  /// As the definition reads, with a vector for each pair.
  Tensors by_pairs(const AttentionOptions& o) const {
    const int64_t queries = q.size(2), keys = k.size(2);
    const Tensor distance = unsqueeze(arange(queries), 1) - arange(keys);
    const Tensor bucket = index_select(rows.buckets, 0, flatten(distance + (keys - 1)));
    const auto of_pairs = [&](const Tensor& table) {
      return unflatten(index_select(table, -2, bucket), -2, {queries, keys});
    };
    const Tensor vectors = unsqueeze(k, 2) + of_pairs(rows.for_queries);
    Tensor s = sum(unsqueeze(q, 3) * vectors, -1) + sum(unsqueeze(rows.offset, 2) * of_pairs(rows.for_queries), -1) +
               sum(unsqueeze(k, 2) * of_pairs(rows.for_keys), -1);
    s = s / std::sqrt(3.0);
    if (o.mask.defined()) s = o.mask.dtype() == boolean ? where(o.mask, s, kNo) : s + o.mask;
    if (o.causal) s = where(distance >= queries - keys, s, kNo);
    return all(sum(unsqueeze(softmax(s, -1), -1) * (unsqueeze(v, 2) + of_pairs(rows.for_values)), -2));
  }

  Tensor q, k, v;
  DistanceRows rows;
};

void compare(const Tensors& got, const Tensors& expected) {
  for (size_t i = 0; i < expected.size(); ++i) {
    INFO("q, k, v, tables for queries, keys and values, offset, result: " << i);
    CHECK(close(got[i], expected[i], 1e-11 * (1 + max(abs(expected[i])).item())));
  }
}

}  // namespace

TEST_CASE("relative_attention in tiles is its definition, gradients included", "[products]") {
  // tiles are 32 or 64 x 256, and keys meet their table by as many as a tile has rows
  for (const int64_t reach : {0, 2, 70})
    for (const auto& [queries, keys] :
         {std::pair<int64_t, int64_t>{1, 1}, {1, 40}, {5, 3}, {33, 257}, {70, 31}, {200, 90}}) {
      INFO(queries << " queries, " << keys << " keys, reach " << reach);
      const Problem p(queries, keys, reach);
      compare(p.in_tiles({}), p.by_pairs({}));
      if (queries <= keys) compare(p.in_tiles({.causal = true}), p.by_pairs({.causal = true}));
    }
}

TEST_CASE("relative_attention takes any buckets, masks and a bias") {
  Problem p(40, 50, 0);
  Generator g(9);
  p.rows.buckets = randint(0, 7, {89}, int64, g);
  p.set_tables(7);
  Tensor seen = rand({2, 1, 40, 50}, float64, g) < 0.5;
  seen.select(3, 0).fill_(true);  // no row may be empty here
  const Tensor bias = randn({2, 89}, float64, g), as_mask = toeplitz(bias, 40, 50);
  const Tensor with_gradient = zeros({40, 50}, float64).requires_grad_();  // takes the way over the whole matrix
  for (const bool causal : {false, true}) {
    compare(p.in_tiles({.mask = with_gradient, .causal = causal}), p.by_pairs({.causal = causal}));
    compare(p.in_tiles({.mask = seen, .causal = causal}), p.by_pairs({.mask = seen, .causal = causal}));
    compare(p.in_tiles({.causal = causal, .distance_bias = bias}), p.by_pairs({.mask = as_mask, .causal = causal}));
    compare(p.in_tiles({.mask = as_mask, .causal = causal}), p.by_pairs({.mask = as_mask, .causal = causal}));
    compare(p.in_tiles({.mask = where(seen, as_mask, kNo), .causal = causal}),
            p.by_pairs({.mask = where(seen, as_mask, kNo), .causal = causal}));
    compare(p.in_tiles({.mask = where(seen, zeros({40, 50}, float64), kNo), .causal = causal, .distance_bias = bias}),
            p.by_pairs({.mask = where(seen, as_mask, kNo), .causal = causal}));
  }
}

TEST_CASE("relative_attention of no queries or no keys") {
  for (const auto& [queries, keys] : {std::pair<int64_t, int64_t>{0, 0}, {0, 1}, {0, 5}, {3, 0}})
    for (const bool causal : {false, true}) {
      Problem p(queries, keys, 2);
      const Tensors got = p.in_tiles({.causal = causal});
      CHECK(equal(got.back(), zeros({2, 2, queries, 5}, float64)));
      for (size_t i = 3; i < 7; ++i) CHECK(max(abs(got[i])).item() == 0);
    }
}

TEST_CASE("relative_attention: what may not be seen does not matter, not even as NaN") {
  const int64_t length = GENERATE(20, 80);
  const Problem p(length, length, 2);
  Tensor seen = ones({length, length}, boolean);
  seen.select(1, 7).fill_(false);
  seen.select(0, 4).fill_(false);  // a query that sees nothing
  for (const Tensor& mask : {seen, arange(length) != 7}) {
    const Tensors expected = p.in_tiles({.mask = mask, .causal = true});
    Problem with_nan = p;
    for (Tensor* x : {&with_nan.k, &with_nan.v}) {
      *x = x->detach().clone();
      x->select(2, 7).fill_(kNaN);
      x->requires_grad_();
    }
    const Tensors got = with_nan.in_tiles({.mask = mask, .causal = true});
    compare(got, expected);
    if (mask.rank() == 2) CHECK(equal(got.back().select(2, 4), zeros({2, 2, 5}, float64)));
  }
}

TEST_CASE("NaN that a query sees reaches its result and the gradients") {
  Problem p(10, 10, 2);
  p.q = p.q.detach().clone();
  p.q.select(2, 3).fill_(kNaN);
  p.q.requires_grad_();
  const Tensors got = p.in_tiles({.causal = true});
  CHECK(all(isnan(got.back().select(2, 3))).item<bool>());
  CHECK(all(isfinite(got.back().narrow(2, 4, 6))).item<bool>());
  for (const size_t i : {1, 2, 3, 4, 5}) CHECK(any(isnan(got[i])).item<bool>());
}

TEST_CASE("the memory of relative_attention grows with the length, not with its square") {
  for (const int64_t reach : {0, 4}) {
    const auto peak = [&](int64_t length) {
      const Problem p(length, length, reach, float32);
      const int64_t before = memory_stats().current_bytes;
      reset_peak_memory();
      (void)p.in_tiles({.causal = true});
      return static_cast<double>(memory_stats().peak_bytes - before);
    };
    peak(400);
    CHECK(peak(1600) < 4.4 * peak(400));
  }
}
