#include <cotangent/nn/attention/multihead.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

#include "checks.hpp"

using namespace cotangent;

namespace {
nn::MultiHeadAttention make(nn::MultiHeadAttentionOptions options, int64_t width = 8, int64_t heads = 4) {
  options.dtype = float64;
  nn::MultiHeadAttention attention(width, heads, options);
  for (const Tensor& p : attention.parameters()) normal_(p, 0, 0.5);
  return attention;
}
}  // namespace

TEST_CASE("MultiHeadAttention has PyTorch's parameters, and fewer with fewer key heads") {
  nn::MultiHeadAttention attention(8, 4);
  std::vector<std::string> names;
  for (const auto& entry : attention.state_dict()) names.push_back(entry.name);
  CHECK(names == std::vector<std::string>{"in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"});
  CHECK(attention.in_proj_weight.shape() == Shape{24, 8});
  CHECK(equal(attention.in_proj_bias, zeros({24})));
  CHECK(equal(attention.out_proj.bias, zeros({8})));
  CHECK(attention.settings() == "8, 4");
  nn::MultiHeadAttention grouped(8, 4, {.kv_heads = 1, .causal = true, .bias = false});
  CHECK(grouped.in_proj_weight.shape() == Shape{12, 8});
  CHECK_FALSE(grouped.in_proj_bias.defined());
  CHECK(grouped.state_dict().size() == 2);
  CHECK(grouped.settings() == "8, 4, kv_heads = 1, causal = true");
  CHECK_THROWS_WITH(nn::MultiHeadAttention(8, 3),
                    "[MultiHeadAttention] 3 heads for a width of 8; the heads must divide the width");
  CHECK_THROWS_WITH(nn::MultiHeadAttention(8, 4, {.kv_heads = 3}), Catch::Contains("the key heads must divide"));
  CHECK_THROWS_WITH(nn::MultiHeadAttention(8, 4, {.dropout = 1}), Catch::Contains("below 1"));
}

TEST_CASE("one head with projections that do nothing is the plain function") {
  nn::MultiHeadAttention attention(3, 1, {.dtype = float64});
  attention.in_proj_weight = cat({eye(3, 3, float64), eye(3, 3, float64), eye(3, 3, float64)});
  attention.out_proj.weight = eye(3, 3, float64);
  const Tensor x = randn({2, 4, 3}, float64);
  CHECK(close(attention(x), scaled_dot_product_attention(x, x, x)));
}

TEST_CASE("grouped-query attention is multi-head attention with repeated key heads") {
  nn::MultiHeadAttention grouped = make({.kv_heads = 2}), full = make({});
  auto repeated = [](const Tensor& p) {  // head h reads the key head h / 2
    const Tensor kv = expand(unsqueeze(unflatten(narrow(p, 0, 8, 8), 0, {4, 2}), 1), {4, 2, 2, -1});
    return cat({narrow(p, 0, 0, 8), flatten(kv, 0, 2)}, 0);
  };
  full.in_proj_weight = repeated(grouped.in_proj_weight.detach());
  full.in_proj_bias = repeated(unsqueeze(grouped.in_proj_bias.detach(), 1)).flatten();
  full.out_proj = grouped.out_proj.clone();
  const Tensor x = randn({2, 5, 8}, float64), dy = randn({2, 5, 8}, float64);
  CHECK(close(grouped(x), full(x)));
  grouped(x).backward(dy);
  full(x).backward(dy);
  const Tensor of_heads = unflatten(narrow(full.in_proj_weight.grad(), 0, 8, 16), 0, {4, 2, 2});
  CHECK(close(narrow(grouped.in_proj_weight.grad(), 0, 8, 8), flatten(sum(of_heads, 1), 0, 1)));
  // heads that are equal lose nothing by their mean
  nn::MultiHeadAttention pooled = full.grouped(2);
  CHECK(close(pooled(x), full(x)));
  CHECK(pooled.kv_heads == 2);
  CHECK(close(pooled.in_proj_weight, grouped.in_proj_weight));
  CHECK_FALSE(pooled.out_proj.weight.shares_storage(full.out_proj.weight));
  CHECK(make({.bias = false}).grouped(1)(x).shape() == x.shape());
  CHECK_THROWS_WITH(full.grouped(3), Catch::Contains("4 key heads can't become 3"));
}

TEST_CASE("causal attention looks at nothing that comes later") {
  for (int64_t kv_heads : {4, 1}) {
    nn::MultiHeadAttention attention = make({.kv_heads = kv_heads, .causal = true});
    const Tensor x = randn({1, 70, 8}, float64);
    Tensor changed = x.clone();
    changed.select(1, 66).add_(1);
    const Tensor y = attention(x), z = attention(changed);
    CHECK(equal(y.narrow(1, 0, 66), z.narrow(1, 0, 66)));
    CHECK_FALSE(close(y.narrow(1, 66, 1), z.narrow(1, 66, 1), 1e-6));
    Tensor leaf = x.clone().requires_grad_();
    sum(attention(leaf).select(1, 65)).backward();
    CHECK(equal(leaf.grad().narrow(1, 66, 4), zeros({1, 4, 8}, float64)));
  }
}

TEST_CASE("without positions, attention does not care for the order") {
  nn::MultiHeadAttention attention = make({});
  const Tensor x = randn({1, 5, 8}, float64), order = tensor({3, 1, 4, 0, 2});
  CHECK(close(attention(index_select(x, 1, order)), index_select(attention(x), 1, order)));
  attention.positions = nn::Rotary();
  CHECK_FALSE(close(attention(index_select(x, 1, order)), index_select(attention(x), 1, order), 1e-6));
}

TEST_CASE("packed sequences do not see each other") {
  nn::MultiHeadAttention attention = make({.causal = true, .positions = nn::Rotary()});
  const Tensor a = randn({1, 3, 8}, float64), b = randn({1, 4, 8}, float64);
  const Tensor y = attention(cat({a, b}, 1), {.mask = nn::segment_mask(tensor({{0, 0, 0, 1, 1, 1, 1}}))});
  CHECK(close(y, cat({attention(a), attention(b)}, 1)));
  CHECK_THROWS_AS(nn::segment_mask(tensor({0, 1})), ShapeError);
  nn::MultiHeadAttention plain = make({});
  CHECK(close(plain(b, {.mask = nn::causal_mask(4, 4)}).narrow(1, 0, 1), plain(b.narrow(1, 0, 1))));
  CHECK(equal(nn::causal_mask(2, 3), tensor({{1, 1, 0}, {1, 1, 1}}, boolean)));
}

TEST_CASE("the scales of the scores") {
  const Tensor x = randn({2, 6, 8}, float64) * 3.0;
  nn::MultiHeadAttention standard = make({.causal = true});
  auto with = [&](nn::ScoreScale scale, int64_t length, bool causal = true) {
    nn::MultiHeadAttention a(8, 4, {.causal = causal, .scale = scale, .scale_length = length, .dtype = float64});
    a.load_state_dict(standard.state_dict());
    return a;
  };
  // the same at n = n0: row 3 of a causal pass has 4 keys, and all rows of a full one 6
  CHECK(close(with(nn::ScoreScale::log_length, 4)(x).select(1, 3), standard(x).select(1, 3)));
  CHECK_FALSE(close(with(nn::ScoreScale::log_length, 4)(x).select(1, 5), standard(x).select(1, 5), 1e-6));
  CHECK(close(with(nn::ScoreScale::log_length, 6, false)(x), with(nn::ScoreScale::inverse_sqrt, 6, false)(x)));
  // without a factor, q and k scaled by dh^(-1/4) beforehand
  nn::MultiHeadAttention none = with(nn::ScoreScale::none, 0);
  none.in_proj_weight.detach().narrow(0, 0, 16).mul_(std::pow(2, -0.25));
  none.in_proj_bias.detach().narrow(0, 0, 16).mul_(std::pow(2, -0.25));
  CHECK(close(none(x), standard(x)));
  // every scale streams, with padding too
  const Tensor seen = tensor({{1, 1, 1, 1, 1, 1}, {0, 0, 1, 1, 1, 1}}, boolean);
  for (nn::ScoreScale scale :
       {nn::ScoreScale::none, nn::ScoreScale::gradient, nn::ScoreScale::log_length, nn::ScoreScale::cosine}) {
    nn::MultiHeadAttention a = with(scale, 16), full = with(scale, 16, false);
    const Tensor y = a(x, {.key_mask = seen});
    CHECK(close(a(x, {.key_mask = seen, .form = nn::SequenceForm::chunked, .chunk = 4}), y));
    CHECK(close(y[1].narrow(0, 2, 4), a(x.narrow(1, 2, 4))[1]));  // padding changes nothing
    CHECK(close(full(x, {.key_mask = seen})[1].narrow(0, 2, 4), full(x.narrow(1, 2, 4))[1]));
  }
  // cosines do not see the length of q and k
  nn::MultiHeadAttention cosine = with(nn::ScoreScale::cosine, 16);
  const Tensor y = cosine(x);
  cosine.in_proj_weight.detach().narrow(0, 0, 16).mul_(3);
  cosine.in_proj_bias.detach().narrow(0, 0, 16).mul_(3);
  CHECK(close(cosine(x), y, 1e-9));
  CHECK_THROWS_AS(with(nn::ScoreScale::log_length, 1), ValueError);
  CHECK_THROWS_AS(with(nn::ScoreScale::gradient, 1), ValueError);
}

TEST_CASE("every causal MultiHeadAttention streams, and looks at nothing that comes later") {
  check_causal_layer(nn::MultiHeadAttention(8, 2, {.causal = true, .bias = false}));
  for (const nn::AnyPosition& positions : {nn::AnyPosition(nn::Rotary()), nn::AnyPosition(nn::Alibi()),
                                           nn::AnyPosition(nn::T5Bias(2, {.buckets = 8, .max_distance = 6}))})
    check_causal_layer(nn::MultiHeadAttention(8, 2, {.kv_heads = 1, .causal = true, .positions = positions}));
  for (nn::ScoreScale scale : {nn::ScoreScale::gradient, nn::ScoreScale::cosine, nn::ScoreScale::log_length})
    check_causal_layer(nn::MultiHeadAttention(8, 4, {.causal = true, .scale = scale, .scale_length = 8}));
}

TEST_CASE("queries to a memory come one by one, in low precision too") {
  const nn::MultiHeadAttention layer = prepared(nn::MultiHeadAttention(8, 2));
  const Tensor x = sequence(5, 8), memory = sequence(7, 8, 13);
  for (Dtype dtype : {float32, float16, bfloat16, float64}) {
    nn::MultiHeadAttention low = layer.clone();
    low.to(dtype);
    nn::MultiHeadAttention wide = low.clone();
    wide.to(float64);
    const Tensor q = x.to(dtype), m = memory.to(dtype);
    nn::StreamState state = low.start_cross(m);
    const Tensor parts =
        in_parts({2, 1, 2}, 1, [&](int64_t t, int64_t count) { return low.step(q.narrow(1, t, count), state); });
    check_rounded(parts, wide(q.to(float64), {.memory = m.to(float64)}), 16);
  }
}

TEST_CASE("a scale by cosines takes queries and keys of 0, as zero padding gives") {
  for (Dtype dtype : {float64, float32, float16, bfloat16}) {
    nn::MultiHeadAttention layer(4, 2, {.scale = nn::ScoreScale::cosine, .scale_length = 8, .dtype = dtype});
    const Tensor x = zeros({1, 3, 4}, dtype).requires_grad_();
    const Tensor y = layer(x);
    y.backward(ones_like(y));
    CHECK(equal(y.detach(), zeros({1, 3, 4}, dtype)));
    CHECK(isfinite(x.grad()).all().item<bool>());
    for (const Tensor& p : layer.parameters()) CHECK(isfinite(p.grad()).all().item<bool>());
  }
}
