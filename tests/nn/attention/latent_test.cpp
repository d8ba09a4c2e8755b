#include <cotangent/nn/attention/latent.hpp>

#include "../check_layer.hpp"
#include "checks.hpp"

using namespace cotangent;

TEST_CASE("LatentAttention: forms, streams and causality; what is absorbed changes nothing") {
  check_causal_layer(nn::LatentAttention(8, 2, {.kv_rank = 5, .rope_width = 2, .causal = true}));
  check_causal_layer(nn::LatentAttention(
      8, 2, {.kv_rank = 3, .q_rank = 6, .head_width = 3, .rope_width = 4, .causal = true, .bias = true}));
}

TEST_CASE("the cache of LatentAttention holds the latents and the rotary keys alone") {
  const nn::LatentAttention layer =
      prepared(nn::LatentAttention(8, 4, {.kv_rank = 3, .rope_width = 2, .causal = true}));
  nn::StreamState state = layer.start(2);
  for (int64_t t = 1; t <= 5; ++t) layer.step(sequence(1, 8), state);
  const auto& cache = state.own.as<nn::KeyValueCache>();
  CHECK(cache.values.shape() == Shape{2, 1, 5, 3});
  CHECK(cache.keys.shape() == Shape{2, 1, 5, 2});
}

TEST_CASE("LatentAttention takes masks, and refuses what it has no way to do") {
  nn::LatentAttention layer = prepared(nn::LatentAttention(8, 2, {.kv_rank = 5, .rope_width = 2}));
  nn::LatentAttention causal(8, 2, {.kv_rank = 5, .rope_width = 2, .causal = true, .dtype = float64});
  causal.load_state_dict(layer.state_dict());
  const Tensor x = sequence(6, 8);
  CHECK(largest_difference(layer(x, {.mask = nn::causal_mask(6, 6)}), causal(x)) < 1e-12);
  CHECK_THROWS_WITH(layer(x, {.memory = x}), Catch::Contains("takes no memory"));
  CHECK_THROWS_WITH(layer.start(1), Catch::Contains("step by step"));
  CHECK_THROWS_WITH(nn::LatentAttention(8, 3), Catch::Contains("[LatentAttention] 3 heads for a width of 8"));
  CHECK_THROWS_WITH(nn::LatentAttention(8, 0, {.head_width = 2}), Catch::Contains("a number of heads of 0"));
  CHECK_THROWS_WITH(nn::LatentAttention(8, 2, {.kv_rank = 0}), Catch::Contains("a kv_rank of 0"));
  CHECK_THROWS_WITH(nn::LatentAttention(8, 2, {.q_rank = -1}), Catch::Contains("a q_rank of -1"));
  CHECK_THROWS_WITH(nn::LatentAttention(8, 2, {.rope_width = 3}), Catch::Contains("a rope_width of 3"));
  CHECK(layer(zeros({2, 0, 8}, float64)).shape() == Shape{2, 0, 8});
  CHECK(layer.settings() == "8, 2, kv_rank = 5");
}

TEST_CASE("gradients of LatentAttention") {
  check_layer(nn::LatentAttention(4, 2, {.kv_rank = 3, .rope_width = 2, .causal = true}), {1, 4, 4});
  check_layer(nn::LatentAttention(4, 2, {.kv_rank = 3, .q_rank = 3, .rope_width = 2}), {1, 4, 4});
}
