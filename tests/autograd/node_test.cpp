// The tape: lifetimes, long graphs, and what recording costs in memory.
#include <catch2/catch.hpp>

#include <cotangent/autograd/observer_internal.hpp>
#include <cotangent/cotangent.hpp>
#include <cotangent/tensor/memory/allocator_internal.hpp>

using namespace cotangent;

namespace {

Tensor leaf_of_ones(const Shape& shape = {1}) {
  Tensor x = ones(shape, float64);
  x.requires_grad_();
  return x;
}

/// A chain of `length` ops is built, differentiated and destroyed; and another is destroyed without being
/// differentiated.
void check_long_chain(const char* name, int length, Tensor (*step)(Tensor y, const Tensor& x), double expected) {
  INFO(name);
  const auto bytes = memory_stats().current_bytes;
  {
    Tensor x = leaf_of_ones();
    for (const bool differentiate : {true, false}) {
      Tensor y = x * 1;
      for (int i = 0; i < length; ++i) y = step(std::move(y), x);
      if (differentiate) sum(y).backward();
    }
    CHECK(x.grad().item() == Approx(expected));
  }
  CHECK(memory_stats().current_bytes == bytes);
}

void check_long_chains(int length) {
  check_long_chain(
      "without saved tensors", length, [](Tensor y, const Tensor&) { return y + 1.0; }, 1);
  check_long_chain(
      "saved inputs", length, [](Tensor y, const Tensor& x) { return y * x; }, length + 1);
  check_long_chain(
      "saved outputs", length, [](Tensor y, const Tensor&) { return sqrt(y); }, 0);
  check_long_chain(
      "views", length, [](Tensor y, const Tensor&) { return y.rank() == 1 ? y.unsqueeze(0) : y[0]; }, 1);
  check_long_chain(
      "saved views", length, [](Tensor y, const Tensor& x) { return (y.rank() == 1 ? y.unsqueeze(0) : y[0]) * x; },
      length + 1);
  check_long_chain(
      "in-place writes", length,
      [](Tensor y, const Tensor& x) {
        y.add_(x);
        return y;
      },
      length + 1);
  check_long_chain(
      "in-place writes to a view", length / 4,
      [](Tensor y, const Tensor& x) {
        slice(y, 0, 0, 1).add_(x);
        return y;
      },
      length / 4 + 1);
}

}  // namespace

TEST_CASE("chains of 10^5 ops need no stack") { check_long_chains(100'000); }
TEST_CASE("chains of 10^6 ops need no stack", "[slow]") { check_long_chains(1'000'000); }

TEST_CASE("a long chain is differentiated twice") {
  Tensor x = leaf_of_ones();
  Tensor y = x * 1;
  for (int i = 0; i < 20'000; ++i) y = y * 1.0 + x * x * 1e-4;
  const Tensor d = grad({y}, {x}, {.create_graph = true})[0];
  CHECK(d.item() == Approx(1 + 2 * 2));
  CHECK(grad({d}, {x})[0].item() == Approx(4));
}

TEST_CASE("a graph of 10^6 ops beside each other") {
  Tensor x = leaf_of_ones();
  Tensors parts;
  for (int i = 0; i < 100'000; ++i) parts.push_back(x * x);
  Tensor total = parts[0];
  while (parts.size() > 1) {
    Tensors sums;
    for (size_t i = 0; i + 1 < parts.size(); i += 2) sums.push_back(parts[i] + parts[i + 1]);
    if (parts.size() % 2) sums.push_back(parts.back());
    parts = std::move(sums);
  }
  parts[0].backward();
  CHECK(x.grad().item() == 200'000);
}

TEST_CASE("a warmed-up training step asks the system for nothing and leaves nothing behind") {
  Tensor w = leaf_of_ones({64, 64}), b = leaf_of_ones({64});
  const Tensor data = ones({64, 64}, float64);
  const auto step = [&] {
    Tensor h = data;
    for (int i = 0; i < 4; ++i) h = tanh(h * w + b);
    h = h + 1;
    h.mul_(0.5);
    h[0] = h[1] * 2;
    mean(h * h).backward();
    NoGrad guard;
    for (Tensor p : {w, b}) {
      p.sub_(p.grad() * 1e-3);
      p.set_grad({});
    }
  };
  for (int i = 0; i < 3; ++i) step();
  const MemoryStats before = memory_stats();
  for (int i = 0; i < 20; ++i) step();
  const MemoryStats after = memory_stats();
#ifndef COTANGENT_PLAIN_MALLOC
  CHECK(after.system_allocations == before.system_allocations);
#endif
  CHECK(after.current_bytes == before.current_bytes);
  CHECK(after.cached_bytes == before.cached_bytes);
  CHECK(after.allocations > before.allocations);
}

TEST_CASE("a graph goes when its last tensor goes") {
  const auto bytes = memory_stats().current_bytes;
  {
    Tensor x = leaf_of_ones({100}), w = leaf_of_ones({100});
    Tensor y;
    {
      const Tensor a = x * w, b = sin(a) * a, c = cat({a, b}, 0);
      y = sum(c);
      const auto with_graph = memory_stats().current_bytes;
      CHECK(with_graph > bytes + 4 * 800);
    }
    y.backward();
    y = Tensor();
    x.set_grad({}), w.set_grad({});
    const auto leaves_only = memory_stats().current_bytes;
    for (int i = 0; i < 10; ++i) sum(sin(x * w) * w).backward({.create_graph = true});
    for (int i = 0; i < 10; ++i)
      grad({grad({sum(sin(x * w))}, {x}, {.create_graph = true})[0]}, {w}, {.gradients = {ones({100}, float64)}});
    x.set_grad({}), w.set_grad({});
    CHECK(memory_stats().current_bytes == leaves_only);
  }
  CHECK(memory_stats().current_bytes == bytes);
}

TEST_CASE("an exception in backward leaks nothing") {
  const auto bytes = memory_stats().current_bytes;
  {
    Tensor x = leaf_of_ones({10});
    for (int i = 0; i < 3; ++i) {
      const Tensor a = x * x, y = sum(a * a);
      Tensor d = a.detach();
      d.add_(1);
      CHECK_THROWS_AS(y.backward(), GradError);
    }
  }
  CHECK(memory_stats().current_bytes == bytes);
}

TEST_CASE("backward frees what was saved as it goes, unless retain_graph") {
  Tensor x = leaf_of_ones({1000});
  const Tensor y = sum(exp(exp(x * 0.1)));
  const auto before = memory_stats().current_bytes;
  y.backward({.retain_graph = true});
  x.set_grad({});
  CHECK(memory_stats().current_bytes == before);
  y.backward();
  x.set_grad({});
  CHECK(memory_stats().current_bytes <= before - 2 * 8000);
}

namespace {
struct Scales {
  std::vector<double> values;
};
}  // namespace
template <>
inline constexpr bool cotangent::is_attribute<Scales> = true;

TEST_CASE("kept tensors: inputs, outputs and attributes live as long as the graph") {
  const auto bytes = memory_stats().current_bytes;
  {
    Tensor x = leaf_of_ones({3});
    Tensor y = record("scaled", {x, full({3}, 5, float64)}, x.detach() * 2, Keep::inputs(2) | Keep::output(),
                      Scales{{2.0, 3.0}}, [](const Backward& b, const Scales& s) -> Gradients {
                        CHECK(b.inputs() == 2);
                        CHECK(b.shape(0) == Shape{3});
                        CHECK(b.dtype(0) == float64);
                        CHECK(b.needs(0));
                        CHECK(equal(b.output(), b.input(0) * 2));
                        return {b.grad() * b.input(1) * s.values[1]};
                      });
    sum(y).backward();
    CHECK(equal(x.grad(), full({3}, 15, float64)));
  }
  CHECK(memory_stats().current_bytes == bytes);
}

TEST_CASE("an optional input may be undefined") {
  Tensor x = leaf_of_ones({3});
  const Tensor bias;
  const Tensor y = record("maybe_biased", {x, bias}, x.detach() * 2, Keep::inputs(2), NoAttributes{},
                          [](const Backward& b, NoAttributes) -> Gradients {
                            CHECK_FALSE(b.needs(1));
                            CHECK_FALSE(b.input(1).defined());
                            return {b.grad() * 2, Tensor()};
                          });
  sum(y).backward();
  CHECK(equal(x.grad(), full({3}, 2, float64)));
}

TEST_CASE("more inputs than Gradients holds inline") {
  Tensor x[6];
  Tensors inputs;
  for (Tensor& v : x) v = leaf_of_ones({2}), inputs.push_back(v);
  const Tensor y = record("many", std::span<const Tensor>(inputs), ones({2}, float64), Keep::nothing(), NoAttributes{},
                          [](const Backward& b, NoAttributes) -> Gradients {
                            Tensors g;
                            for (int i = 0; i < b.inputs(); ++i) g.push_back(b.grad() * (i + 1));
                            return g;
                          });
  sum(y).backward();
  for (int i = 0; i < 6; ++i) CHECK(equal(x[i].grad(), full({2}, i + 1, float64)));
}

TEST_CASE("an op without inputs that need a gradient is not recorded") {
  struct Counter : detail::Observer {
    int count = 0;
    void recorded(Node&, std::span<const TensorRef>, std::span<const Tensor>) override { ++count; }
  } counter;
  const Tensor x = ones({2});
  Tensor w = leaf_of_ones({2});
  x* x;
  CHECK(counter.count == 0);
  x* w;
  CHECK(counter.count > 0);
  counter.count = 0;
  {
    NoGrad guard;
    w* w;
  }
  CHECK(counter.count == 0);
}
