#include <cotangent/nn/attention/lsh.hpp>

#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/norm.hpp>
#include <cotangent/nn/reversible.hpp>
#include <cotangent/tensor/memory/allocator.hpp>

#include "../check_layer.hpp"
#include "checks.hpp"

using namespace cotangent;

namespace {

Tensor normal_values(const Shape& shape, uint64_t seed) {
  Generator g(seed);
  return randn(shape, float64, g);
}

/// Softmax attention with shared queries and keys, in which a token sees itself only where it sees nothing else.
Tensor shared_attention(const Tensor& qk, const Tensor& v, bool causal) {
  const int64_t T = qk.size(2), d = qk.size(3);
  const Tensor k = rms_norm(qk, {d}, {}, 1e-20) * (1 / std::sqrt(double(d)));
  const Tensor i = arange(T), own = unsqueeze(i, 1) == i;
  return scaled_dot_product_attention(qk, k, v, {.mask = where(own, full({}, -5e4, float64), 0.0), .causal = causal});
}

}  // namespace

TEST_CASE("lsh_attention with chunks of half the length is softmax attention, and causal") {
  const Tensor qk = normal_values({2, 2, 8, 4}, 1), v = normal_values({2, 2, 8, 3}, 2);
  for (int64_t rounds : {1, 3})
    for (int64_t chunk : {4, 5, 8, 100})
      for (bool causal : {false, true}) {
        const Tensor rotations = normal_values({rounds, 4, 3}, 3);
        const auto attend = [&](const Tensor& x) {
          return lsh_attention(x, v, rotations, {.chunk = chunk, .causal = causal});
        };
        CHECK(largest_difference(attend(qk), shared_attention(qk, v, causal)) < 1e-10);
        Tensor later = qk.clone();
        narrow(later, 2, 5, 3).mul_(-2);
        if (causal) CHECK(largest_difference(narrow(attend(later), 2, 0, 5), narrow(attend(qk), 2, 0, 5)) < 1e-12);
      }
}

TEST_CASE("more rounds find more of the nearest keys, and close vectors share more buckets") {
  const int64_t T = 256, d = 16;
  const Tensor x = normal_values({1, 1, T, d}, 4);
  // with v the unit matrix, the result is the matrix of weights
  const Tensor unit = reshape(eye(T, T, float64), {1, 1, T, T});
  const Tensor k = rms_norm(x, {d});
  const Tensor nearest = argmax(matmul(k, transpose(k, 2, 3)) - 1e3 * unit, -1, true);
  const auto recall = [&](int64_t rounds) {
    const Tensor w = lsh_attention(x, unit, normal_values({rounds, d, 8}, 5), {.chunk = 16});
    return mean(to(gather(w, 3, nearest) > 0, float64)).item();
  };
  const double one = recall(1), four = recall(4), sixteen = recall(16);
  CHECK(one > 2.0 * 16 / T);
  CHECK(four > one);
  CHECK(sixteen > four);
  const Tensor a = normal_values({512, d}, 6), noise = normal_values({512, d}, 7), r = normal_values({4, d, 4}, 8);
  const auto collisions = [&](double far) {
    return mean(to(lsh_buckets(a, r) == lsh_buckets(a + far * noise, r), float64)).item();
  };
  CHECK(collisions(0) == 1);
  CHECK(collisions(0.3) > collisions(1));
  CHECK(collisions(1) > collisions(10));
}

TEST_CASE("the memory of lsh_attention is linear in the length") {
  const auto peak = [](int64_t length) {
    Generator g(9);
    const Tensor qk = randn({1, 1, length, 16}, float32, g).requires_grad_(), r = randn({2, 16, 8}, float32, g);
    const int64_t before = memory_stats().current_bytes;
    reset_peak_memory();
    sum(lsh_attention(qk, qk, r, {.chunk = 32, .causal = true})).backward();
    return double(memory_stats().peak_bytes - before);
  };
  peak(1024);
  const double ratio = peak(4096) / peak(1024);
  CHECK(ratio > 3);
  CHECK(ratio < 4.5);
}

TEST_CASE("what padding holds does not matter to LshAttention, and no value looks ahead") {
  nn::LshAttention layer = prepared(nn::LshAttention(8, 2, {.rounds = 2, .buckets = 4, .chunk = 2, .causal = true}));
  const Tensor x = sequence(9, 8), seen = expand(arange(9) < 6, {2, 9});
  const Tensor dirty = where(unsqueeze(seen, 2), x, std::numeric_limits<double>::quiet_NaN());
  const auto kept = [&](const Tensor& tokens) { return narrow(layer(tokens, {.key_mask = seen}), 1, 0, 6); };
  CHECK(largest_difference(kept(dirty), kept(x)) < 1e-12);
  layer.chunk = 6;
  CHECK(largest_difference(kept(dirty), layer(narrow(x, 1, 0, 6))) < 1e-12);
  // values of later tokens reach nothing before, wherever they are sorted
  const Tensor v = normal_values({1, 1, 12, 2}, 3).requires_grad_(), q = normal_values({1, 1, 12, 4}, 4);
  const Tensor y = lsh_attention(q, v, normal_values({2, 4, 2}, 5), {.chunk = 2, .causal = true});
  for (int64_t i = 0; i < 12; ++i) {
    const Tensor g = grad({sum(select(y, 2, i))}, {v}, {.retain_graph = true})[0];
    CHECK(max(abs(narrow(g, 2, i + 1, 11 - i).sum(3))).item() == 0);
    if (i == 10) break;
  }
}

TEST_CASE("LshAttention draws its rotations anew in training, and is refused what it has no way to do") {
  nn::LshAttention layer(8, 2, {.rounds = 2, .buckets = 4, .chunk = 4, .redraw_every = 2});
  const Tensor x = randn({1, 5, 8}), first = layer.rotations;
  layer(x), layer(x);
  CHECK(equal(layer.rotations, first));
  layer(x);
  CHECK_FALSE(equal(layer.rotations, first));
  const Tensor second = layer.rotations;
  layer.eval();
  for (int i = 0; i < 5; ++i) layer(x);
  CHECK(equal(layer.rotations, second));
  CHECK_THROWS_WITH(nn::LshAttention(8, 3), Catch::Contains("[LshAttention] 3 heads"));
  CHECK_THROWS_WITH(nn::LshAttention(8, 2, {.rounds = 0}), Catch::Contains("a number of rounds of 0"));
  CHECK_THROWS_WITH(nn::LshAttention(8, 2, {.buckets = 5}), Catch::Contains("5 buckets"));
  CHECK_THROWS_WITH(nn::LshAttention(8, 2, {.chunk = 0}), Catch::Contains("a chunk of 0"));
  CHECK_THROWS_WITH(nn::LshAttention(8, 2, {.redraw_every = -1}), Catch::Contains("every -1 calls"));
  CHECK_THROWS_WITH(nn::LshAttention(8, 2, {.positions = nn::Alibi()}), Catch::Contains("add to scores"));
  CHECK_THROWS_WITH(layer(x, {.memory = x}), Catch::Contains("takes no memory"));
  CHECK_THROWS_WITH(layer(x, {.mask = ones({5, 5}, boolean)}), Catch::Contains("takes no mask"));
  CHECK_THROWS_WITH(nn::LshAttention(8, 2, {.causal = true}).start(1), Catch::Contains("step by step"));
  CHECK(layer(zeros({2, 0, 8})).shape() == Shape{2, 0, 8});
  CHECK(layer.settings() == "8, 2, rounds = 2, buckets = 4, chunk = 4");
}

TEST_CASE("gradients of LshAttention, and of a Reformer of reversible blocks") {
  for (bool causal : {false, true})
    check_layer(nn::LshAttention(4, 2, {.rounds = 2, .buckets = 2, .chunk = 2, .causal = causal}), {1, 5, 4}, 64);
  nn::ReversibleSequence reformer(nn::repeat(2, [] {
    return nn::ReversibleBlock(nn::LshAttention(4, 2, {.buckets = 4, .chunk = 2, .dtype = float64}),
                               nn::Linear(4, 4, {.dtype = float64}));
  }));
  manual_seed(3);
  const Tensor x = normal_values({2, 6, 4}, 2).requires_grad_();
  for (int step = 0; step < 2; ++step) {  // the second draws new rotations, and its backward pass finds them
    const auto y = reformer(x, x);
    const Tensor dx = grad({sum(square(y.x1)) + sum(y.x2)}, {x})[0];
    nn::ReversibleSequence same = reformer;
    same.eval();
    Tensor a = x, b = x;
    for (nn::ReversibleBlock& block : same.blocks) a = a + block.f(b), b = b + block.g(a);
    CHECK(largest_difference(dx, grad({sum(square(a)) + sum(b)}, {x})[0]) < 1e-12);
  }
}
