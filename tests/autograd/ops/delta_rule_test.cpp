// The identities of the delta rule, long sequences, and what stays where it is: NaN, later steps, memory.
#include <cotangent/autograd/ops/delta_rule.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/decomposition.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/linear_attention.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/statistics.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/memory/allocator.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {

struct DeltaSample {
  DeltaSample(const Shape& keys, int64_t n, uint64_t seed, Dtype dtype = float64) {
    Generator g(seed);
    const Shape steps = keys.slice(0, 3);
    Shape values = keys;
    values.back() = n;
    const auto draw = [&](const Shape& shape) { return to(randn(shape, float64, g), dtype); };
    q = draw(keys), v = draw(values), k = draw(keys);
    k = k / norm(k, 2, -1, true);
    beta = sigmoid(draw(steps)), decay = -abs(draw(steps)) * 0.1;
    for (Tensor* x : all()) *x = x->detach();
  }
  Tensor q, k, v, beta, decay;
  std::vector<Tensor*> all() { return {&q, &k, &v, &beta, &decay}; }
};

}  // namespace

TEST_CASE("delta rule: for orthonormal keys and beta = 1 it is linear attention") {
  const int64_t T = 6;
  Generator g(1);
  const Tensor keys = reshape(linalg::qr(randn({8, 8}, float64, g)).Q, {1, 1, 8, 8});
  const Tensor k = narrow(keys, 2, 0, T), q = randn({1, 1, T, 8}, float64, g), v = randn({1, 1, T, 3}, float64, g);
  CHECK(close(delta_rule(q, k, v, ones({1, 1, T}, float64)).output, causal_product(q, k, v)));
}

TEST_CASE("delta rule: beta = 0 keeps the state, beta = 1 replaces what a key had") {
  const DeltaSample x({1, 2, 5, 4}, 3, 2);
  Generator g(3);
  const Tensor start = randn({1, 2, 4, 3}, float64, g);
  CHECK(equal(delta_rule(x.q, x.k, x.v, zeros({1, 2, 5}, float64), {}, start).state, start));
  // the same key again and again: the last value counts, whatever was there before
  const Tensor key = expand(narrow(x.k, 2, 0, 1), x.k.shape());
  const auto [y, state] = delta_rule(key, key, x.v, ones({1, 2, 5}, float64), {}, start);
  CHECK(close(y, x.v, 1e-13));
  CHECK(close(matmul(narrow(key, 2, 0, 1), state), narrow(x.v, 2, 4, 1), 1e-13));
  // a decay of -infinity forgets the past
  Tensor forget = zeros({1, 2, 5}, float64);
  forget.select(2, 3).fill_(-INFINITY);
  const auto from = [](const Tensor& t) { return narrow(t, 2, 3, 2); };
  CHECK(close(from(delta_rule(x.q, x.k, x.v, x.beta, forget, start).output),
              delta_rule(from(x.q), from(x.k), from(x.v), from(x.beta)).output, 1e-15));
}

TEST_CASE("delta rule: long sequences, any cut and any number of threads give the same") {
  // more columns and rows than a task, a tile and a vector have, and steps that fill no last chunk
  for (const auto& [m, n] : {std::pair<int64_t, int64_t>(5, 70), {33, 9}, {16, 16}}) {
    DeltaSample x({2, 1, 75, m}, n, 4);
    for (Tensor* t : x.all()) t->requires_grad_();
    const auto loss = [&](int64_t piece) {
      Tensor total = zeros({}, float64), state;
      for (int64_t t = 0; t < 75; t += piece) {
        const auto part = [&](const Tensor& of) { return narrow(of, 2, t, std::min(piece, 75 - t)); };
        const DeltaSequence s = delta_rule(part(x.q), part(x.k), part(x.v), part(x.beta), part(x.decay), state);
        total = total + sum(square(s.output)), state = s.state;
      }
      return total + sum(state);
    };
    const Tensors leaves{x.q, x.k, x.v, x.beta, x.decay};
    const Tensor whole = loss(75);
    const Tensors expected = grad({whole}, leaves);
    for (const int64_t piece : {1, 7, 32, 50}) {
      INFO(piece);
      const Tensor cut = loss(piece);
      CHECK(cut.item() == Approx(whole.item()).epsilon(1e-13));
      const Tensors got = grad({cut}, leaves);
      for (size_t i = 0; i < got.size(); ++i) CHECK(close(got[i], expected[i], 1e-11));
    }
    const int before = num_threads();
    set_num_threads(3);
    const Tensors again = grad({loss(75)}, leaves);
    set_num_threads(before);
    for (size_t i = 0; i < again.size(); ++i) CHECK(equal(again[i], expected[i]));
  }
}

TEST_CASE("delta rule: no bit of an output depends on later steps, and NaN stays in its column") {
  const DeltaSample x({1, 1, 70, 4}, 3, 5);
  const Tensor y = delta_rule(x.q, x.k, x.v, x.beta, x.decay).output;
  const auto spoilt = [](const Tensor& t, double by) {
    Tensor other = t.clone();
    other.narrow(2, 40, 30).fill_(by);
    return other;
  };
  for (const double by : {7.0, static_cast<double>(NAN)}) {
    const Tensor z =
        delta_rule(spoilt(x.q, by), spoilt(x.k, by), spoilt(x.v, by), spoilt(x.beta, by), spoilt(x.decay, -by)).output;
    CHECK(equal(narrow(z, 2, 0, 40), narrow(y, 2, 0, 40)));
  }
  Tensor v = x.v.clone();
  v.data<double>()[0] = NAN;
  const Tensor z = delta_rule(x.q, x.k, v, x.beta, x.decay).output;
  CHECK(equal(narrow(z, 3, 1, 2), narrow(y, 3, 1, 2)));
  CHECK(all(isnan(select(z, 3, 0))).item<bool>());
}

TEST_CASE("delta rule: decays that forget everything have finite gradients") {
  DeltaSample x({1, 1, 40, 4}, 3, 6, float32);
  x.decay = full({1, 1, 40}, -200.0, float32);
  for (Tensor* t : x.all()) t->requires_grad_();
  const Tensors got =
      grad({sum(square(delta_rule(x.q, x.k, x.v, x.beta, x.decay).output))}, {x.q, x.k, x.v, x.beta, x.decay});
  for (const Tensor& g : got) CHECK(all(isfinite(g)).item<bool>());
}

TEST_CASE("delta rule: memory is linear in the length, forwards and backwards") {
  const auto peak = [](int64_t T) {
    DeltaSample x({1, 1, T, 16}, 16, 7, float32);
    for (Tensor* t : x.all()) t->requires_grad_();
    reset_peak_memory();
    const int64_t before = memory_stats().peak_bytes;
    sum(delta_rule(x.q, x.k, x.v, x.beta, x.decay).output).backward();
    return static_cast<double>(memory_stats().peak_bytes - before);
  };
  const double ratio = peak(4096) / peak(1024);
  CHECK(ratio > 3);
  CHECK(ratio < 5);
}
