#include <cotangent/nn/reversible.hpp>

#include <catch2/catch.hpp>

#include <cotangent/cotangent.hpp>
#include <cotangent/tests/values.hpp>

#include "../check_gradients.hpp"

using namespace cotangent;

namespace {

nn::ReversibleBlock block(Dtype dtype = float64) {
  return {nn::Sequential(nn::LayerNorm(6, {.dtype = dtype}), nn::MultiHeadAttention(6, 2, {.dtype = dtype}),
                         nn::Dropout(0.3)),
          nn::Sequential(nn::Linear(6, 8, {.dtype = dtype}), nn::Tanh(), nn::Dropout(0.3),
                         nn::Linear(8, 6, {.dtype = dtype}))};
}
nn::ReversibleSequence sequence_of(size_t count, Dtype dtype = float64) {
  return nn::ReversibleSequence(nn::repeat(count, [&] { return block(dtype); }));
}
nn::ReversiblePair stored(nn::ReversibleSequence& s, Tensor x1, Tensor x2) {
  for (nn::ReversibleBlock& b : s.blocks) {
    x1 = x1 + b.f(x2);
    x2 = x2 + b.g(x1);
  }
  return {x1, x2};
}
Tensor leaf(const Shape& shape, uint64_t seed, Dtype dtype = float64) {
  Generator g(seed);
  return randn(shape, float64, g).to(dtype).detach().requires_grad_();
}
Tensor loss_of(const nn::ReversiblePair& y) { return sum(square(y.x1) * y.x2) + sum(sin(y.x2)); }

}  // namespace

TEST_CASE("ReversibleSequence gives what stored activations give, gradients and random numbers too") {
  nn::ReversibleSequence s = sequence_of(3);
  const Tensor x1 = leaf({2, 4, 6}, 1), x2 = leaf({2, 4, 6}, 2);
  const auto run = [&](auto f) {
    s.zero_grad();
    manual_seed(4);
    const nn::ReversiblePair y = f(s, x1, x2);
    const Tensor after = randn({3}, float64);
    Tensors all = grad({loss_of(y)}, {x1, x2}, {.retain_graph = true});
    loss_of(y).backward();
    all.insert(all.end(), {y.x1.detach(), y.x2.detach(), after, randn({3}, float64)});
    for (const Tensor& p : s.parameters()) all.push_back(p.grad().clone());
    return all;
  };
  for (bool training : {true, false}) {
    s.train(training);
    const Tensors results = run([](auto&m, auto&a, auto&b) { return m(a, b); }), expected = run(stored);
    REQUIRE(results.size() == 6 + 3 * 10);
    for (size_t i = 0; i < results.size(); ++i) CHECK(close(results[i], expected[i], 1e-12));
  }
}

TEST_CASE("ReversibleSequence: one stream for both, an output that nothing uses, no blocks, no gradients") {
  nn::ReversibleSequence s = sequence_of(2);
  s.eval();
  const Tensor x = leaf({2, 3, 6}, 3);
  CHECK(close(grad({loss_of(s(x, x))}, {x})[0], grad({loss_of(stored(s, x, x))}, {x})[0], 1e-12));
  CHECK(close(grad({sum(square(s(x, x).x1))}, {x})[0], grad({sum(square(stored(s, x, x).x1))}, {x})[0], 1e-12));
  CHECK(close(grad({sum(square(s(x, x.detach()).x2))}, {x})[0],
              grad({sum(square(stored(s, x, x.detach()).x2))}, {x})[0], 1e-12));
  nn::ReversibleSequence none({});
  CHECK(equal(none(x, x).x2, x));
  {
    NoGrad guard;
    CHECK(close(s(x, x).x1, stored(s, x, x).x1, 1e-12));
    CHECK_FALSE(s(x, x).x1.requires_grad());
  }
  CHECK(s(zeros({2, 0, 6}, float64), zeros({2, 0, 6}, float64)).x1.shape() == Shape{2, 0, 6});
}

TEST_CASE("the inverse of reversible blocks gives their input again") {
  nn::ReversibleSequence s = sequence_of(4);
  s.eval();
  const Tensor x1 = leaf({2, 4, 6}, 1), x2 = leaf({2, 4, 6}, 2);
  const nn::ReversiblePair y = s(x1, x2), x = s.inverse(y.x1, y.x2);
  CHECK(close(x.x1, x1, 1e-12));
  CHECK(close(x.x2, x2, 1e-12));
  const nn::ReversiblePair one = s.blocks[0](x1, x2), back = s.blocks[0].inverse(one.x1, one.x2);
  CHECK(close(back.x1, x1, 1e-13));
}

TEST_CASE("gradients of ReversibleSequence to second order, and beyond") {
  nn::ReversibleSequence s = sequence_of(2);
  CHECK_THAT(gradcheck(s, {leaf({1, 2, 6}, 1), leaf({1, 2, 6}, 2)}), GradientsAreRight());
  s.eval();
  const Tensor x = leaf({1, 2, 6}, 3);
  const auto third = [&](auto f) {
    Tensor y = loss_of(f(s, x, x * 2));
    for (int order = 0; order < 2; ++order) y = sum(sin(grad({y}, {x}, {.create_graph = true})[0]));
    return grad({y}, {x, s.parameters()[2]});
  };
  const Tensors results = third([](auto&m, const Tensor&a, const Tensor&b) { return m(a, b); }),
                expected = third(stored);
  for (size_t i = 0; i < 2; ++i) CHECK(close(results[i], expected[i], 1e-9));
}

TEST_CASE("reversible blocks in low precision differ by roundings") {
  for (Dtype dtype : {float32, bfloat16, float16}) {
    nn::ReversibleSequence s = sequence_of(2, dtype);
    s.eval();
    const Tensor x = leaf({2, 3, 6}, 3, dtype);
    const double unit = dtype == float32 ? 1e-6 : dtype == float16 ? 1e-2 : 1e-1;
    const Tensor a = grad({loss_of(s(x, x))}, {x})[0], b = grad({loss_of(stored(s, x, x))}, {x})[0];
    CHECK(close(a.to(float64), b.to(float64), unit * max(abs(b)).to(float64).item()));
  }
}

TEST_CASE("what the functions of a reversible block capture has its gradient, and must not be written") {
  Tensor scale = leaf({2, 6}, 5);
  const Tensor made = scale * 2;  // with a history of its own
  nn::ReversibleBlock b([&](const Tensor& x) { return sin(x) * made; }, [&](const Tensor& x) { return x * scale; });
  const Tensor x = leaf({2, 6}, 6);
  const auto plain = [&] {
    const Tensor y1 = x + sin(x) * made;
    return nn::ReversiblePair{y1, x + y1 * scale};
  };
  const Tensors results = grad({loss_of(b(x, x))}, {x, scale}, {.retain_graph = true}),
                expected = grad({loss_of(plain())}, {x, scale}, {.retain_graph = true});
  for (size_t i = 0; i < 2; ++i) CHECK(close(results[i], expected[i], 1e-12));
  const nn::ReversiblePair y = b(x, x);
  {
    NoGrad guard;
    scale.mul_(2);
  }
  CHECK_THROWS_WITH(loss_of(y).backward(),
                    Catch::Contains("[reversible] a tensor of shape (2, 6) that the function reads"));
  // what is read through a view, and what has no history
  const Tensor row = leaf({6}, 7), plain_row = row.detach() * 1;
  nn::ReversibleBlock of_rows([&](const Tensor& t) { return t * row; }, [&](const Tensor& t) { return t * plain_row; });
  for (const Tensor& written : {row, plain_row}) {
    const nn::ReversiblePair z = of_rows(x, x);
    written.detach().add_(1);
    CHECK_THROWS_WITH(loss_of(z).backward(),
                      Catch::Contains("[reversible] a tensor of shape (2, 6) that the function reads was written"));
  }
  CHECK_THROWS_WITH(nn::ReversibleBlock(nn::Linear(6, 5), nn::Linear(6, 6))(x.to(float32), x.to(float32)),
                    Catch::Contains("a function turns float32 (2, 6) into float32 (2, 5)"));
  CHECK_THROWS_WITH(b(x, leaf({3, 6}, 1)), Catch::Contains("must have one shape"));
}

TEST_CASE("the memory of reversible blocks does not grow with their number") {
  const int64_t n = 1 << 16;
  const auto peak = [&](int depth, bool recompute) {
    const auto body = [] { return nn::Sequential([](const Tensor& x) { return tanh(sin(x)); }); };
    nn::ReversibleSequence s(
        nn::repeat(static_cast<size_t>(depth), [&] { return nn::ReversibleBlock(body(), body()); }));
    const Tensor x = leaf({n}, 1);
    const int64_t before = memory_stats().current_bytes;
    reset_peak_memory();
    const nn::ReversiblePair y = recompute ? s(x, x) : stored(s, x, x);
    (sum(y.x1) + sum(y.x2)).backward();
    return double(memory_stats().peak_bytes - before) / double(n * item_size(float64));
  };
  peak(2, true);
  const double few = peak(4, true), many = peak(32, true), kept = peak(32, false);
  std::printf("reversible: the peak is %.1f activations for 4 blocks, %.1f for 32, and %.1f stored\n", few, many, kept);
  CHECK(many < few + 1);
  CHECK(kept > 5 * many);
}
