// What the op table does not show: tiles against the whole matrix, what is masked, extremes, and memory.
#include <cotangent/autograd/ops/attention.hpp>

#include <cmath>
#include <limits>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/memory/allocator.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

#include "../../check_gradients.hpp"

using namespace cotangent;

namespace {

/// As the definition reads, over the whole matrix, with keys repeated for their group of queries.
Tensor dense(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& o) {
  const int64_t members = q.size(1) / k.size(1);
  auto repeated = [&](const Tensor& x) {
    return flatten(expand(unsqueeze(x, 2), {x.size(0), x.size(1), members, x.size(2), x.size(3)}), 1, 2);
  };
  Tensor s = matmul(q, transpose(repeated(k), 2, 3)) / std::sqrt(static_cast<double>(q.size(3)));
  const double hidden = -std::numeric_limits<double>::infinity();
  if (o.mask.defined()) s = o.mask.dtype() == boolean ? where(o.mask, s, hidden) : s + o.mask;
  if (o.distance_bias.defined()) s = s + toeplitz(o.distance_bias, q.size(2), k.size(2));
  if (o.causal) {
    const int64_t rows = s.size(2), columns = s.size(3);
    s = masked_fill(s, arange(columns) > unsqueeze(arange(columns - rows, columns), 1), hidden);
  }
  const Tensor e = exp(s - amax(s.detach(), -1, true));
  return matmul(e / sum(e, -1, true), repeated(v));
}

void compare(int64_t queries, int64_t keys, int64_t groups, const AttentionOptions& o) {
  INFO(queries << " queries, " << keys << " keys, " << groups << " groups");
  Tensors x{randn({1, 4, queries, 3}, float64), randn({1, groups, keys, 3}, float64),
            randn({1, groups, keys, 5}, float64)};
  if (o.distance_bias.defined()) x.push_back(o.distance_bias);
  for (Tensor& t : x) t.requires_grad_();
  const Tensor y = scaled_dot_product_attention(x[0], x[1], x[2], o), expected = dense(x[0], x[1], x[2], o);
  CHECK(close(y, expected));
  const Tensor dy = groups == 2 ? transpose(randn({1, 4, 5, queries}, float64), 2, 3) : randn(y.shape(), float64);
  y.backward(dy);
  Tensors gradients;
  for (Tensor& t : x) gradients.push_back(t.grad()), t.set_grad({});
  expected.backward(dy);
  for (size_t i = 0; i < x.size(); ++i) CHECK(close(gradients[i], x[i].grad()));
}

}  // namespace

TEST_CASE("attention by tiles equals attention over the whole matrix, gradients included", "[products]") {
  // tiles are 64 x 256
  for (auto [queries, keys] : {std::pair{1, 1}, {3, 5}, {64, 256}, {65, 257}, {130, 300}})
    for (int64_t groups : {4, 2, 1}) {
      compare(queries, keys, groups, {});
      compare(queries, keys, groups, {.causal = true});
      compare(queries, keys, groups, {.mask = randn({4, queries, keys}, float64), .causal = true});
      Tensor seen = rand({1, 1, queries, keys}) < 0.5;
      seen.select(3, 0).fill_(true);  // no row may be empty here
      compare(queries, keys, groups, {.mask = seen});
      compare(queries, keys, groups, {.mask = seen, .distance_bias = randn({4, queries + keys - 1}, float64)});
      compare(queries, keys, groups, {.causal = true, .distance_bias = randn({1, queries + keys - 1}, float64)});
    }
}

TEST_CASE("masks of attention", "[products]") {
  const Tensor q = randn({2, 2, 3, 4}, float64), k = randn({2, 2, 5, 4}, float64), v = randn({2, 2, 5, 4}, float64);
  const Tensor seen = tensor({{1, 0, 1, 1, 0}, {0, 1, 0, 0, 0}, {1, 1, 1, 0, 0}}, boolean);
  const double no = -std::numeric_limits<double>::infinity();
  CHECK(equal(scaled_dot_product_attention(q, k, v, {.mask = seen}),
              scaled_dot_product_attention(q, k, v, {.mask = where(seen, zeros({3, 5}, float64), no)})));
  // a query of 0 takes the mean of what it may see
  const Tensor y = scaled_dot_product_attention(zeros_like(q), k, v, {.mask = seen});
  CHECK(close(y.select(2, 1), v.select(2, 1)));
  CHECK(close(y.select(2, 2), mean(v.narrow(2, 0, 3), 2)));
  // keys that nobody may see change nothing, whatever they are
  Tensor wild = k.clone();
  wild.narrow(2, 3, 2).fill_(1e300);
  const Tensor three = tensor({1, 1, 1, 0, 0}, boolean);
  CHECK(close(scaled_dot_product_attention(q, wild, v, {.mask = three}),
              scaled_dot_product_attention(q, k.narrow(2, 0, 3), v.narrow(2, 0, 3))));
}

TEST_CASE("a row that sees nothing gives 0 and takes no gradient") {
  Tensors x{randn({1, 1, 3, 2}, float64), randn({1, 1, 4, 2}, float64), randn({1, 1, 4, 2}, float64)};
  for (Tensor& t : x) t.requires_grad_();
  const Tensor seen = tensor({{1, 0, 1, 0}, {0, 0, 0, 0}, {1, 1, 1, 0}}, boolean);
  const double no = -std::numeric_limits<double>::infinity();
  for (const Tensor& mask : {seen, where(seen, zeros({3, 4}, float64), no)}) {
    const Tensor y = scaled_dot_product_attention(x[0], x[1], x[2], {.mask = mask});
    CHECK(equal(y.select(2, 1), zeros({1, 1, 2}, float64)));
    y.backward(ones_like(y));
    CHECK(equal(x[0].grad().select(2, 1), zeros({1, 1, 2}, float64)));
    CHECK(equal(x[2].grad().select(2, 3), zeros({1, 1, 2}, float64)));
    for (Tensor& t : x) {
      CHECK(all(isfinite(t.grad())).item<bool>());
      t.set_grad({});
    }
  }
}

TEST_CASE("scores of +-1e4 stay finite") {
  for (Dtype dtype : {float32, float64}) {
    Tensors x{full({1, 1, 70, 1}, 100, dtype), full({1, 1, 300, 1}, 100, dtype), randn({1, 1, 300, 2}, dtype)};
    x[1].narrow(2, 0, 150).fill_(-100);
    for (Tensor& t : x) t.requires_grad_();
    const Tensor y = scaled_dot_product_attention(x[0], x[1], x[2]);
    CHECK(allclose(y[0][0][0], mean(x[2].narrow(2, 150, 150), 2)[0][0], 0, 1e-5));
    y.backward(ones_like(y));
    for (const Tensor& t : x) CHECK(all(isfinite(t.grad())).item<bool>());
  }
}

TEST_CASE("a bias by distance: what it hides, and what is hidden beside it, is without effect") {
  const double no = -std::numeric_limits<double>::infinity();
  const Tensor bias =
      tensor({{0.5, -1.0, 0.25, 2.0, -0.5, 1.0, no}}, float64).requires_grad_();  // query 3 sees no key 0
  Tensors x{randn({2, 2, 4, 3}, float64), randn({2, 2, 4, 3}, float64), randn({2, 2, 4, 3}, float64)};
  x[1].select(2, 2).fill_(std::numeric_limits<double>::quiet_NaN());
  x[2].select(2, 2).fill_(std::numeric_limits<double>::quiet_NaN());
  const Tensor kept = tensor({0, 1, 3});
  const Tensor y =
      scaled_dot_product_attention(x[0], x[1], x[2], {.mask = tensor({1, 1, 0, 1}, boolean), .distance_bias = bias});
  const Tensor without = index_select(toeplitz(bias, 4, 4), 2, kept);
  const Tensor expected =
      scaled_dot_product_attention(x[0], index_select(x[1], 2, kept), index_select(x[2], 2, kept), {.mask = without});
  CHECK(close(y, expected));
  const Tensor dy = randn(y.shape(), float64);
  y.backward(dy);
  const Tensor gradient = bias.grad();
  bias.set_grad({});
  expected.backward(dy);
  CHECK(close(gradient, bias.grad()));
  CHECK(gradient[0][6].item() == 0);
}

TEST_CASE("the gradient of a bias by distance does not depend on the number of threads") {
  const Tensor q = randn({2, 4, 150, 8}), k = randn({2, 2, 150, 8}), dy = randn({2, 4, 150, 8});
  const auto gradient = [&](int threads) {
    set_num_threads(threads);
    const Tensor bias = zeros({4, 299}).requires_grad_();
    scaled_dot_product_attention(q, k, k, {.causal = true, .distance_bias = bias}).backward(dy);
    return bias.grad();
  };
  const int before = num_threads();
  const Tensor one = gradient(1), three = gradient(3);
  set_num_threads(before);
  CHECK(equal(one, three));
}

TEST_CASE("attention's memory grows with the length, not with its square") {
  auto peak = [](int64_t length) {
    Tensors x;
    for (int i = 0; i < 3; ++i) x.push_back(randn({1, 1, length, 16}).requires_grad_());
    const Tensor bias = randn({1, 2 * length - 1}).requires_grad_();
    const int64_t before = memory_stats().current_bytes;
    reset_peak_memory();
    const Tensor y = scaled_dot_product_attention(x[0], x[1], x[2], {.causal = true, .distance_bias = bias});
    y.backward(ones_like(y));
    return static_cast<double>(memory_stats().peak_bytes - before);
  };
  const double few = peak(1024), many = peak(4096);
  CHECK(many < 5 * few);
  CHECK(many < 4096.0 * 4096);  // a quarter of one float32 matrix of scores
}

TEST_CASE("attention's dropout is drawn again in the backward pass") {
  const Tensor q = randn({1, 2, 3, 2}, float64), k = randn({1, 1, 4, 2}, float64);
  check_gradients(
      [&] {
        manual_seed(3);
        return scaled_dot_product_attention(q, k, k, {.causal = true, .dropout = 0.4});
      },
      {q, k});
}

TEST_CASE("attention: weights sum to 1 however large the scores are") {
  // exp(s - (max + log sum)) would lose the logarithm of the sum
  for (const auto& [dtype, size] : {std::pair(float32, 1e9), {float64, 1e17}, {bfloat16, 1e9}, {float16, 6e4}})
    for (bool added : {true, false})
      for (bool create_graph : {false, true}) {
        INFO(name(dtype) << (added ? ", by a mask" : ", by keys") << (create_graph ? ", of second order" : ""));
        const Tensor q = ones({1, 1, 1, 1}, dtype).requires_grad_(), v = ones({1, 1, 4, 1}, dtype).requires_grad_(),
                     k = full({1, 1, 4, 1}, added ? 1 : size, dtype).requires_grad_();
        const Tensor mask = added ? full({1, 4}, -size, dtype) : Tensor();
        const Tensor y = scaled_dot_product_attention(q, k, v, {.mask = mask});
        const Tensors g = grad({sum(square(y))}, {q, k, v}, {.create_graph = create_graph});
        CHECK(to_values(y) == Values{1});
        CHECK(to_values(g[0]) == Values{0});
        CHECK(to_values(g[1]) == Values(4, 0));
        CHECK(to_values(g[2]) == Values(4, 0.5));
        if (create_graph) CHECK(to_values(grad({sum(square(g[2]))}, {v})[0]) == Values(4, 0.5));
      }
}

TEST_CASE("attention says what does not fit together") {
  const auto said = [](const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& o) {
    return error_of([&] { scaled_dot_product_attention(q, k, v, o); });
  };
  const Tensor q = randn({1, 2, 3, 4});
  using Catch::Contains;
  CHECK_THAT(said(q, randn({2, 3, 4}), q, {}), Contains("(2, 3, 4) and (1, 2, 3, 4) must have the same rank"));
  CHECK_THAT(said(randn({4}), randn({4}), randn({4}), {}), Contains("the same rank, 2 at least"));
  CHECK_THAT(said(q, q.to(float64), q, {}), Contains("float32, float64 and float32; they must have one floating"));
  CHECK_THAT(said(q, q, q, {.mask = ones({5}, boolean)}), Contains("(5,)"));
  CHECK_THAT(said(q, q, q, {.mask = ones({3, 3}, int64)}), Contains("the mask is int64; it must be bool"));
  CHECK_THAT(said(q, q, q, {.dropout = 1}), Contains("dropout 1 must be at least 0 and below 1"));
}

TEST_CASE("attention takes a mask of the keys alone, for inputs of any rank") {
  const Tensor q = randn({2, 1, 2, 3, 4}, float64), k = randn({2, 1, 2, 5, 4}, float64),
               v = randn({2, 1, 2, 5, 4}, float64);
  const Tensor keys = tensor({true, false, true, true, false});
  const Tensor y = scaled_dot_product_attention(q, k, v, {.mask = keys});
  const Tensor heads = scaled_dot_product_attention(flatten(q, 0, 1), flatten(k, 0, 1), flatten(v, 0, 1),
                                                    {.mask = expand(keys, {2, 2, 3, 5})});
  CHECK(y.to_vector<double>() == heads.to_vector<double>());
}
