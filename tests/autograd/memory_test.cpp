// Memory that runs out, at each request of each op of the table and of its backward pass in turn, is an Error that
// leaves nothing behind.
#include <catch2/catch.hpp>

#include <cstdio>

#include <cotangent/cotangent.hpp>
#include <cotangent/tensor/memory/allocator_internal.hpp>

#include "op_samples.hpp"

using namespace cotangent;

namespace {

int g_left;
bool g_denied;

/// While it lives, the request after `requests` others fails. The tests run on one thread.
struct Denial {
  explicit Denial(int requests) {
    g_left = requests, g_denied = false;
    detail::set_memory_denial([] {
      const bool denies = g_left-- == 0;
      g_denied |= denies;
      return denies;
    });
  }
  ~Denial() { detail::set_memory_denial(nullptr); }
};

}  // namespace

TEST_CASE("op table: memory that runs out at any request is an Error that leaves nothing behind") {
  const SingleThreaded alone;
  int64_t refused = 0, samples = 0;
  for (const OpInfo& op : op_table())
    for (size_t i = 0; i < op.samples.size(); ++i) {
      for (bool create_graph : {false, true}) {
        CAPTURE(op.name, i, create_graph);
        const Tensors inputs = make_inputs(op.samples[i].inputs);
        const Evaluation expected = evaluate(op.samples[i], inputs, create_graph);
        const int64_t before = memory_stats().current_bytes;
        bool served = false;
        for (int request = 0; !served && request < 2000; request += 1 + request / 40) {
          try {
            const Denial denial(request);
            evaluate(op.samples[i], inputs, create_graph);
            served = !g_denied;
            CHECK(served);
          } catch (const Error& error) {
            CHECK_THAT(error.what(), Catch::Contains("there is no memory for"));
            ++refused;
          }
          if (memory_stats().current_bytes != before) {
            FAIL_CHECK(op.name << ": " << memory_stats().current_bytes - before << " bytes stay behind request "
                               << request);
            break;
          }
        }
        CHECK(served);
        const Evaluation again = evaluate(op.samples[i], inputs, create_graph);
        CHECK(difference(again.outputs, expected.outputs, 0).empty());
        CHECK(difference(again.gradients, expected.gradients, 0).empty());
        ++samples;
      }
    }
  CHECK(refused > samples);
  std::printf("op table: %lld requests of memory were refused in %lld samples\n", static_cast<long long>(refused),
              static_cast<long long>(samples));
}

TEST_CASE("checkpoint: memory that runs out at any request is an Error that leaves nothing behind") {
  const SingleThreaded alone;
  const Tensor x = ones({20}, float64).requires_grad_(), w = full({20}, 0.5, float64).requires_grad_();
  const auto layer = [&](const Tensor& t) { return tanh(t * w); };
  const auto outer = [layer](const Tensor& t) { return checkpoint(layer, checkpoint(layer, t)) * t; };
  for (bool create_graph : {false, true}) {
    const auto run = [&] { return grad({checkpoint(outer, x).sum()}, {x, w}, {.create_graph = create_graph}); };
    const Tensors expected = run();
    const int64_t before = memory_stats().current_bytes;
    int request = 0;
    for (bool served = false; !served && request < 2000; ++request) {
      try {
        const Denial denial(request);
        run();
        served = !g_denied;
      } catch (const Error& error) {
        CHECK_THAT(error.what(), Catch::Contains("there is no memory for"));
      }
      CHECK_FALSE(recomputing());
      if (memory_stats().current_bytes != before) FAIL("bytes stay behind request " << request);
    }
    CHECK(request > 50);
    CHECK(difference(run(), expected, 0).empty());
  }
}

TEST_CASE("the gradient that create_graph leaves in a leaf is freed when it is taken away") {
  const int64_t start = memory_stats().current_bytes;
  {
    Tensor w = ones({1000}).requires_grad_();
    const auto penalty = [&] {
      sum(w * w * w).backward({.create_graph = true});
      return sum(w.grad() * w.grad());
    };
    const auto bytes_after = [&](int steps, auto&& step) {
      for (int i = 0; i < steps; ++i) step();
      return memory_stats().current_bytes;
    };
    const int64_t before = memory_stats().current_bytes;
    // kept, it grows: each gradient holds the graphs of those before
    const int64_t one = bytes_after(1, penalty), ten = bytes_after(9, penalty);
    CHECK(ten - before > 5 * (one - before));
    w.set_grad({});
    CHECK(memory_stats().current_bytes == before);
    // the loop as it should be
    optim::SGD optimizer({w}, {.lr = 1e-3});
    const int64_t after_all = bytes_after(3, [&] {
      penalty().backward();
      optimizer.step();
      optimizer.zero_grad();
    });
    CHECK(bytes_after(10, [&] {
            penalty().backward();
            optimizer.step();
            optimizer.zero_grad();
          }) == after_all);
    // grad() leaves nothing in the leaf
    CHECK(bytes_after(10, [&] {
            const Tensor g = grad({sum(w * w * w)}, {w}, {.create_graph = true})[0];
            sum(g * g).backward();
            w.set_grad({});
          }) == after_all);
  }
  CHECK(memory_stats().current_bytes == start);
}
