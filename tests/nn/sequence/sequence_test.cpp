// What follows for a layer of sequences from run(), on one that is no attention.
#include <cotangent/nn/sequence/sequence.hpp>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/scan.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/attention/multihead.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;
using nn::SequenceForm;

namespace {

struct Total {
  Tensor sum;  // (B, 1, d)
  int steps = 0;
};

/// The sum of all tokens so far that are no padding.
struct RunningSum : nn::SequenceLayer {
  explicit RunningSum(int64_t width) : SequenceLayer(width, true) {}
  COTANGENT_MEMBERS()
 protected:
  Tensor run(const Tensor& x, const nn::SequenceCall& call, nn::StreamState* state) override {
    Tensor y = cumsum(call.key_mask.defined() ? where(unsqueeze(call.key_mask, 2), x, 0) : x, 1);
    if (Total* total = fields<Total>(state)) {
      if (total->sum.defined()) y = y + total->sum;
      *total = {y.narrow(1, y.size(1) - 1, 1), total->steps + 1};
    }
    return y;
  }
};

}  // namespace

TEST_CASE("a layer of sequences writes run(), and has all forms and streams") {
  RunningSum layer(4);
  const Tensor x = randn({2, 7, 4}, float64), y = layer(x);
  CHECK(close(layer(x, {.form = SequenceForm::recurrent}), y));
  CHECK(close(layer(x, {.form = SequenceForm::chunked, .chunk = 3}), y));
  CHECK(layer(x.narrow(1, 0, 0), {.form = SequenceForm::recurrent}).shape() == Shape{2, 0, 4});
  const Tensor key_mask = tensor({{1, 1, 1, 1, 1, 1, 1}, {0, 0, 1, 1, 0, 1, 1}}, boolean);
  CHECK(close(layer(x, {.key_mask = key_mask, .form = SequenceForm::chunked, .chunk = 2}),
              layer(x, {.key_mask = key_mask})));
}

TEST_CASE("the state of a stream has named fields, copies as a value, and fits one kind of layer") {
  RunningSum layer(4);
  const Tensor x = randn({2, 7, 4}, float64), y = layer(x);
  nn::StreamState state = layer.start(2);
  CHECK(state.batch == 2);
  CHECK_FALSE(state.own.as<Total>().sum.defined());
  CHECK(close(layer.step(x.narrow(1, 0, 5), state), y.narrow(1, 0, 5)));
  CHECK(state.length == 5);
  CHECK(state.own.as<Total>().steps == 1);
  CHECK(close(state.own.as<Total>().sum, y.narrow(1, 4, 1)));

  nn::StreamState back = state;  // a copy is a way back
  layer.step(x.narrow(1, 0, 1), state);
  CHECK(state.own.as<Total>().steps == 2);
  CHECK(close(layer.step(x.narrow(1, 5, 2), back), y.narrow(1, 5, 2)));

  nn::MultiHeadAttention other(4, 2, {.causal = true, .dtype = float64});
  CHECK_THROWS_WITH(other.step(x, state), Catch::Contains("a state of another layer"));
  CHECK(state.length == 6);
}

TEST_CASE("a state is checked for its batch, and for a layer that streams") {
  RunningSum layer(4);
  const Tensor x = ones({2, 3, 4});
  nn::StreamState three = layer.start(3), none;
  CHECK_THROWS_WITH(layer.step(x, three), Catch::Contains("a state for a batch of 3; start() makes one"));
  CHECK_THROWS_WITH(layer.step(x, none), Catch::Contains("a state for a batch of 0; start() makes one"));
  nn::MultiHeadAttention full(4, 2);
  nn::StreamState two = layer.start(2);
  CHECK_THROWS_WITH(full.step(x, two), Catch::Contains("without causal = true"));
}
