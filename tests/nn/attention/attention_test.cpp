// The interface of the attention layers, on the one with the most to it.
#include <cotangent/nn/attention/attention.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/attention/multihead.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;
using nn::SequenceForm;

namespace {

/// Has nothing but a parallel form: each token the mean of all.
struct Mean : nn::Attention {
  explicit Mean(int64_t width) : Attention(width, false) {}
  COTANGENT_MEMBERS()
 protected:
  Tensor run(const Tensor& x, const nn::SequenceCall&, nn::StreamState*) override {
    return expand(mean(x, 1, true), x.shape());
  }
};

struct Wrapper : nn::Module {
  nn::AnyAttention attention;
  COTANGENT_MODULE(attention)
  Tensor forward(const Tensor& x) { return attention(x); }
};

}  // namespace

TEST_CASE("an attention that is causal streams, in steps of any size") {
  nn::MultiHeadAttention attention(8, 4, {.kv_heads = 2, .causal = true, .dtype = float64});
  const Tensor x = randn({3, 13, 8}, float64);
  const Tensor whole = attention(x);
  nn::StreamState state = attention.start(3);
  Tensors parts;
  int64_t t = 0;
  for (int64_t size : {7, 1, 5}) {
    parts.push_back(attention.step(x.narrow(1, t, size), state));
    t += size;
    CHECK(state.length == t);
  }
  CHECK(close(cat(parts, 1), whole));
  CHECK(close(attention(x, {.form = SequenceForm::recurrent}), whole));
  CHECK(close(attention(x, {.form = SequenceForm::chunked, .chunk = 4}), whole));

  // a copy of the state is a way back
  state = attention.start(3);
  attention.step(x.narrow(1, 0, 4), state);
  nn::StreamState back = state;
  attention.step(x.narrow(1, 9, 4), state);
  CHECK(close(attention.step(x.narrow(1, 4, 2), back), whole.narrow(1, 4, 2)));
}

TEST_CASE("the cache of a stream holds keys, values, and a key_mask from the first one on") {
  nn::MultiHeadAttention attention(8, 4, {.kv_heads = 2, .causal = true});
  nn::StreamState state = attention.start(3);
  attention.step(randn({3, 5, 8}), state);
  const nn::KeyValueCache& cache = state.own.as<nn::KeyValueCache>();
  CHECK(cache.keys.shape() == Shape{3, 2, 5, 2});
  CHECK(cache.values.shape() == Shape{3, 2, 5, 2});
  CHECK_FALSE(cache.key_mask.defined());
  attention.step(randn({3, 1, 8}), state, zeros({3, 1}, boolean));
  CHECK(state.own.as<nn::KeyValueCache>().key_mask[0].to_vector<bool>() ==
        std::vector<bool>{true, true, true, true, true, false});
}

TEST_CASE("padding is hidden in every form") {
  nn::MultiHeadAttention attention(4, 2, {.causal = true, .dtype = float64});
  const Tensor x = randn({2, 5, 4}, float64);
  const Tensor key_mask = tensor({{1, 1, 1, 1, 1}, {0, 0, 1, 1, 1}}, boolean);  // the second is padded on the left
  const Tensor y = attention(x, {.key_mask = key_mask});
  CHECK(close(y[1].narrow(0, 2, 3), attention(x.narrow(1, 2, 3))[1]));
  CHECK(close(attention(x, {.key_mask = key_mask, .form = SequenceForm::recurrent}), y));
  CHECK(close(attention(x, {.key_mask = key_mask, .form = SequenceForm::chunked, .chunk = 2}), y));
  // steps may go without a mask before one comes, and after
  const Tensor late = tensor({{1, 1, 1, 1, 1}, {1, 1, 0, 1, 1}}, boolean);
  nn::StreamState state = attention.start(2);
  const Tensor a = attention.step(x.narrow(1, 0, 2), state);
  const Tensor b = attention.step(x.narrow(1, 2, 1), state, late.narrow(1, 2, 1));
  const Tensor c = attention.step(x.narrow(1, 3, 2), state);
  CHECK(close(cat({a, b, c}, 1), attention(x, {.key_mask = late})));
}

TEST_CASE("queries to a memory come all at once or one after another") {
  nn::MultiHeadAttention attention(4, 2, {.dtype = float64});
  const Tensor x = randn({2, 3, 4}, float64), memory = randn({2, 6, 4}, float64);
  const Tensor key_mask = tensor({{1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 0, 0}}, boolean);
  const Tensor y = attention(x, {.memory = memory, .key_mask = key_mask});
  CHECK(close(y[1], attention(x, {.memory = memory.narrow(1, 0, 4)})[1]));
  nn::StreamState state = attention.start_cross(memory, key_mask);
  CHECK(close(cat({attention.step(x.narrow(1, 0, 1), state), attention.step(x.narrow(1, 1, 2), state)}, 1), y));
  CHECK_THROWS_WITH(attention.step(x, state, ones({2, 3}, boolean)), Catch::Contains("takes no key_mask"));
}

TEST_CASE("AnyAttention holds any of them") {
  Wrapper model;
  model.attention = nn::MultiHeadAttention(4, 2);
  CHECK(model.state_dict().contains("attention.out_proj.weight"));
  CHECK(model.attention->width() == 4);
  CHECK_THROWS_WITH(model(ones({1, 2, 3})), Catch::EndsWith("(in attention)"));
  model.attention = Mean(4);
  CHECK(model(ones({1, 2, 4})).to_vector<float>()[0] == 1);
}

TEST_CASE("an attention says what it can't do, and what does not fit") {
  nn::MultiHeadAttention causal(4, 2, {.causal = true}), full(4, 2);
  Mean mean(4);
  const Tensor x = ones({2, 3, 4});
  CHECK_THROWS_WITH(full(ones({2, 3, 5})), "[MultiHeadAttention] x has shape (2, 3, 5); it must be (B, T, 4)");
  CHECK_THROWS_AS(full(ones({3, 4})), ShapeError);
  CHECK_THROWS_WITH(full(x, {.memory = ones({1, 3, 4})}), Catch::Contains("it must be (2, Tk, 4)"));
  CHECK_THROWS_WITH(causal(x, {.memory = x}), Catch::Contains("make it with causal = false"));
  CHECK_THROWS_WITH(causal.start_cross(x), Catch::Contains("make it with causal = false"));
  CHECK_THROWS_WITH(full(x, {.key_mask = ones({2, 3})}), Catch::Contains("the key_mask is float32; it must be bool"));
  CHECK_THROWS_WITH(full(x, {.key_mask = ones({2, 4}, boolean)}), Catch::Contains("it must be (2, 3)"));
  CHECK_THROWS_WITH(full(x, {.mask = ones({3, 4}, boolean)}), Catch::Contains("do not broadcast"));
  CHECK_THROWS_WITH(full(x, {.mask = ones({3, 3}, int64)}), Catch::Contains("it must be bool"));

  CHECK(full.has(SequenceForm::parallel));
  CHECK_FALSE(full.has(SequenceForm::chunked));
  CHECK(causal.has(SequenceForm::recurrent));
  CHECK_THROWS_WITH(full(x, {.form = SequenceForm::recurrent}),
                    Catch::Contains("has no recurrent form without causal = true"));
  CHECK_THROWS_WITH(mean(x, {.form = SequenceForm::chunked}), Catch::Contains("[Mean] has no chunked form"));
  CHECK_THROWS_WITH(causal(x, {.mask = ones({3, 3}, boolean), .form = SequenceForm::chunked}),
                    Catch::Contains("the chunked form takes no mask but the key_mask"));
  CHECK_THROWS_WITH(causal(x, {.form = SequenceForm::chunked, .chunk = 0}), Catch::Contains("take 1 at least"));
  CHECK_THROWS_WITH(full.start(2), Catch::Contains("without causal = true"));
  CHECK_THROWS_WITH(mean.start(2), Catch::Contains("[Mean] can't take a sequence step by step"));
  CHECK_THROWS_WITH(mean.start_cross(x), Catch::Contains("can't attend to a memory step by step"));
  CHECK_THROWS_AS(causal.start(0), ValueError);
  nn::StreamState state = causal.start(3);
  CHECK_THROWS_WITH(causal.step(x, state), Catch::Contains("a state for a batch of 3"));
}

TEST_CASE("masks combine by AND") {
  const double no = -std::numeric_limits<double>::infinity();
  const Tensor a = tensor({1, 1, 0, 0}, boolean), b = tensor({1, 0, 1, 0}, boolean);
  const Tensor f = tensor({1.0, 2.0, 3.0, no});
  CHECK(equal(nn::combine_masks(a, b), tensor({1, 0, 0, 0}, boolean)));
  CHECK(nn::combine_masks(a, f).to_vector<double>() == std::vector<double>{1, 2, no, no});
  CHECK(nn::combine_masks(f, b).to_vector<double>() == std::vector<double>{1, no, 3, no});
  CHECK(nn::combine_masks(f, f).to_vector<double>() == std::vector<double>{2, 4, 6, no});
  CHECK(equal(nn::combine_masks(a, {}), a));
  CHECK(equal(nn::combine_masks({}, f), f));
  CHECK_FALSE(nn::combine_masks({}, {}).defined());
  CHECK(nn::combine_masks(unsqueeze(a, 0), unsqueeze(b, 1)).shape() == Shape{4, 4});
}
