// Patterns against their definitions, compact computation against masks, caches that roll.
#include <cotangent/autograd/ops/sparse_attention.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

#include "../sequences.hpp"

using namespace cotangent;
using enum cotangent::SparsePattern;

namespace {

const SparsePattern kPatterns[] = {local, blocks, atrous, combined, summary, fixed};

bool sees(const SparseOptions& o, int64_t i, int64_t j) {
  const bool near = std::abs(i - j) <= o.window, same = i / o.stride == j / o.stride,
             far = std::abs(i - j) % o.stride == 0, last = j % o.stride >= o.stride - o.summary;
  if (o.causal && j > i) return false;
  switch (o.pattern) {
    case local: return near;
    case blocks: return same;
    case atrous: return far;
    case combined: return near || far;
    case summary: return last;
    case fixed: break;
  }
  return same || last;
}

struct Sequences {
  Tensor q, k, v;
  Sequences narrow(int64_t first, int64_t count) const {
    return {q.narrow(2, first, count), k.narrow(2, first, count), v.narrow(2, first, count)};
  }
};
Sequences make_sequences(int64_t length) {
  Generator g(5);
  return {randn({2, 2, length, 4}, float64, g), randn({2, 2, length, 4}, float64, g),
          randn({2, 2, length, 3}, float64, g)};
}
Tensor attend(const Sequences& x, const SparseOptions& o, SparseState* state = nullptr) {
  return sparse_attention(x.q, x.k, x.v, o, state);
}

}  // namespace

TEST_CASE("sparse patterns are what their definitions say") {
  for (SparsePattern pattern : kPatterns)
    for (bool causal : {false, true}) {
      const SparseOptions o{.pattern = pattern, .window = 2, .stride = 4, .summary = 2, .causal = causal};
      const Tensor mask = sparse_mask(11, 11, o);
      for (int64_t i = 0; i < 11; ++i)
        for (int64_t j = 0; j < 11; ++j) {
          INFO("pattern " << static_cast<int>(pattern) << ", query " << i << ", key " << j);
          CHECK(mask[i][j].item<bool>() == sees(o, i, j));
        }
      CHECK(equal(sparse_mask(3, 5, o, 6, 4), mask.narrow(0, 6, 3).narrow(1, 4, 5)));
    }
}

TEST_CASE("sparse attention equals dense attention under the mask, with its gradients, at every length") {
  for (int64_t length : {1, 2, 9, 16, 35})
    for (SparsePattern pattern : kPatterns)
      for (bool causal : {false, true}) {
        const SparseOptions o{.pattern = pattern, .window = 3, .stride = 4, .summary = 1, .causal = causal};
        INFO("pattern " << static_cast<int>(pattern) << ", length " << length << ", causal " << causal);
        const Sequences x = make_sequences(length);
        for (Tensor t : {x.q, x.k, x.v}) t.requires_grad_();
        const Tensor y = attend(x, o);
        const Tensor dense = scaled_dot_product_attention(x.q, x.k, x.v, {.mask = sparse_mask(length, length, o)});
        CHECK(largest_difference(y, dense) < 1e-12);
        const Tensors got = grad({sum(square(y))}, {x.q, x.k, x.v}),
                      expected = grad({sum(square(dense))}, {x.q, x.k, x.v});
        for (size_t i = 0; i < 3; ++i) CHECK(largest_difference(got[i], expected[i]) < 1e-11);
      }
}

TEST_CASE("wide windows and blocks are full attention") {
  const Sequences x = make_sequences(10);
  for (bool causal : {false, true}) {
    const Tensor full = scaled_dot_product_attention(x.q, x.k, x.v, {.causal = causal});
    CHECK(largest_difference(attend(x, {.window = 20, .causal = causal}), full) < 1e-12);
    CHECK(largest_difference(attend(x, {.pattern = blocks, .stride = 10, .causal = causal}), full) < 1e-12);
    CHECK(largest_difference(attend(x, {.pattern = blocks, .stride = 64, .causal = causal}), full) < 1e-12);
    CHECK(largest_difference(attend(x, {.pattern = atrous, .stride = 1, .causal = causal}), full) < 1e-12);
  }
}

TEST_CASE("sparse attention does not look ahead, and padded keys change nothing") {
  const Sequences x = make_sequences(13);
  const Tensor kept = expand(arange(13) < 9, {2, 13});
  for (SparsePattern pattern : {local, blocks, atrous, combined, fixed}) {
    const SparseOptions o{.pattern = pattern, .window = 2, .stride = 4, .summary = 1, .causal = true};
    check_causal(x.k, 2, [&](const Tensor& k) { return attend({x.q + k, k, x.v + sum(k, -1, true)}, o); });
    SparseOptions padded = o;
    padded.causal = false, padded.key_mask = kept;
    const Tensor a = attend(x, padded);
    const Sequences other{x.q, where(reshape(kept, {2, 1, 13, 1}), x.k, 7.0),
                          where(reshape(kept, {2, 1, 13, 1}), x.v, 7.0)};
    CHECK(largest_difference(a, attend(other, padded)) < 1e-12);
  }
}

TEST_CASE("factorised heads reach every earlier position in two hops") {
  const int64_t n = 16, l = 4;
  const auto reach = [&](const SparseOptions& first, const SparseOptions& second) {
    const Tensor paths = matmul(to(sparse_mask(n, n, first), int64), to(sparse_mask(n, n, second), int64));
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) {
        INFO("from " << i << " to " << j);
        CHECK((paths[i][j].item() > 0) == (j <= i));
      }
  };
  reach({.pattern = local, .window = l - 1, .causal = true}, {.pattern = atrous, .stride = l, .causal = true});
  // fixed: to the end of an earlier block, and from there to any of its positions
  const Tensor own = to(sparse_mask(n, n, {.pattern = blocks, .stride = l, .causal = true}), int64);
  const Tensor last = to(sparse_mask(n, n, {.pattern = summary, .stride = l, .summary = 1, .causal = true}), int64);
  const Tensor paths = matmul(own + last, own);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) CHECK((paths[i][j].item() > 0) == (j <= i));
}

TEST_CASE("the scores of factorised heads grow as T sqrt(T)") {
  for (SparsePattern pattern : {combined, fixed}) {
    const auto count = [&](int64_t l) {
      return static_cast<double>(
          sparse_scores(l * l, {.pattern = pattern, .window = l - 1, .stride = l, .summary = 1, .causal = true}));
    };
    // T grows by 16, T sqrt(T) by 64
    CHECK(count(128) / count(32) == Approx(64).epsilon(0.05));
    CHECK(count(128) < 4.0 * 128 * 128 * 128);
  }
  CHECK(sparse_scores(0, {.window = 64, .dilation = 2}) == 0);
  CHECK(sparse_scores(1024, {.window = 64}) == 1024 * 3 * 64);
  CHECK(sparse_scores(1024, {.window = 64, .causal = true}) == 1024 * 2 * 64);
  CHECK(sparse_scores(1024, {.pattern = blocks, .stride = 32}) == 1024 * 32);
  CHECK(sparse_scores(1024, {.pattern = atrous, .stride = 32}) == 1024 * 32);
}

TEST_CASE("combined counts a key once: equal scores weigh alike") {
  const Tensor q = zeros({1, 1, 9, 1}, float64), v = reshape(arange(0.0, 9.0, 1.0, float64), {1, 1, 9, 1});
  // 4 sees 3, 4, 5 nearby, and 0, 4, 8 at the distance of 4
  const Tensor y = sparse_attention(q, q, v, {.pattern = combined, .window = 1, .stride = 4});
  CHECK(y[0][0][4].item() == Approx((3 + 4 + 5 + 0 + 8) / 5.0));
}

TEST_CASE("sparse attention in parts gives what the whole does, and a window's cache rolls") {
  const Sequences x = make_sequences(13);
  for (SparsePattern pattern : kPatterns) {
    const SparseOptions o{.pattern = pattern, .window = 3, .stride = 4, .summary = 2, .causal = true};
    SparseState state, single;
    const Tensor whole = attend(x, o);
    CHECK(largest_difference(
              in_parts({7, 1, 5}, 2, [&](int64_t a, int64_t n) { return attend(x.narrow(a, n), o, &state); }), whole) <
          1e-12);
    for (int64_t t = 0; t < 13; ++t) {
      CHECK(largest_difference(attend(x.narrow(t, 1), o, &single), whole.narrow(2, t, 1)) < 1e-12);
      if (pattern == local) CHECK(single.k.size(2) == std::min<int64_t>(t + 1, 3));
      if (pattern == blocks) CHECK(single.k.size(2) == (t + 1) % 4);
    }
  }
  // with padding in the cache
  SparseState state;
  const Tensor kept = expand(arange(13) != 5, {2, 13});
  SparseOptions o{.window = 3, .causal = true, .key_mask = kept};
  const Tensor whole = attend(x, o);
  CHECK(largest_difference(in_parts({7, 1, 5}, 2,
                                    [&](int64_t a, int64_t n) {
                                      o.key_mask = kept.narrow(1, a, n);
                                      return attend(x.narrow(a, n), o, &state);
                                    }),
                           whole) < 1e-12);
}

TEST_CASE("a window or a stride beyond the sequence costs no more than one of its length") {
  const int64_t T = 16;
  Generator generator(1);
  const Tensor x = randn({1, 1, T, 4}, float64, generator);
  for (SparsePattern pattern : kPatterns)
    for (bool causal : {false, true}) {
      const SparseOptions all{.pattern = pattern, .window = T, .stride = T, .summary = T, .causal = causal};
      for (int64_t n : {int64_t{16384}, int64_t{1} << 40, INT64_MAX}) {
        CAPTURE(int(pattern), causal, n);
        SparseOptions far = all;
        far.window = n, far.stride = n;
        CHECK(sparse_scores(T, far) <= 4 * T * T);
        const Tensor y = sparse_attention(x, x, x, far),
                     z = scaled_dot_product_attention(x, x, x, {.mask = sparse_mask(T, T, far)});
        CHECK(allclose(y, z, 1e-12, 1e-12));
      }
    }
  CHECK_THROWS_WITH(sparse_mask(-1, 2, {}), Catch::StartsWith("[sparse_mask]"));
  CHECK_THROWS_WITH(sparse_mask(INT64_MAX, INT64_MAX, {}), Catch::StartsWith("[sparse_mask]"));
  CHECK_THROWS_WITH(sparse_mask(2, 2, {}, INT64_MAX), Catch::StartsWith("[sparse_mask]"));
  CHECK_THROWS_WITH(sparse_mask(2, 2, {.window = -1}), Catch::StartsWith("[sparse_mask]"));
  CHECK_THROWS_WITH(sparse_scores(INT64_MAX, {}), Catch::StartsWith("[sparse_scores]"));
}
