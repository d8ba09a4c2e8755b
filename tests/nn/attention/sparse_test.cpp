#include <cotangent/nn/attention/sparse.hpp>

#include "../check_layer.hpp"
#include "checks.hpp"

using namespace cotangent;
using enum cotangent::SparsePattern;
using nn::DiagWeights;

namespace {

template <class Layer>
void check_masked(Layer given, const Tensor& mask, bool causal) {
  Layer layer = prepared(given);
  nn::MultiHeadAttention dense = same_projections(layer, causal);
  const Tensor x = sequence(13, layer.width()).requires_grad_();
  const Tensor y = layer(x), expected = dense(x, {.mask = mask});
  CHECK(largest_difference(y, expected) < 1e-12);
  CHECK(largest_difference(grad({sum(square(y))}, {x})[0], grad({sum(square(expected))}, {x})[0]) < 1e-11);
  const Tensor w = grad({sum(square(layer(x)))}, {layer.in_proj_weight})[0];
  CHECK(largest_difference(w, grad({sum(square(dense(x, {.mask = mask})))}, {dense.in_proj_weight})[0]) < 1e-10);
}

}  // namespace

TEST_CASE("SparseAttention and DiagAttention: forms, streams and causality") {
  for (SparsePattern pattern : {local, blocks, atrous, combined, fixed})
    check_causal_layer(
        nn::SparseAttention(8, 2, {.pattern = pattern, .window = 3, .stride = 4, .summary = 1, .causal = true}));
  check_causal_layer(
      nn::SparseAttention(8, 4, {.pattern = blocks, .odd_heads = summary, .stride = 4, .summary = 2, .causal = true}));
  for (DiagWeights weights : {DiagWeights::softmax, DiagWeights::relu})
    check_causal_layer(nn::DiagAttention(8, 2, {.block = 5, .weights = weights, .causal = true}));
}

TEST_CASE("SparseAttention is multi-head attention under the mask, with its gradients") {
  for (bool causal : {false, true})
    for (SparsePattern pattern : {local, blocks, atrous, combined, summary, fixed}) {
      const SparseOptions o{.pattern = pattern, .window = 2, .stride = 3, .summary = 2, .causal = causal};
      check_masked(
          nn::SparseAttention(8, 2, {.pattern = pattern, .window = 2, .stride = 3, .summary = 2, .causal = causal}),
          sparse_mask(13, 13, o), causal);
    }
}

TEST_CASE("even and odd heads may have different patterns") {
  const SparseOptions even{.pattern = local, .window = 2, .stride = 3, .causal = true},
      odd{.pattern = atrous, .window = 2, .stride = 3, .causal = true};
  const Tensor a = sparse_mask(13, 13, even), b = sparse_mask(13, 13, odd);
  check_masked(nn::SparseAttention(8, 4, {.odd_heads = atrous, .window = 2, .stride = 3, .causal = true}),
               unsqueeze(stack({a, b, a, b}), 0), true);
}

TEST_CASE("DiagAttention is multi-head attention in blocks, and all of it for wide ones") {
  for (bool causal : {false, true}) {
    const SparseOptions o{.pattern = blocks, .stride = 4, .causal = causal};
    check_masked(nn::DiagAttention(8, 2, {.block = 4, .causal = causal}), sparse_mask(13, 13, o), causal);
    for (int64_t wide : {13, 64})
      check_masked(nn::DiagAttention(8, 2, {.block = wide, .causal = causal}), Tensor(), causal);
  }
}

TEST_CASE("the caches of windows and blocks do not grow") {
  nn::SparseAttention window(8, 2, {.window = 3, .causal = true});
  nn::DiagAttention diag(8, 2, {.block = 4, .causal = true});
  nn::StreamState a = window.start(2), b = diag.start(2);
  const Tensor x = randn({2, 1, 8});
  for (int t = 1; t <= 11; ++t) {
    window.step(x, a);
    diag.step(x, b);
    CHECK(a.own.as<nn::SparseStates>().heads[0].k.size(2) == std::min(t, 3));
    CHECK(b.own.as<SparseState>().k.size(2) == t % 4);
  }
}

TEST_CASE("Longformer: forms, streams and causality, with global tokens and dilations") {
  check_causal_layer(nn::Longformer(8, 2, {.window = 3, .causal = true}));
  check_causal_layer(nn::Longformer(8, 2, {.window = 3, .globals = {0, 8}, .causal = true}));
  check_causal_layer(nn::Longformer(
      8, 4, {.window = 2, .dilations = {1, 3}, .globals = {3, 4, 40}, .causal = true, .positions = nn::Rotary()}));
}

TEST_CASE("Longformer without global tokens is a window, and a wide one multi-head attention") {
  for (bool causal : {false, true}) {
    const SparseOptions two{.window = causal ? 3 : 2, .dilation = 2, .causal = causal};
    check_masked(nn::Longformer(8, 2, {.window = 4, .dilations = {2}, .causal = causal}), sparse_mask(13, 13, two),
                 causal);
    check_masked(nn::Longformer(8, 2, {.window = 26, .causal = causal}), Tensor(), causal);
  }
  const Tensor near = sparse_mask(13, 13, {.window = 1}), far = sparse_mask(13, 13, {.window = 1, .dilation = 3});
  check_masked(nn::Longformer(8, 4, {.window = 2, .dilations = {1, 3}}), unsqueeze(stack({near, far, near, far}), 0),
               false);
}

TEST_CASE("Longformer with equal projections and global tokens is multi-head attention under the mask of both") {
  for (bool causal : {false, true}) {
    nn::Longformer layer = prepared(nn::Longformer(8, 2, {.window = 2, .globals = {1, 6}, .causal = causal}));
    layer.global_proj_weight.detach().copy_(layer.in_proj_weight);
    layer.global_proj_bias.detach().copy_(layer.in_proj_bias);
    Tensor mask = sparse_mask(13, 13, {.window = 1, .globals = {1, 6}, .causal = causal}).clone();
    for (int64_t g : {1, 6}) narrow(mask, 0, g, 1).fill_(true);
    CHECK(largest_difference(layer(sequence(13, 8)), same_projections(layer, causal)(sequence(13, 8), {.mask = mask})) <
          1e-12);
  }
}

TEST_CASE("gradients of Longformer") {
  for (bool causal : {false, true})
    check_layer(nn::Longformer(4, 2, {.window = 2, .dilations = {1, 2}, .globals = {0, 3}, .causal = causal}),
                {1, 5, 4});
}

TEST_CASE("the cache of Longformer does not grow") {
  nn::Longformer layer(8, 2, {.window = 4, .globals = {0, 5}, .causal = true});
  nn::StreamState state = layer.start(2);
  for (int t = 1; t <= 20; ++t) {
    layer.step(randn({2, 1, 8}), state);
    const auto& kept = state.own.as<nn::LongformerState>();
    CHECK(kept.heads[0].k.size(2) == std::min(t, 3));
    CHECK(kept.heads[0].global_k.size(2) == (t > 5 ? 2 : 1));
    CHECK((kept.global.keys.defined() ? kept.global.keys.size(2) : 0) == (t > 5 ? 0 : t));
  }
}

TEST_CASE("SinkAttention: forms, streams and causality; before its cache is full it is multi-head attention") {
  check_causal_layer(nn::SinkAttention(8, 2, {.sinks = 2, .window = 3}));
  check_causal_layer(nn::SinkAttention(8, 2, {.sinks = 3, .window = 1, .positions = {}}));
  check_causal_layer(nn::SinkAttention(8, 2, {.sinks = 0, .window = 4}));
  nn::SinkAttention layer = prepared(nn::SinkAttention(8, 2, {.sinks = 2, .window = 11}));
  nn::MultiHeadAttention dense(8, 2, {.causal = true, .positions = nn::Rotary(), .dtype = float64});
  dense.load_state_dict(layer.state_dict());
  CHECK(largest_difference(layer(sequence(13, 8)), dense(sequence(13, 8))) < 1e-12);
  check_layer(nn::SinkAttention(4, 2, {.sinks = 1, .window = 2}), {1, 5, 4});
}

TEST_CASE("the cache of SinkAttention does not grow, and far from the start it gives what it gave before") {
  nn::SinkAttention layer = prepared(nn::SinkAttention(8, 2, {.sinks = 2, .window = 4}));
  nn::StreamState state = layer.start(2);
  const Tensor x = sequence(6, 8);
  Tensor near;
  for (int64_t t = 0; t < 40; ++t) {  // the sinks, and then the last four tokens again and again
    const Tensor y = layer.step(narrow(x, 1, t < 2 ? t : 2 + (t - 2) % 4, 1), state);
    const auto& kept = state.own.as<SparseState>();
    CHECK(kept.k.size(2) + kept.global_k.size(2) <= 2 + 3);
    if (t == 9) near = y;
    if (t > 9 && t % 4 == 1) CHECK(largest_difference(y, near) < 1e-10);
  }
}

TEST_CASE("sparse attention layers refuse what they have no way to do") {
  const Tensor x = randn({1, 4, 8});
  CHECK_THROWS_WITH(nn::SparseAttention(8, 2, {.window = -1}), Catch::Contains("a window of -1"));
  CHECK_THROWS_WITH(nn::SparseAttention(8, 2, {.pattern = atrous, .stride = 0}), Catch::Contains("a stride of 0"));
  CHECK_THROWS_WITH(nn::SparseAttention(8, 1, {.odd_heads = atrous}), Catch::Contains("must be even"));
  CHECK_THROWS_WITH(nn::SparseAttention(8, 3), Catch::Contains("[SparseAttention] 3 heads"));
  CHECK_THROWS_WITH(nn::DiagAttention(8, 2, {.block = 0}), Catch::Contains("blocks of 0"));
  CHECK_THROWS_WITH(nn::Longformer(8, 2, {.window = 0}), Catch::Contains("a window of 0 tokens"));
  CHECK_THROWS_WITH(nn::Longformer(8, 2, {.dilations = {}}), Catch::Contains("0 dilations for 2 heads"));
  CHECK_THROWS_WITH(nn::Longformer(8, 2, {.dilations = {0}}), Catch::Contains("a dilation of 0"));
  CHECK_THROWS_WITH(nn::Longformer(8, 2, {.globals = {3, 1}}), Catch::Contains("a global position 1"));
  CHECK_THROWS_WITH(nn::Longformer(8, 2)(x, {.memory = x}), Catch::Contains("takes no memory"));
  CHECK_THROWS_WITH(nn::Longformer(8, 2)(x, {.mask = ones({4, 4}, boolean)}), Catch::Contains("takes no mask"));
  CHECK(nn::Longformer(8, 2, {.globals = {0}})(zeros({2, 0, 8})).shape() == Shape{2, 0, 8});
  CHECK(nn::Longformer(8, 2, {.window = 5, .causal = true}).settings() == "8, 2, causal = true, window = 5");
  CHECK_THROWS_WITH(nn::SinkAttention(8, 2, {.window = 0}), Catch::Contains("a window of 0 tokens and 4 sinks"));
  CHECK_THROWS_WITH(nn::SinkAttention(8, 2, {.sinks = -1}), Catch::Contains("-1 sinks"));
  CHECK(nn::SinkAttention(8, 2)(zeros({2, 0, 8})).shape() == Shape{2, 0, 8});
  CHECK(nn::SinkAttention(8, 2).settings() == "8, 2, causal = true, sinks = 4, window = 1024");
  nn::SparseAttention layer(8, 2);
  CHECK_THROWS_WITH(layer(x, {.memory = randn({1, 5, 8})}), Catch::Contains("a memory of 5 keys"));
  CHECK_THROWS_WITH(layer(x, {.mask = ones({4, 4}, boolean)}), Catch::Contains("takes no mask"));
  CHECK_THROWS_WITH(layer(x, {.form = nn::SequenceForm::recurrent}), Catch::Contains("no recurrent form"));
}

TEST_CASE("rows of 0 behind relu have a gradient in every dtype") {
  for (Dtype dtype : {float64, float32, float16, bfloat16}) {
    nn::DiagAttention layer(4, 2, {.block = 2, .weights = nn::DiagWeights::relu, .causal = true, .dtype = dtype});
    const Tensor x = zeros({1, 3, 4}, dtype).requires_grad_();
    const Tensor y = layer(x);
    y.backward(ones_like(y));
    CHECK(isfinite(y).all().item<bool>());
    CHECK(isfinite(x.grad()).all().item<bool>());
    for (const Tensor& p : layer.parameters()) CHECK(isfinite(p.grad()).all().item<bool>());
  }
}
