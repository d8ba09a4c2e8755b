#include <cotangent/nn/attention/low_rank.hpp>

#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/softmax.hpp>

#include "../check_layer.hpp"
#include "checks.hpp"

using namespace cotangent;
using nn::LinformerSharing;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// What stands in padding does not matter, and what it leaves is `without`, the same tokens alone.
template <class Layer>
void check_padding(Layer& layer) {
  const Tensor x = sequence(9, layer.width());
  Tensor key_mask = ones({2, 9}, boolean);
  for (int64_t t : {2, 5, 8}) narrow(key_mask, 1, t, 1).fill_(false);
  const Tensor dirty = masked_fill(x, !unsqueeze(key_mask, 2), kNaN), y = layer(dirty, {.key_mask = key_mask});
  const Tensor places = tensor({0, 1, 3, 4, 6, 7}, int64);
  CHECK(isfinite(index_select(y, 1, places)).all().template item<bool>());
  CHECK(largest_difference(index_select(y, 1, places), index_select(layer(x, {.key_mask = key_mask}), 1, places)) <
        1e-12);
}

}  // namespace

TEST_CASE("Linformer with the unit matrix is multi-head attention, of shorter inputs and a memory too") {
  nn::Linformer layer = prepared(nn::Linformer(8, 2, {.length = 11, .rank = 11}));
  layer.key_projection.detach().copy_(reshape(eye(11, 11, float64), {1, 11, 11}));
  nn::MultiHeadAttention dense = same_projections(layer, false);
  const Tensor x = sequence(11, 8);
  CHECK(largest_difference(layer(x), dense(x)) < 1e-12);
  // the rows of E beyond the input are keys of 0 then, which softmax counts: with as many rows as tokens there are none
  nn::Linformer few = prepared(nn::Linformer(8, 2, {.length = 11, .rank = 7}));
  few.key_projection.detach().copy_(reshape(eye(7, 11, float64), {1, 7, 11}));
  nn::MultiHeadAttention same = same_projections(few, false);
  const Tensor memory = sequence(7, 8, 5);
  CHECK(largest_difference(few(memory), same(memory)) < 1e-12);
  CHECK(largest_difference(few(x, {.memory = memory}), same(x, {.memory = memory})) < 1e-12);
}

TEST_CASE("Linformer shares its projections as it is told to") {
  const auto count = [](LinformerSharing sharing) {
    return nn::Linformer(8, 4, {.length = 10, .rank = 3, .sharing = sharing, .bias = false}).parameter_count() - 4 * 64;
  };
  CHECK(count(LinformerSharing::none) == 2 * 4 * 30);
  CHECK(count(LinformerSharing::heads) == 2 * 30);
  CHECK(count(LinformerSharing::key_value) == 30);
  nn::Linformer first(8, 2, {.length = 6, .rank = 2}), second(8, 2, {.length = 6, .rank = 2});
  second.key_projection = first.key_projection;
  const Tensor x = randn({1, 6, 8});
  sum(square(second(x))).backward();
  CHECK(first.key_projection.grad().defined());
}

TEST_CASE("padding changes nothing in Linformer and NystromAttention") {
  for (LinformerSharing sharing : {LinformerSharing::none, LinformerSharing::heads, LinformerSharing::key_value}) {
    nn::Linformer layer = prepared(nn::Linformer(8, 2, {.length = 9, .rank = 4, .sharing = sharing}));
    check_padding(layer);
    // at the end it is as if it were not there
    const Tensor x = sequence(9, 8), seen = expand(arange(9) < 6, {2, 9});
    CHECK(largest_difference(narrow(layer(x, {.key_mask = seen}), 1, 0, 6), layer(narrow(x, 1, 0, 6))) < 1e-12);
  }
  for (int64_t landmarks : {1, 4, 6, 7, 20}) {
    nn::NystromAttention layer = prepared(nn::NystromAttention(8, 2, {.landmarks = landmarks}));
    check_padding(layer);
    const Tensor x = sequence(9, 8), places = tensor({0, 1, 3, 4, 6, 7}, int64);
    Tensor seen = ones({2, 9}, boolean);
    for (int64_t t : {2, 5, 8}) narrow(seen, 1, t, 1).fill_(false);
    CHECK(largest_difference(index_select(layer(x, {.key_mask = seen}), 1, places), layer(index_select(x, 1, places))) <
          1e-10);
  }
}

TEST_CASE("NystromAttention with a landmark for each token is multi-head attention") {
  for (int64_t landmarks : {7, 50}) {
    nn::NystromAttention layer = prepared(nn::NystromAttention(8, 2, {.landmarks = landmarks, .iterations = 40}));
    const Tensor x = sequence(7, 8);
    CHECK(largest_difference(layer(x), same_projections(layer, false)(x)) < 1e-7);  // as far as A can be inverted
  }
}

TEST_CASE("NystromAttention is exact where each segment repeats one token, also to a memory") {
  nn::NystromAttention layer = prepared(nn::NystromAttention(8, 2, {.landmarks = 6, .iterations = 40}));
  nn::MultiHeadAttention dense = same_projections(layer, false);
  const auto repeated = [](int64_t times, uint64_t seed) {
    return flatten(expand(unsqueeze(sequence(6, 8, seed), 2), {2, 6, times, 8}), 1, 2);
  };
  const Tensor x = repeated(5, 12), memory = repeated(3, 3);
  CHECK(largest_difference(layer(x), dense(x)) < 1e-7);
  CHECK(largest_difference(layer(x, {.memory = memory}), dense(x, {.memory = memory})) < 1e-7);
}

TEST_CASE("the iterations come to the inverse, and to the pseudo-inverse") {
  Generator g(4);
  const Tensor a = softmax(randn({3, 8, 8}, float64, g), -1);
  const auto distance = [&](int64_t n) {
    return largest_difference(matmul(a, iterative_pseudo_inverse(a, n)), expand(eye(8, 8, float64), {3, 8, 8}));
  };
  CHECK(distance(20) < 1e-11);
  CHECK(distance(6) > distance(9));
  const Tensor wide = randn({4, 7}, float64, g), z = iterative_pseudo_inverse(wide, 30);
  CHECK(z.shape() == Shape{7, 4});
  CHECK(largest_difference(matmul(matmul(wide, z), wide), wide) < 1e-11);
  CHECK(largest_difference(matmul(matmul(z, wide), z), z) < 1e-11);
  CHECK(largest_difference(transpose(matmul(z, wide), 0, 1), matmul(z, wide)) < 1e-11);
}

TEST_CASE("attention of low rank refuses what it has no way to do, and takes empty sequences") {
  const Tensor x = randn({1, 4, 8});
  CHECK_THROWS_WITH(nn::Linformer(8, 2, {.causal = true}), Catch::Contains("[Linformer] can't be causal"));
  CHECK_THROWS_WITH(nn::NystromAttention(8, 2, {.causal = true}), Catch::Contains("can't be causal"));
  CHECK_THROWS_WITH(nn::Linformer(8, 2, {.length = 3})(x),
                    Catch::Contains("4 keys; its projections end at length = 3"));
  CHECK_THROWS_WITH(nn::Linformer(8, 2, {.length = 0}), Catch::Contains("a length of 0"));
  CHECK_THROWS_WITH(nn::Linformer(8, 2, {.rank = 0}), Catch::Contains("a rank of 0"));
  CHECK_THROWS_WITH(nn::NystromAttention(8, 2, {.landmarks = 0}), Catch::Contains("number of landmarks of 0"));
  CHECK_THROWS_WITH(nn::NystromAttention(8, 2, {.iterations = -1}), Catch::Contains("-1 iterations"));
  CHECK_THROWS_WITH(nn::NystromAttention(8, 2).start(1), Catch::Contains("step by step"));
  CHECK_THROWS_WITH(nn::Linformer(8, 2)(x, {.mask = ones({4, 4}, boolean)}), Catch::Contains("takes no mask"));
  const Tensor none = zeros({2, 0, 8});
  CHECK(nn::Linformer(8, 2)(none).shape() == none.shape());
  CHECK(nn::NystromAttention(8, 2)(none).shape() == none.shape());
  CHECK(nn::NystromAttention(8, 2)(x, {.memory = zeros({1, 0, 8})}).shape() == x.shape());
  CHECK(isfinite(nn::NystromAttention(8, 2)(x, {.key_mask = zeros({1, 4}, boolean)})).all().item<bool>());
  CHECK(nn::Linformer(8, 2, {.rank = 16}).settings() == "8, 2, length = 512, rank = 16");
}

TEST_CASE("gradients of Linformer and NystromAttention") {
  check_layer(nn::Linformer(4, 2, {.length = 6, .rank = 3, .sharing = LinformerSharing::none}), {1, 4, 4});
  check_layer(nn::Linformer(4, 2, {.length = 6, .rank = 3}), {1, 4, 4});
  check_layer(nn::NystromAttention(4, 2, {.landmarks = 2, .iterations = 3}), {1, 5, 4});
}
