// The scan is its recurrence step by step, with its gradients, whatever the decays; none looks ahead.
#include <cotangent/autograd/ops/gated_linear_attention.hpp>

#include <limits>

#include <catch2/catch.hpp>
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>

using namespace cotangent;

namespace {

constexpr double kForget = -std::numeric_limits<double>::infinity();

struct Given {
  Tensor q, k, v, decay, state;
  Tensors all() const { return {q, k, v, decay, state}; }
};
Given given(int64_t length, const Shape& decay, double low, double high, int64_t groups = 2, int64_t m = 9,
            int64_t n = 70) {
  Generator g(3);
  return {randn({2, groups, length, m}, float64, g), randn({2, groups, length, m}, float64, g),
          randn({2, 2, length, n}, float64, g), uniform_(empty(decay, float64), low, high, g),
          randn({2, 2, m, n}, float64, g)};
}

/// Step by step, in differentiable ops.
GatedLinearSequence recurrent(const Given& x) {
  const int64_t H = x.v.size(1), T = x.v.size(2), m = x.q.size(3);
  const auto heads = [&](const Tensor& t) { return expand(t, {2, H, T, m}); };
  const Tensor q = heads(x.q), k = heads(x.k), a = exp(expand(x.decay, {2, H, T, x.decay.size(-1)}));
  Tensor s = x.state;
  Tensors rows;
  for (int64_t t = 0; t < T; ++t) {
    s = unsqueeze(select(a, 2, t), -1) * s + unsqueeze(select(k, 2, t), -1) * unsqueeze(select(x.v, 2, t), -2);
    rows.push_back(matmul(unsqueeze(select(q, 2, t), -2), s));
  }
  return {cat(rows, 2), s};
}

/// Results and gradients of both, for random cotangents, agree.
void check_recurrent(const Given& x) {
  Tensors leaves;
  for (const Tensor& t : x.all()) leaves.push_back(t.clone().requires_grad_());
  const Given y{leaves[0], leaves[1], leaves[2], leaves[3], leaves[4]};
  const auto results = [&](const GatedLinearSequence& r) {
    Generator g(5);
    const Tensors outputs{r.output, r.state},
        cotangents{randn(r.output.shape(), float64, g), randn(r.state.shape(), float64, g)};
    Tensors all = grad(outputs, leaves, {.gradients = cotangents});
    all.push_back(r.output), all.push_back(r.state);
    return all;
  };
  const Tensors got = results(gated_linear_attention(y.q, y.k, y.v, y.decay, y.state)),
                expected = results(recurrent(y));
  for (size_t i = 0; i < got.size(); ++i) {
    INFO("result " << i << " at length " << x.v.size(2));
    CHECK(all(isfinite(got[i])).item<bool>());
    CHECK(allclose(got[i], expected[i], 1e-11, 1e-11));
  }
}

}  // namespace

TEST_CASE("gated linear attention is its recurrence, at lengths around those of a chunk") {
  for (const int64_t length : {1, 31, 32, 33, 65, 130}) {
    check_recurrent(given(length, {2, 1, 1}, -1, 0));
    check_recurrent(given(length, {2, 2, length, 1}, -1, 0, 1));
    check_recurrent(given(length, {2, 2, length, 9}, -1, 0));
    check_recurrent(given(length, {2, 2, length, 9}, -1, 0, 1));
  }
  check_recurrent(given(40, {2, 2, 40, 33}, -1, 0, 1, 33, 1));
}

TEST_CASE("gated linear attention is exact for decays near 0 and near 1") {
  for (const auto& [low, high] : {std::pair(-1e-9, 0.0), std::pair(-900.0, -30.0), std::pair(-60.0, 0.0)}) {
    check_recurrent(given(70, {2, 2, 70, 1}, low, high));
    check_recurrent(given(70, {2, 2, 70, 9}, low, high));
  }
}

TEST_CASE("a log decay of minus infinity forgets everything, and has no gradient") {
  for (const int64_t channels : {1, 9}) {
    Given x = given(50, {2, 2, 50, channels}, -1, 0);
    select(x.decay, 2, 37).fill_(kForget);
    Tensor decay = x.decay.clone().requires_grad_(), k = x.k.clone().requires_grad_();
    const auto [y, state] = gated_linear_attention(x.q, k, x.v, decay, x.state);
    const auto late = [](const Tensor& t) { return narrow(t, 2, 37, 13); };
    const auto [alone, end] = gated_linear_attention(late(x.q), late(x.k), late(x.v), late(x.decay));
    CHECK(equal(late(y), alone));
    CHECK(equal(state, end));
    (sum(late(y) * late(y)) + sum(state)).backward();
    CHECK(all(select(decay.grad(), 2, 37) == 0).item<bool>());
    CHECK(all(narrow(k.grad(), 2, 0, 37) == 0).item<bool>());
    CHECK(all(narrow(decay.grad(), 2, 38, 12) != 0).item<bool>());
  }
}

TEST_CASE("gated linear attention over no steps leaves the state as it is") {
  const Given x = given(0, {2, 2, 0, 9}, -1, 0);
  Tensor start = x.state.clone().requires_grad_();
  const auto [y, state] = gated_linear_attention(x.q, x.k, x.v, x.decay, start);
  CHECK(y.shape() == Shape{2, 2, 0, 70});
  CHECK(equal(state, x.state));
  sum(state * 3).backward();
  CHECK(all(start.grad() == 3).item<bool>());
  const auto none = gated_linear_attention(x.q, x.k, x.v, x.decay);
  CHECK(all(none.state == 0).item<bool>());
}

TEST_CASE("gated linear attention does not look ahead, not even at NaN, for any number of threads") {
  const Given x = given(70, {2, 2, 70, 9}, -1, 0);
  const Tensor whole = gated_linear_attention(x.q, x.k, x.v, x.decay, x.state).output;
  select(x.v, 2, 50).fill_(std::numeric_limits<double>::quiet_NaN());
  select(x.decay, 2, 51).fill_(7);
  for (int threads : {1, 3}) {
    set_num_threads(threads);
    const Tensor y = gated_linear_attention(x.q, x.k, x.v, x.decay, x.state).output;
    CHECK(equal(narrow(y, 2, 0, 50), narrow(whole, 2, 0, 50)));
    CHECK(all(isnan(select(y, 2, 50))).item<bool>());
  }
  set_num_threads(2);
}
