// Backward passes of several threads: into shared leaves with hooks, and over one graph.
#include <catch2/catch.hpp>

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include <cotangent/cotangent.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {

constexpr int kThreads = 8, kPasses = 60;

Tensor leaf(const Values& values) {
  Tensor x = from_vector(values, {int64_t(values.size())});
  x.requires_grad_();
  return x;
}

void in_threads(const std::function<void(int thread)>& f) {
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) threads.emplace_back(f, t);
  for (std::thread& t : threads) t.join();
}

/// Runs a pass; whether it was not refused because of another one. Any other error is a failure.
bool gets_through(std::atomic<int>& wrong, const std::function<void()>& pass) {
  try {
    pass();
    return true;
  } catch (const GradError& error) {
    const std::string text = error.what();
    if (text.find("is being differentiated by another pass") == text.npos &&
        text.find("was freed by an earlier backward pass") == text.npos)
      ++wrong;
    return false;
  }
}

}  // namespace

TEST_CASE("threads: passes share a leaf with hooks: each hook sees every pass, one at a time", "[threads]") {
  Tensor w = leaf({1, 2, 3});
  std::atomic<int> calls{0}, inside{0}, overlaps{0}, wrong{0};
  w.register_hook([&](const Tensor& g) {
    overlaps += ++inside > 1;
    std::this_thread::yield();
    wrong += to_values(g) != Values{7, 7, 7};
    g.detach().mul_(2);
    ++calls;
    --inside;
  });
  w.register_hook([&](const Tensor& g) { return g + 1; });
  in_threads([&](int) {
    for (int i = 0; i < kPasses; ++i) {
      Tensor y = w * 2;
      for (int k = 0; k < 5; ++k) y = y + w;
      sum(y).backward();
      wrong += to_values(grad({sum(w * 7)}, {w})[0]) != Values{15, 15, 15};
    }
  });
  CHECK(wrong == 0);
  CHECK(overlaps == 0);
  CHECK(calls == 2 * kThreads * kPasses);
  CHECK(to_values(w.grad()) == Values(3, 15.0 * kThreads * kPasses));
}

TEST_CASE("threads: a hook of a shared leaf may remove itself, and run a pass", "[threads]") {
  Tensor w = leaf({1, 2});
  std::atomic<int> calls{0}, wrong{0};
  int key = -1;
  key = w.register_hook([&](const Tensor&) {
    if (++calls == 5) w.remove_hook(key);
  });
  w.register_hook([&](const Tensor& g) {
    const EnableGrad guard;
    Tensor x = leaf({3});
    wrong += to_values(grad({x * x}, {x})[0]) != Values{6};
    return g * 2;
  });
  in_threads([&](int) {
    for (int i = 0; i < kPasses; ++i) sum(w * 3).backward();
  });
  CHECK(calls == 5);
  CHECK(wrong == 0);
  CHECK(to_values(w.grad()) == Values(2, 6.0 * kThreads * kPasses));
}

TEST_CASE("threads: passes over one retained graph are right, or a GradError", "[threads]") {
  Tensor w = leaf({0.5, 1, 2});
  Tensor y = w;
  for (int i = 0; i < 60; ++i) y = tanh(y) * 1.5 + exp(y * -1);
  const Tensor loss = sum(y);
  const Values expected = to_values(grad({loss}, {w}, {.retain_graph = true})[0]);
  std::atomic<int> through{0}, wrong{0};
  in_threads([&](int thread) {
    for (int i = 0; i < kPasses; ++i)
      through += gets_through(wrong, [&] {
        if (thread % 2)
          wrong += to_values(grad({loss}, {w}, {.retain_graph = true})[0]) != expected;
        else
          wrong += to_values(grad({sum(grad({loss}, {w}, {.create_graph = true})[0])}, {w}, {.retain_graph = true})[0])
                       .size() != 3;
      });
  });
  CHECK(wrong == 0);
  CHECK(through >= 1);
  CHECK_FALSE(w.grad().defined());
  // backward() adds to the leaf with its last op, or not at all
  through = 0;
  in_threads([&](int) {
    for (int i = 0; i < kPasses; ++i) through += gets_through(wrong, [&] { loss.backward({.retain_graph = true}); });
  });
  CHECK(wrong == 0);
  REQUIRE(through >= 1);
  const Values sum_of_all = to_values(w.grad());
  for (size_t i = 0; i < 3; ++i) CHECK(sum_of_all[i] == Approx(through * expected[i]).epsilon(1e-12));
  CHECK(to_values(grad({loss}, {w})[0]) == expected);  // nothing is left of the passes that failed
}

TEST_CASE("threads: of passes over a graph that nobody retains, one is right and the others are a GradError",
          "[threads]") {
  for (int round = 0; round < 20; ++round) {
    Tensor w = leaf({0.5, 1, 2});
    Tensor y = w;
    for (int i = 0; i < 30; ++i) y = tanh(y) + y * y * 0.01;
    y.register_hook([](const Tensor&) { std::this_thread::yield(); });
    y = sum(y * y);
    std::atomic<int> through{0}, wrong{0};
    in_threads([&](int) { through += gets_through(wrong, [&] { y.backward(); }); });
    CHECK(wrong == 0);
    CHECK(through == 1);
    CHECK(w.grad().defined());
  }
}

TEST_CASE("threads: losses over a common trunk, with hooks and retained gradients in it", "[threads]") {
  Tensor w = leaf({1, 2});
  Tensor trunk = w * 2;
  trunk.retain_grad();
  std::atomic<int> calls{0}, through{0}, wrong{0};
  trunk.register_hook([&](const Tensor& g) {
    ++calls;
    std::this_thread::yield();
    return g * 10;
  });
  in_threads([&](int) {
    for (int i = 0; i < kPasses; ++i) {
      const Tensor head = sum(trunk * 3);
      through += gets_through(wrong, [&] { head.backward({.retain_graph = true, .inputs = {trunk}}); });
      through += gets_through(wrong, [&] { head.backward({.retain_graph = true}); });
    }
  });
  CHECK(wrong == 0);
  CHECK(through >= 1);
  CHECK(calls == through);
  CHECK(to_values(trunk.grad()) == Values(2, 30.0 * through));
}

TEST_CASE("a pass over a graph that another one has marked is a GradError, in one thread too", "[threads]") {
  Tensor w = leaf({1, 2});
  const Tensor low = w * w, high = low * 3;
  bool within = false;
  high.register_hook([&](const Tensor&) {
    if (within) return;
    within = true;
    const EnableGrad guard;
    CHECK_THROWS_WITH(grad({sum(low)}, {w}, {.retain_graph = true}),
                      Catch::Contains("[backward] the graph at op mul is being differentiated by another pass"));
    within = false;
  });
  CHECK(to_values(grad({sum(high)}, {w}, {.retain_graph = true})[0]) == Values{6, 12});
  CHECK(to_values(grad({sum(low)}, {w})[0]) == Values{2, 4});
}

TEST_CASE("threads: what another thread recorded goes through a composite rule", "[threads]") {
  Tensor w = leaf({1, 2, 3, 4});
  const Tensor old = w * 1;
  Tensor from_other;
  std::thread([&] {
    Tensor y = w;
    for (int i = 0; i < 50; ++i) y = y + w;  // nodes newer than all of this thread
    from_other = y.reshape({1, 1, 2, 2});
  }).join();
  const Tensor q = old.reshape({1, 1, 2, 2});
  const Tensor loss = sum(scaled_dot_product_attention(q, from_other, q));
  Tensor second, there;
  const auto differentiate = [&](Tensor& to) {
    to = grad({sum(grad({loss}, {w}, {.create_graph = true})[0])}, {w}, {.retain_graph = true})[0];
  };
  differentiate(second);
  std::thread([&] { differentiate(there); }).join();  // what it records is older than all of that, but for the rule
  CHECK(equal(there, second));
}

TEST_CASE("threads: rows of one tensor are written at once, and every write counts", "[threads]") {
  Tensor x = zeros({kThreads, 100}, float64);
  const uint32_t before = x.version();
  in_threads([&](int thread) {
    for (int i = 0; i < 20 * kPasses; ++i) x[thread].add_(1);
  });
  CHECK(x.version() == before + kThreads * 20 * kPasses);
  CHECK(to_values(x) == Values(size_t{kThreads} * 100, 20 * kPasses));
}
