// The forms of linear attention are one function; none looks ahead; parts of a sequence give what the whole does.
#include <cotangent/autograd/ops/linear_attention.hpp>

#include <catch2/catch.hpp>
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/memory/allocator.hpp>
#include <cotangent/tensor/random.hpp>

#include "../sequences.hpp"

using namespace cotangent;

namespace {

struct Heads {
  Tensor q, k, v;
};
Heads make_heads(int64_t length, Dtype dtype = float64) {
  Generator g(3);
  return {randn({2, 3, length, 5}, dtype, g), randn({2, 3, length, 5}, dtype, g), randn({2, 3, length, 4}, dtype, g)};
}
Tensor attend(const Heads& x, const LinearAttentionOptions& options, LinearAttentionState* state = nullptr) {
  return linear_attention(feature_map(x.q, FeatureMap::elu_plus_one), feature_map(x.k, FeatureMap::elu_plus_one), x.v,
                          options, state);
}
Heads part(const Heads& x, int64_t first, int64_t count) {
  return {x.q.narrow(2, first, count), x.k.narrow(2, first, count), x.v.narrow(2, first, count)};
}

}  // namespace

TEST_CASE("linear attention: the causal forms agree, with their gradients") {
  const Heads x = make_heads(37);
  for (Tensor t : {x.q, x.k, x.v}) t.requires_grad_();
  const Tensor weight = randn({2, 3, 37, 4}, float64);
  const auto run = [&](LinearForm form, int64_t chunk) {
    const Tensor y = attend(x, {.causal = true, .form = form, .chunk = chunk});
    Tensors all = grad({sum(y * weight)}, {x.q, x.k, x.v});
    all.push_back(y.detach());
    return all;
  };
  const Tensors expected = run(LinearForm::parallel, 64);
  for (const auto& [form, chunk] : {std::pair(LinearForm::chunked, 64), std::pair(LinearForm::chunked, 5),
                                    std::pair(LinearForm::chunked, 1), std::pair(LinearForm::recurrent, 64)}) {
    const Tensors got = run(form, chunk);
    for (size_t i = 0; i < got.size(); ++i) CHECK(largest_difference(got[i], expected[i]) < 1e-10);
  }
}

TEST_CASE("linear attention: without causality both orders of the products agree") {
  const Heads x = make_heads(9);
  for (bool normalize : {true, false}) {
    const Tensor a = attend(x, {.normalize = normalize, .form = LinearForm::parallel});
    CHECK(largest_difference(a, attend(x, {.normalize = normalize, .form = LinearForm::chunked})) < 1e-12);
    CHECK(largest_difference(a, attend(x, {.normalize = normalize})) < 1e-12);
  }
}

TEST_CASE("linear attention: no form looks ahead, not by one bit") {
  const Heads x = make_heads(13);
  for (LinearForm form : {LinearForm::parallel, LinearForm::chunked, LinearForm::recurrent})
    check_causal(x.v, 2, [&](const Tensor& v) {
      // the changed place changes queries and keys too
      const Tensor shift = sum(v, -1, true);
      return attend({x.q + shift, x.k - shift, v}, {.causal = true, .form = form, .chunk = 4});
    });
}

TEST_CASE("linear attention: a sequence in parts of 7, 1 and 5 gives what the whole does") {
  const Heads x = make_heads(13);
  for (LinearForm form : {LinearForm::parallel, LinearForm::chunked, LinearForm::recurrent}) {
    LinearAttentionState state;
    const Tensor y = in_parts({7, 1, 5}, 2, [&](int64_t first, int64_t count) {
      return attend(part(x, first, count), {.causal = true, .form = form, .chunk = 3}, &state);
    });
    CHECK(largest_difference(y, attend(x, {.causal = true})) < 1e-12);
    CHECK(state.kv.shape() == Shape{2, 3, 5, 4});
    CHECK(state.k.shape() == Shape{2, 3, 5});
  }
}

TEST_CASE("linear attention: padding counts as features of 0") {
  const Heads x = make_heads(9);
  const Tensor kept = arange(9) < 6;
  for (bool causal : {true, false}) {
    const Tensor y = attend(x, {.causal = causal, .key_mask = expand(kept, {2, 9})});
    const Heads few{x.q, x.k.narrow(2, 0, 6), x.v.narrow(2, 0, 6)};
    const Tensor expected = causal ? attend(part(x, 0, 6), {.causal = true}) : attend(few, {});
    CHECK(largest_difference(y.narrow(2, 0, expected.size(2)), expected) < 1e-12);
  }
}

TEST_CASE("linear attention: rotated features go into the numerator, and every form carries them") {
  const Heads x = make_heads(13), r = make_heads(13);
  const Tensor q = exp(x.q), k = exp(x.k);
  const auto run = [&](int64_t first, int64_t count, LinearForm form, LinearAttentionState* state) {
    const auto cut = [&](const Tensor& t) { return t.narrow(2, first, count); };
    return linear_attention(cut(q), cut(k), cut(x.v),
                            {.causal = true, .form = form, .chunk = 4, .rotated_q = cut(r.k), .rotated_k = cut(r.q)},
                            state);
  };
  const Tensor expected = run(0, 13, LinearForm::parallel, nullptr);
  for (LinearForm form : {LinearForm::parallel, LinearForm::chunked, LinearForm::recurrent}) {
    LinearAttentionState state;
    CHECK(largest_difference(run(0, 13, form, nullptr), expected) < 1e-10);
    CHECK(largest_difference(in_parts({7, 1, 5}, 2, [&](int64_t a, int64_t n) { return run(a, n, form, &state); }),
                             expected) < 1e-10);
  }
}

TEST_CASE("linear attention: memory grows with the length, not with its square, nor by a matrix a position") {
  const auto extra = [](int64_t length, LinearForm form) {
    Generator g(1);
    const auto make = [&](int64_t d) { return randn({1, 1, length, d}, float32, g).requires_grad_(); };
    const Tensor q = make(16), k = make(16), v = make(16);
    const int64_t before = memory_stats().current_bytes;
    reset_peak_memory();
    sum(linear_attention(exp(q), exp(k), v, {.causal = true, .form = form})).backward();
    return static_cast<double>(memory_stats().peak_bytes - before);
  };
  const double per_position = extra(4096, LinearForm::chunked) / 4096;
  CHECK(per_position < 16 * 16 * 4 * 1.5);
  CHECK(extra(4096, LinearForm::chunked) < 4.2 * extra(1024, LinearForm::chunked));
  CHECK(extra(2048, LinearForm::parallel) > 2.5 * extra(1024, LinearForm::parallel));
}

TEST_CASE("cosFormer: weights fall with the cosine of the distance, and go on from an offset") {
  const Tensor x = abs(randn({6, 3}, float64)) + 0.1, y = abs(randn({6, 3}, float64)) + 0.1;
  const Tensor p = cosformer_features(x, 8, 2), r = cosformer_features(y, 8, 2);
  const Tensor weight = sum(p[1] * r[4]), plain = sum(x[1] * y[4]);
  CHECK(weight.item() == Approx(plain.item() * std::cos(3.141592653589793 / 2 * 3 / 8)));
  CHECK(largest_difference(p.narrow(0, 3, 3), cosformer_features(x.narrow(0, 3, 3), 8, 5)) < 1e-15);
}

TEST_CASE("the direction map gives 1 + cos, and no gradient at 0") {
  const Tensor a = tensor({{3.0, 4.0}}, float64), b = tensor({{4.0, 3.0}}, float64);
  CHECK(sum(feature_map(a, FeatureMap::direction) * feature_map(b, FeatureMap::direction)).item() == Approx(1.96));
  Tensor zero = zeros({1, 2}, float64).requires_grad_();
  sum(feature_map(zero, FeatureMap::direction)).backward();
  CHECK(zero.grad().to_vector<double>() == std::vector<double>{0, 0});
}

TEST_CASE("efficient attention: forms agree, rows sum to 1, parts give the whole, nothing looks ahead") {
  const Heads x = make_heads(13);
  const auto run = [](const Heads& h, const EfficientAttentionOptions& o, EfficientAttentionState* state = nullptr) {
    return efficient_attention(h.q, h.k, h.v, o, state);
  };
  const Tensor expected = run(x, {.causal = true, .form = LinearForm::parallel});
  for (LinearForm form : {LinearForm::chunked, LinearForm::recurrent}) {
    CHECK(largest_difference(run(x, {.causal = true, .form = form, .chunk = 4}), expected) < 1e-12);
    EfficientAttentionState state;
    CHECK(largest_difference(in_parts({7, 1, 5}, 2,
                                      [&](int64_t first, int64_t count) {
                                        return run(part(x, first, count), {.causal = true, .form = form, .chunk = 4},
                                                   &state);
                                      }),
                             expected) < 1e-12);
    check_causal(x.v, 2, [&](const Tensor& v) {
      const Tensor shift = sum(v, -1, true);
      return run({x.q + shift, x.k - shift, v}, {.causal = true, .form = form, .chunk = 4});
    });
  }
  for (bool causal : {true, false}) {
    const Heads unit{x.q, x.k, ones({2, 3, 13, 1}, float64)};
    CHECK(largest_difference(run(unit, {.causal = causal}), unit.v) < 1e-12);
  }
}

TEST_CASE("efficient attention: large keys neither overflow nor hide the small ones before them") {
  const Tensor k = reshape(tensor({-900.0, -901.0, 1000.0, 3.0}, float64), {1, 1, 4, 1});
  const Tensor v = reshape(tensor({1.0, 2.0, 3.0, 4.0}, float64), {1, 1, 4, 1}), q = zeros({1, 1, 4, 1}, float64);
  for (LinearForm form : {LinearForm::parallel, LinearForm::chunked, LinearForm::recurrent}) {
    const Tensor y = efficient_attention(q, k, v, {.causal = true, .form = form, .chunk = 2});
    const double second = (1 + 2 * std::exp(-1)) / (1 + std::exp(-1));
    CHECK(largest_difference(y, reshape(tensor({1.0, second, 3.0, 3.0}, float64), {1, 1, 4, 1})) < 1e-12);
  }
  const Tensor none = zeros({1, 4}, boolean);
  for (bool causal : {true, false}) {
    const Tensor y = efficient_attention(q, k, v, {.causal = causal, .key_mask = none});
    CHECK(y.to_vector<double>() == std::vector<double>(4, 0.0));
  }
}

TEST_CASE("causal_product: the state has the dtype of what it goes on from") {
  const Tensor x = randn({1, 1, 3, 2});
  CHECK_THROWS_WITH(causal_product(x, x, x, zeros({1, 1, 2, 2}, float64)),
                    Catch::Contains("the state is float64 and q is float32"));
}
