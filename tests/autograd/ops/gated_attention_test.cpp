// Squared rectified attention and mixed chunks: what holds between them and linear attention.
#include <cotangent/autograd/ops/gated_attention.hpp>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/linear_attention.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

#include "../sequences.hpp"

using namespace cotangent;

namespace {

struct Inputs {
  Tensor q, k, ql, kl, v;
  Inputs narrow(int64_t first, int64_t count) const {
    const auto cut = [&](const Tensor& x) { return x.narrow(2, first, count); };
    return {cut(q), cut(k), cut(ql), cut(kl), cut(v)};
  }
};
Inputs make(int64_t length) {
  Generator g(1);
  const auto one = [&](int64_t d) { return randn({2, 1, length, d}, float64, g); };
  return {one(4), one(4), one(4), one(4), one(3)};
}
Tensor mix(const Inputs& x, const MixedChunkOptions& o, MixedChunkState* state = nullptr) {
  return mixed_chunk_attention(x.q, x.k, x.ql, x.kl, x.v, o, state);
}

}  // namespace

TEST_CASE("squared relu attention has degree two in its scores, and none by rows") {
  const Inputs x = make(9);
  for (ReluNorm norm : {ReluNorm::length, ReluNorm::squared_length}) {
    const Tensor y = squared_relu_attention(x.q, x.k, x.v, {.norm = norm});
    CHECK(largest_difference(squared_relu_attention(x.q * 3, x.k, x.v, {.norm = norm}), y * 9) < 1e-10);
  }
  const SquaredReluOptions by_row{.norm = ReluNorm::row, .eps = 1e-30};
  CHECK(largest_difference(squared_relu_attention(x.q * 3, x.k, x.v, by_row),
                           squared_relu_attention(x.q, x.k, x.v, by_row)) < 1e-12);
}

TEST_CASE("squared relu attention: both normalisations are 1/(n d) and 1/n^2 of the same sums") {
  const Inputs x = make(9);
  const Tensor a = squared_relu_attention(x.q, x.k, x.v) * (9 * 4),
               b = squared_relu_attention(x.q, x.k, x.v, {.norm = ReluNorm::squared_length}) * 81;
  CHECK(largest_difference(a, b) < 1e-10);
  CHECK(largest_difference(a, squared_relu_attention(x.q, x.k, x.v, {.length = 18}) * (18 * 4)) < 1e-10);
}

TEST_CASE("squared relu attention: a row of negative scores gives 0 and no gradient") {
  Tensor q = full({1, 1, 2, 2}, -1, float64).requires_grad_();
  const Tensor k = ones({1, 1, 3, 2}, float64);
  for (ReluNorm norm : {ReluNorm::length, ReluNorm::row}) {
    const Tensor y = squared_relu_attention(q, k, k, {.norm = norm});
    CHECK(max(abs(y)).item() == 0);
    CHECK(max(abs(grad({sum(y)}, {q})[0])).item() == 0);
  }
}

TEST_CASE("squared relu attention does not look ahead, and padded keys change nothing") {
  const Inputs x = make(8);
  for (ReluNorm norm : {ReluNorm::length, ReluNorm::squared_length, ReluNorm::row}) {
    check_causal(x.k, 2, [&](const Tensor& k) {
      return squared_relu_attention(x.q + k, k, x.v + sum(k, -1, true), {.norm = norm, .causal = true});
    });
    const Tensor kept = expand(arange(8) < 5, {2, 8});
    const Inputs few = x.narrow(0, 5);
    CHECK(largest_difference(squared_relu_attention(x.q, x.k, x.v, {.norm = norm, .key_mask = kept}),
                             squared_relu_attention(x.q, few.k, few.v, {.norm = norm})) < 1e-12);
  }
}

TEST_CASE("mixed chunks: one chunk without the linear part is squared relu attention") {
  const Inputs x = make(10);
  const Tensor bias = randn({31}, float64);
  for (bool causal : {true, false}) {
    const Tensor expected = squared_relu_attention(
        x.q, x.k, x.v, {.length = 16, .causal = causal, .bias = toeplitz(bias.narrow(0, 6, 19), 10, 10)});
    CHECK(largest_difference(mix(x, {.causal = causal, .chunk = 16, .global = false, .distance_bias = bias}),
                             expected) < 1e-12);
    CHECK(largest_difference(mix(x, {.causal = causal, .chunk = 10, .global = false}),
                             squared_relu_attention(x.q, x.k, x.v, {.causal = causal})) < 1e-12);
  }
}

TEST_CASE("mixed chunks: the linear part alone is linear attention divided by the length") {
  const Inputs x = make(10);
  const Tensor expected = linear_attention(x.ql, x.kl, x.v, {.normalize = false}) / 10.0;
  CHECK(largest_difference(mix(x, {.chunk = 4, .local = false}), expected) < 1e-12);
  // in chunks of one, it is what came before each position
  const Tensor with_own = linear_attention(x.ql, x.kl, x.v, {.causal = true, .normalize = false});
  const Tensor own = sum(x.ql * x.kl, -1, true) * x.v;
  CHECK(largest_difference(mix(x, {.causal = true, .chunk = 1, .local = false}), with_own - own) < 1e-12);
}

TEST_CASE("mixed chunks: nothing looks ahead, at the boundaries of chunks neither") {
  const Inputs x = make(11);
  for (ChunkNorm norm : {ChunkNorm::chunk, ChunkNorm::preceding})
    check_causal(x.k, 2, [&](const Tensor& k) {
      return mix({x.q + k, k, x.ql - k, x.kl + k, x.v + sum(k, -1, true)}, {.causal = true, .chunk = 4, .norm = norm});
    });
}

TEST_CASE("mixed chunks: the causal sum is divided by the chunk, or by the number of positions before it") {
  const Inputs x = make(12);
  const Tensor a = mix(x, {.causal = true, .chunk = 4, .norm = ChunkNorm::chunk, .local = false});
  const Tensor b = mix(x, {.causal = true, .chunk = 4, .norm = ChunkNorm::preceding, .local = false});
  CHECK(max(abs(a.narrow(2, 0, 4))).item() == 0);
  CHECK(max(abs(b.narrow(2, 0, 4))).item() == 0);
  CHECK(largest_difference(a.narrow(2, 4, 4), b.narrow(2, 4, 4)) < 1e-12);
  CHECK(largest_difference(a.narrow(2, 8, 4), b.narrow(2, 8, 4) * 2) < 1e-12);
}

TEST_CASE("mixed chunks: a last chunk that is not full is as padding makes it") {
  const Inputs x = make(12), few = x.narrow(0, 10);
  const Tensor kept = expand(arange(12) < 10, {2, 12});
  for (bool causal : {true, false})
    CHECK(largest_difference(mix(few, {.causal = causal, .chunk = 4}),
                             mix(x, {.causal = causal, .chunk = 4, .key_mask = kept}).narrow(2, 0, 10)) < 1e-12);
}

TEST_CASE("mixed chunks: a sequence in parts gives what the whole does") {
  const Inputs x = make(13);
  for (ChunkNorm norm : {ChunkNorm::chunk, ChunkNorm::preceding})
    for (int64_t chunk : {1, 4, 7, 16}) {
      const MixedChunkOptions o{
          .causal = true, .chunk = chunk, .norm = norm, .distance_bias = randn({2 * chunk - 1}, float64)};
      MixedChunkState state, single;
      CHECK(largest_difference(
                in_parts({7, 1, 5}, 2, [&](int64_t a, int64_t n) { return mix(x.narrow(a, n), o, &state); }),
                mix(x, o)) < 1e-12);
      for (int64_t t = 0; t < 13; ++t)
        CHECK(largest_difference(mix(x.narrow(t, 1), o, &single), mix(x, o).narrow(2, t, 1)) < 1e-12);
      CHECK(state.v.size(2) == 13 % chunk);
    }
}
