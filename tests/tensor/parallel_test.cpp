#include <catch2/catch.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <thread>

#include <cotangent/cotangent.hpp>

using namespace cotangent;

namespace {
struct Threads {
  explicit Threads(int count) : before(num_threads()) { set_num_threads(count); }
  ~Threads() { set_num_threads(before); }
  int before;
};

/// How many of `tasks` tasks other threads than the caller do.
int tasks_of_others(int tasks) {
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<int> others{0};
  parallel_chunks(tasks, [&](int64_t) {
    if (std::this_thread::get_id() != caller) ++others;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  });
  return others;
}

/// How many threads this process has.
int64_t threads_alive() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
}
}  // namespace

TEST_CASE("parallel_for covers its range once", "[threads]") {
  for (int count : {1, 2, 3, 7}) {
    const Threads threads(count);
    CHECK(num_threads() == count);
    for (int64_t n : {0, 1, 2, 5, 100, 1001}) {
      std::vector<std::atomic<int>> visits(static_cast<size_t>(n));
      std::atomic<int> calls{0};
      parallel_for(10, 10 + n, 3, [&](int64_t first, int64_t last) {
        CHECK(first < last);
        ++calls;
        for (int64_t i = first; i < last; ++i) ++visits[static_cast<size_t>(i - 10)];
      });
      for (const auto& v : visits) CHECK(v == 1);
      CHECK(calls <= std::max(count, 1));
    }
  }
}

TEST_CASE("parallel regions nest without multiplying threads", "[threads]") {
  const Threads threads(4);
  std::atomic<int> inner{0}, cells{0};
  parallel_for(0, 4, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i)
      parallel_for(0, 100, 1, [&](int64_t a, int64_t b) {
        ++inner;
        cells += static_cast<int>(b - a);
      });
  });
  CHECK(inner == 4);
  CHECK(cells == 400);
}

TEST_CASE("parallel_chunks runs each chunk once", "[threads]") {
  for (int count : {1, 3, 40}) {
    const Threads threads(count);
    for (int64_t chunks : {1, 2, 39, 50, 101}) {
      std::vector<std::atomic<int>> visits(static_cast<size_t>(chunks));
      parallel_chunks(chunks, [&](int64_t chunk) { ++visits[static_cast<size_t>(chunk)]; });
      for (const auto& v : visits) CHECK(v == 1);
    }
    parallel_chunks(0, [&](int64_t) { FAIL("no chunk to run"); });
  }
}

TEST_CASE("threads: a count below 1 is refused") {
  CHECK_THROWS_WITH(set_num_threads(0), Catch::Contains("0 threads"));
  CHECK(num_threads() >= 1);
}

TEST_CASE("threads: a count that no machine has is refused") {
  const int before = num_threads();
  for (int count : {-1, INT32_MIN, kMaxThreads + 1, 2'000'000'000})
    CHECK_THROWS_WITH(set_num_threads(count),
                      Catch::Equals("[set_num_threads] " + std::to_string(count) + " threads; 1 to 1024 are possible"));
  CHECK(num_threads() == before);
}

TEST_CASE("threads: what a task throws on any thread reaches the caller, and the rest is left out", "[threads]") {
  for (int count : {1, 2, 4}) {
    const Threads threads(count);
    for (int64_t culprit : {0, 1, 500, 999}) {
      std::atomic<int> begun{0};
      CHECK_THROWS_WITH(parallel_chunks(1000,
                                        [&](int64_t i) {
                                          ++begun;
                                          if (i == culprit) throw std::runtime_error("task");
                                          if (culprit == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                                        }),
                        "task");
      CHECK(begun >= 1);
      if (culprit == 0) CHECK(begun < 1000);
      std::vector<std::atomic<int>> visits(50);
      parallel_chunks(50, [&](int64_t i) { ++visits[static_cast<size_t>(i)]; });
      for (const auto& v : visits) CHECK(v == 1);
    }
    CHECK_THROWS_AS(parallel_for(0, 100, 1, [](int64_t, int64_t) { throw ValueError("every task"); }), ValueError);
    CHECK_THROWS_WITH(
        parallel_for(0, 100, 1,
                     [](int64_t, int64_t) { parallel_chunks(9, [](int64_t) { throw std::string("inner"); }); }),
        Catch::Equals("inner"));
  }
}

TEST_CASE("threads: after an exception, of the caller's or of a helper's, helpers still work", "[threads]") {
  const Threads threads(3);
  const std::thread::id caller = std::this_thread::get_id();
  for (bool by_caller : {true, false, true}) {
    std::atomic<bool> thrown{false};
    CHECK_THROWS_AS(parallel_chunks(1000,
                                    [&](int64_t) {
                                      if ((std::this_thread::get_id() == caller) == by_caller)
                                        thrown = true, throw std::bad_alloc();
                                      while (!thrown) std::this_thread::yield();
                                    }),
                    std::bad_alloc);
    CHECK(tasks_of_others(20) > 0);
  }
}

TEST_CASE("results are bitwise the same for any number of threads", "[threads]") {
  const int64_t n = 300'000;
  Tensor x = empty({n});
  for (int64_t i = 0; i < n; ++i) x.data<float>()[i] = 1e-3f * static_cast<float>((i * 7919) % 10007) - 4;
  const auto compute = [&](int count) {
    const Threads threads(count);
    Tensor w = x.clone();
    w.requires_grad_();
    const Tensor y = tanh(w.reshape({300, 1000}).t()) * 2 + exp(w.reshape({1000, 300}) * 0.1);
    sum(y * y).backward();
    return Tensors{y.detach(), w.grad(), sum(x), mean(x.reshape({300, 1000}), 0), to(x, bfloat16)};
  };
  const Tensors one = compute(1);
  for (int count : {2, 3, 8}) {
    const Tensors more = compute(count);
    for (size_t i = 0; i < one.size(); ++i) CHECK(equal(one[i], more[i]));
  }
}

TEST_CASE("images and sequences give the same bits for any number of threads, gradients too", "[threads]") {
  const auto compute = [](int count) {
    const Threads threads(count);
    manual_seed(1);
    const auto leaf = [](const Shape& shape) {
      Tensor x = randn(shape);
      x.requires_grad_();
      return x;
    };
    const Tensor x = leaf({5, 6, 29, 31}), w = leaf({10, 6, 3, 3}), depthwise = leaf({6, 1, 3, 3}),
                 turned = leaf({6, 7, 4, 4}), pointwise = leaf({64, 6, 1, 1}), wide = leaf({17, 64, 3, 3}),
                 doubled = leaf({64, 16, 4, 4}), bias = leaf({10}), q = leaf({2, 4, 150, 20}),
                 k = leaf({2, 2, 170, 20}), v = leaf({2, 2, 170, 33});
    Tensors results = {
        conv2d(x, w, bias, {.padding = 1}),
        conv2d(x, w, {}, {.stride = 2, .padding = 1}),
        conv2d(x, depthwise, {}, {.padding = 1, .groups = 6}),
        conv2d(x, depthwise, {}, {.stride = 2, .padding = 1, .groups = 6}),
        conv2d(x, pointwise),
        conv2d(conv2d(x, pointwise), wide, {}, {.padding = 1}),
        conv_transpose2d(x, turned, {}, {.stride = 2, .padding = 1}),
        conv_transpose2d(conv2d(x, pointwise), doubled, {}, {.stride = 2, .padding = 1}),
        max_pool2d(x, 2),
        max_pool2d(x, 3, {.stride = 2, .padding = 1}),
        avg_pool2d(x, 3, {.stride = 1, .padding = 1}),
        interpolate(x, {.scale_factor = 2.0, .mode = Interpolation::bilinear}),
        pixel_shuffle(x.slice(1, 0, 4), 2),
        x.permute({0, 2, 3, 1}).contiguous(),
        scaled_dot_product_attention(q, k, v, {.causal = true}),
    };
    const Tensors leaves = {x, w, depthwise, turned, pointwise, wide, doubled, bias, q, k, v};
    for (size_t i = 0, n = results.size(); i < n; ++i) {
      (results[i] * results[i]).sum().backward();
      results[i] = results[i].detach();
    }
    for (const Tensor& t : leaves) results.push_back(t.grad());
    return results;
  };
  const Tensors one = compute(1);
  for (int count : {2, 5}) {
    const Tensors more = compute(count);
    for (size_t i = 0; i < one.size(); ++i) {
      CAPTURE(i, count);
      CHECK(equal(one[i], more[i]));
    }
  }
}

TEST_CASE("several threads may run parallel regions at once", "[threads]") {
  std::vector<std::thread> others;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 3; ++t)
    others.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const Tensor x = full({100'000}, t + 1);
        if ((x * 2 + 1)[99'999].item() != 2 * t + 3) ++wrong;
      }
    });
  for (std::thread& t : others) t.join();
  CHECK(wrong == 0);
}

TEST_CASE("threads: helpers work from the first loop on, asleep or awake, and as many as are asked for", "[threads]") {
  for (int count : {2, 5, 2, 1, 3}) {
    const Threads threads(count);
    CHECK((tasks_of_others(20) > 0) == (count > 1));
    std::this_thread::sleep_for(std::chrono::milliseconds(30));  // longer than they stay awake
    CHECK((tasks_of_others(20) > 0) == (count > 1));
  }
}

TEST_CASE("threads: loops of every length follow one another without losing or repeating a task", "[threads]") {
  const Threads threads(4);
  std::vector<std::atomic<int>> visits(11);
  for (int round = 0; round < 3000; ++round) {
    const int64_t tasks = round % 12;
    parallel_chunks(tasks, [&](int64_t i) { ++visits[static_cast<size_t>(i)]; });
    int64_t sum = 0;
    for (auto& v : visits) sum += v.exchange(0);
    REQUIRE(sum == tasks);
  }
}

TEST_CASE("threads: helpers end with the thread that they help", "[threads]") {
  const Threads threads(6);
  const int64_t before = threads_alive();
  int64_t during = 0;
  std::thread([&] {
    parallel_chunks(6, [](int64_t) {});
    during = threads_alive();
  }).join();
  const auto others_end = [&] {
    for (int waits = 0; waits < 2000; ++waits) {
      if (threads_alive() <= before) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  };
  CHECK(during >= 7);  // the two that wait, and five helpers
  CHECK(others_end());
}

TEST_CASE("threads: a child process made by fork computes by itself") {
  const Threads threads(3);
  CHECK(sum(ones({1'000'000})).item() == 1e6);
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);  // rather than hang
    _exit(sum(ones({1'000'000})).item() == 1e6 ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("threads: a child process works whatever other threads were about when it was made") {
  const Threads threads(3);
  std::atomic<bool> stop{false};
  std::vector<std::thread> busy;
  for (int t = 0; t < 2; ++t)
    busy.emplace_back([&] {
      const SingleThreaded guard;
      const Tensor matrix = ones({300, 300}), vector = ones({300, 1});
      for (int64_t i = 0; !stop; ++i) {
        const Tensor small = empty({i % 5000}), large = empty({20'000 + i % 20'000});
        if (i % 8 == 0) matmul(matrix, vector);
      }
    });
  const Tensor a = ones({200, 300}), b = ones({300, 1});
  for (int round = 0; round < 300; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);  // rather than hang
      const bool right = matmul(a, b)[199].item() == 300 && sum(ones({100'000})).item() == 1e5 &&
                         (round % 30 != 0 || tasks_of_others(20) > 0);
      _exit(right ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CAPTURE(round);
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) == 0);
    if (round % 30 == 0) REQUIRE(tasks_of_others(20) > 0);  // the parent keeps its own
  }
  stop = true;
  for (std::thread& t : busy) t.join();
}

TEST_CASE("threads: what is stored past the caches is there for everyone behind the loop", "[threads]") {
  const Threads threads(4);
  const int64_t rows = 1024, columns = 5120;
  const Tensor x = arange(rows * columns).reshape({rows, columns});
  for (int round = 0; round < 8; ++round) {
    const Tensor y = (x + round).clone(), turned = y.t().contiguous();
    bool right = true;
    std::thread([&] {
      const int64_t *p = y.data<int64_t>(), *q = turned.data<int64_t>();
      for (int64_t i = 0; i < y.numel(); ++i)
        right &= p[i] == i + round && q[i % columns * rows + i / columns] == i + round;
    }).join();
    CHECK(right);
  }
}
