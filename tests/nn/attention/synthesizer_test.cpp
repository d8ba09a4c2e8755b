#include <cotangent/nn/attention/synthesizer.hpp>

#include <cotangent/nn/linear.hpp>

#include "../check_layer.hpp"
#include "checks.hpp"

using namespace cotangent;
using Kind = nn::SynthesizerScores;

namespace {

const std::vector<Kind> kAll = {Kind::dot_product, Kind::dense, Kind::random, Kind::factorized_dense,
                                Kind::factorized_random};

/// The projections of a Synthesizer with Kind::dot_product in multi-head attention.
nn::MultiHeadAttention as_multihead(const nn::Synthesizer& layer) {
  nn::MultiHeadAttention dense(layer.width(), layer.heads, {.causal = layer.causal(), .dtype = float64});
  const int64_t d = layer.width();
  NoGrad guard;
  for (bool bias : {false, true}) {
    const auto part = [&](const nn::Linear& l) -> const Tensor& { return bias ? l.bias : l.weight; };
    const Tensor to = bias ? Tensor(dense.in_proj_bias) : Tensor(dense.in_proj_weight);
    narrow(to, 0, 0, 2 * d).copy_(part(*layer.query_key_proj));
    narrow(to, 0, 2 * d, d).copy_(part(layer.value_proj));
    (bias ? Tensor(dense.out_proj.bias) : Tensor(dense.out_proj.weight)).copy_(part(layer.out_proj));
  }
  return dense;
}

}  // namespace

TEST_CASE("Synthesizer: forms, streams and causality, with every kind of scores") {
  for (Kind kind : kAll)
    check_causal_layer(nn::Synthesizer(8, 2, {.scores = {kind}, .length = 14, .rank = 3, .causal = true}));
  check_causal_layer(nn::Synthesizer(
      8, 2, {.scores = kAll, .length = 15, .tile = 5, .causal = true, .bias = false, .positions = nn::Alibi()}));
}

TEST_CASE("Synthesizer with dot products alone, or all of the mixture on them, is multi-head attention") {
  const Tensor x = sequence(7, 8);
  Tensor mask = ones({7, 7}, boolean);
  narrow(narrow(mask, 0, 2, 3), 1, 1, 2).fill_(false);
  for (bool causal : {false, true}) {
    const nn::Synthesizer one =
        prepared(nn::Synthesizer(8, 2, {.scores = {Kind::dot_product}, .length = 7, .causal = causal}));
    CHECK(largest_difference(one(x), as_multihead(one)(x)) < 1e-12);
    CHECK(largest_difference(one(x, {.mask = mask}), as_multihead(one)(x, {.mask = mask})) < 1e-12);
    const Tensor added = sequence(7, 7).narrow(0, 0, 1);
    CHECK(largest_difference(one(x, {.mask = added}), as_multihead(one)(x, {.mask = added})) < 1e-12);
    nn::Synthesizer mixed = prepared(nn::Synthesizer(8, 2, {.scores = kAll, .length = 9, .causal = causal}));
    mixed.mixture.detach().copy_(tensor({100.0, 0.0, 0.0, 0.0, 0.0}, float64));
    CHECK(largest_difference(mixed(x), as_multihead(mixed)(x)) < 1e-12);
  }
}

TEST_CASE("random scores do not depend on the tokens, dense ones on that of the query alone") {
  // with values of one token alone, the output at i is its weight times the value
  const auto weights = [](nn::Synthesizer& layer, const Tensor& x, int64_t key) {
    Tensor seen = zeros({1, 5}, boolean);
    narrow(seen, 1, key, 1).fill_(true);
    narrow(seen, 1, 4, 1).fill_(true);
    return layer(x, {.key_mask = seen});
  };
  for (auto kind : {Kind::random, Kind::factorized_random, Kind::dense, Kind::factorized_dense}) {
    nn::Synthesizer layer = prepared(nn::Synthesizer(8, 2, {.scores = {kind}, .length = 6}));
    const Tensor x = narrow(sequence(5, 8), 0, 0, 1), y = weights(layer, x, 1);
    Tensor other = x.clone();
    narrow(other, 1, 2, 1).fill_(0.3);  // neither seen nor asking, but for its own row
    const Tensor z = weights(layer, other, 1);
    for (int64_t i : {0, 1, 3, 4}) CHECK(equal(narrow(y, 1, i, 1), narrow(z, 1, i, 1)));
    CHECK(equal(narrow(y, 1, 2, 1), narrow(z, 1, 2, 1)) == (kind == Kind::random || kind == Kind::factorized_random));
  }
}

TEST_CASE("fixed random scores are saved and not trained") {
  nn::Synthesizer layer(8, 2, {.scores = {Kind::random}, .length = 6, .train_random = false});
  sum(square(layer(randn({1, 5, 8})))).backward();
  CHECK_FALSE(layer.random.grad().defined());
  CHECK(layer.state_dict().get("random").defined());
  CHECK(nn::Synthesizer(8, 2, {.scores = {Kind::factorized_random}, .length = 6, .rank = 2}).random_left.shape() ==
        Shape{2, 6, 2});
  CHECK(nn::Synthesizer(8, 2, {.length = 24}).tile == 4);
}

TEST_CASE("Synthesizer refuses what it has no way to do, and takes empty sequences") {
  const Tensor x = randn({1, 4, 8});
  CHECK_THROWS_WITH(nn::Synthesizer(8, 3), Catch::Contains("[Synthesizer] 3 heads for a width of 8"));
  CHECK_THROWS_WITH(nn::Synthesizer(8, 2, {.scores = {}}), Catch::Contains("no kind of scores"));
  CHECK_THROWS_WITH(nn::Synthesizer(8, 2, {.scores = {Kind::dense, Kind::dense}}),
                    Catch::Contains("dense is named twice"));
  CHECK_THROWS_WITH(nn::Synthesizer(8, 2, {.length = 0}), Catch::Contains("a length of 0"));
  CHECK_THROWS_WITH(nn::Synthesizer(8, 2, {.rank = 0}), Catch::Contains("a rank of 0"));
  CHECK_THROWS_WITH(nn::Synthesizer(8, 2, {.length = 10, .tile = 4}), Catch::Contains("a tile of 4"));
  CHECK_THROWS_WITH(nn::Synthesizer(8, 2, {.length = 3})(x), Catch::Contains("4 tokens; its scores end at length = 3"));
  CHECK_THROWS_WITH(nn::Synthesizer(8, 2)(x, {.memory = x}), Catch::Contains("takes no memory"));
  CHECK_THROWS_WITH(nn::Synthesizer(8, 2).start(1), Catch::Contains("step by step"));
  const Tensor none = zeros({2, 0, 8});
  for (Kind kind : kAll) CHECK(nn::Synthesizer(8, 2, {.scores = {kind}, .length = 6})(none).shape() == none.shape());
  CHECK(nn::Synthesizer(8, 2, {.scores = {Kind::dot_product, Kind::random}, .length = 6, .causal = true}).settings() ==
        "8, 2, dot_product + random, length = 6, causal = true");
}

TEST_CASE("gradients of Synthesizer") {
  for (bool causal : {false, true})
    for (Kind kind : {Kind::dense, Kind::random, Kind::factorized_dense, Kind::factorized_random})
      check_layer(nn::Synthesizer(4, 2, {.scores = {kind}, .length = 6, .rank = 2, .causal = causal}), {1, 4, 4});
  check_layer(nn::Synthesizer(4, 2, {.scores = {Kind::dot_product, Kind::dense, Kind::random}, .length = 4}),
              {1, 4, 4});
}
