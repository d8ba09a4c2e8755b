#include <catch2/catch.hpp>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <set>
#include <thread>

#include <cotangent/cotangent.hpp>
#include <cotangent/tensor/memory/allocator_internal.hpp>

using namespace cotangent;

TEST_CASE("blocks are aligned, disjoint and as large as asked for") {
  std::vector<std::pair<char*, size_t>> blocks;
  for (size_t bytes :
       {0, 1, 63, 64, 65, 1000, 1024, 1025, 4096, 65535, 65536, 65537, 100'000, 1 << 20, (1 << 20) + 1, 5 << 20})
    for (int k = 0; k < 3; ++k) {
      char* p = static_cast<char*>(detail::allocate(bytes));
      CHECK(reinterpret_cast<uintptr_t>(p) % 64 == 0);
      std::memset(p, static_cast<int>(blocks.size()), bytes);
      blocks.emplace_back(p, bytes);
    }
  for (size_t i = 0; i < blocks.size(); ++i) {
    bool intact = true;
    for (size_t j = 0; j < blocks[i].second; ++j) intact &= blocks[i].first[j] == static_cast<char>(i);
    CHECK(intact);
  }
  for (auto [p, bytes] : blocks) detail::deallocate(p, bytes);
}

TEST_CASE("size classes hold what they are chosen for, with little waste") {
  size_t last = 0;
  for (size_t bytes = 1; bytes <= detail::kSmall; bytes += 1 + bytes / 37) {
    const int c = detail::size_class(bytes);
    const size_t room = detail::class_bytes(c);
    REQUIRE(room >= bytes);
    REQUIRE(room % 64 == 0);
    REQUIRE(room >= last);
    REQUIRE((c == 0 || detail::class_bytes(c - 1) < bytes));
    if (bytes > 1024) REQUIRE(room <= bytes * 5 / 4 + 64);
    last = room;
  }
  REQUIRE(detail::size_class(detail::kSmall + 1) == detail::kLarge);
}

TEST_CASE("memory statistics count bytes and requests") {
  const MemoryStats before = memory_stats();
  reset_peak_memory();
  {
    const Tensor x = zeros({1000}, float64), y = zeros({1 << 20}, float32);
    const MemoryStats inside = memory_stats();
    CHECK(inside.current_bytes >= before.current_bytes + 8000 + (4 << 20));
    CHECK(inside.current_bytes <= before.current_bytes + (8000 + (4 << 20)) * 5 / 4 + 4096);
    CHECK(inside.peak_bytes >= inside.current_bytes);
    CHECK(inside.allocations == before.allocations + 2);  // one block a tensor
  }
  const MemoryStats after = memory_stats();
  CHECK(after.current_bytes == before.current_bytes);
  CHECK(after.peak_bytes >= before.current_bytes + (4 << 20));
  reset_peak_memory();
  CHECK(memory_stats().peak_bytes == memory_stats().current_bytes);
}

#ifndef COTANGENT_PLAIN_MALLOC
TEST_CASE("freed memory is used again, and large blocks go back on demand") {
  { const Tensor x = zeros({3 << 20}), small = zeros({10}); }
  const MemoryStats warm = memory_stats();
  CHECK(warm.cached_bytes >= 12 << 20);
  for (int i = 0; i < 100; ++i) const Tensor x = zeros({3 << 20}), small = zeros({10});
  CHECK(memory_stats().system_allocations == warm.system_allocations);
  empty_cache();
  CHECK(memory_stats().cached_bytes == 0);
  const Tensor x = zeros({3 << 20});
  CHECK(memory_stats().system_allocations > warm.system_allocations);
}
#endif

TEST_CASE("memory that one thread takes may be freed by another", "[threads]") {
  const auto before = memory_stats().current_bytes;
  for (int round = 0; round < 3; ++round) {
    Tensors made;
    std::thread([&] {
      for (int i = 0; i < 1000; ++i) made.push_back(full({i % 300}, i));
    }).join();
    bool intact = true;
    for (int i = 0; i < 1000; ++i) intact &= made[size_t(i)].numel() == 0 || made[size_t(i)][i % 300 - 1].item() == i;
    CHECK(intact);
    std::thread([&] { Tensors().swap(made); }).join();  // a thread that takes nothing itself
    CHECK(memory_stats().current_bytes == before);
  }
#ifndef COTANGENT_PLAIN_MALLOC
  // what that thread freed is not lost
  const auto system = memory_stats().system_allocations;
  for (int round = 0; round < 20; ++round) {
    Tensors made;
    for (int i = 0; i < 1000; ++i) made.push_back(zeros({100}));
    std::thread([&] { made.clear(); }).join();
  }
  CHECK(memory_stats().system_allocations - system <= 2);
#endif
}

TEST_CASE("threads take and free memory at once", "[threads]") {
  const auto before = memory_stats().current_bytes;
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&wrong, t] {
      Tensors live(50);
      for (int i = 0; i < 5000; ++i) {
        Tensor& slot = live[size_t(i * 31 % 50)];
        if (slot.defined() && slot.numel() > 0 && slot[slot.numel() - 1].item() != t) ++wrong;
        slot = full({i % 7 == 0 ? 20'000 : i % 200}, t);
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(wrong == 0);
  CHECK(memory_stats().current_bytes == before);
}

TEST_CASE("a size beyond the machine is an error with that size") {
  CHECK_THROWS_WITH(detail::allocate(size_t{1} << 50), Catch::Contains("1125899906842624 bytes"));
  CHECK_THROWS_AS(empty({int64_t{1} << 40, 1 << 20}), ShapeError);
  CHECK_THROWS_AS(empty({int64_t{1} << 62, 8}), ShapeError);
  CHECK_THROWS_AS(empty({int64_t{1} << 44}, float64), Error);
}

TEST_CASE("a request beyond the limit is an error, and the next one within it is served") {
  const int64_t limit = memory_limit();
  CHECK(limit > 0);
  set_memory_limit(memory_stats().current_bytes + (64 << 20));
  const auto message = Catch::StartsWith("[zeros] there is no memory for 134217728 bytes");
  CHECK_THROWS_WITH(zeros({32 << 20}), message);
  const Tensor part = zeros({8 << 20});
  CHECK_THROWS_WITH(zeros({10 << 20}), Catch::StartsWith("[zeros] there is no memory"));
  CHECK_THROWS_WITH(detail::allocate(SIZE_MAX), Catch::StartsWith("[allocate] there is no memory"));
  CHECK(zeros({4 << 20}).numel() == 4 << 20);
  CHECK_THROWS_AS(set_memory_limit(0), ValueError);
  set_memory_limit(limit);
  CHECK(memory_limit() == limit);
}

// ---- memory that shows when nobody wrote to it: tests/main.cpp asks for it ----

TEST_CASE("fresh memory is NaN in each floating dtype, and far off as an integer") {
  for (int64_t n : {1, 3, 500, 40'000, 3'000'000}) {
    for (int round = 0; round < 3; ++round) {  // fresh, and used before
      CAPTURE(n, round);
      const Tensor values = empty({n}, float64), low[] = {empty({n}), empty({n}, bfloat16), empty({n}, float16)};
      CHECK(sum(values != values).item() == static_cast<double>(n));
      for (const Tensor& x : low) CHECK(sum(x != x).item() == static_cast<double>(n));
      const Tensor whole = empty({n}, int64), half = empty({n}, int32);
      CHECK(sum(whole == 0x7fff7fff7fff7fff).item() == static_cast<double>(n));
      CHECK(sum(half == 0x7fff7fff).item() == static_cast<double>(n));
      for (const Tensor& x : {values, low[0], low[1], low[2], whole, half}) x.detach().fill_(0);
    }
  }
}

TEST_CASE("an element that a loop leaves out shows, also where it was written before") {
  const auto double_but_the_last = [](const Tensor& x) {
    const Tensor y = empty(x.shape());
    for (int64_t i = 0; i + 1 < x.numel(); ++i) y.data<float>()[i] = 2 * x.data<float>()[i];
    return y;
  };
  for (int64_t n : {7, 100'000}) {
    const Tensor x = ones({n});
    for (int round = 0; round < 3; ++round) {
      { const Tensor used = full({n}, 2); }
      const Tensor y = double_but_the_last(x);
      CHECK(y[n - 2].item() == 2);
      CHECK(std::isnan(y[n - 1].item()));
    }
  }
}

#ifndef COTANGENT_PLAIN_MALLOC  // there the sanitizer sees who reads it
TEST_CASE("memory that was given back is filled too") {
  for (size_t bytes : {256, 70'000, 3'000'000}) {
    uint16_t* p = static_cast<uint16_t*>(detail::allocate(bytes));
    std::fill_n(p, bytes / 2, uint16_t{1});
    detail::deallocate(p, bytes);
    bool filled = true;
    for (size_t i = 4; i < bytes / 2; ++i) filled &= p[i] == detail::kPoison;  // behind the link of a list
    CHECK(filled);
  }
}
#endif

// ---- no memory, on whichever thread ----

TEST_CASE("memory that there is not for one of the threads is the caller's error, and the next call is served",
          "[threads]") {
  static const std::thread::id caller = std::this_thread::get_id();
  static std::atomic<int> left, denied;
  struct Denial {
    explicit Denial(bool (*denies)()) { detail::set_memory_denial(denies); }
    ~Denial() { detail::set_memory_denial(nullptr); }
  };
  const int threads = num_threads();
  set_num_threads(4);
  manual_seed(1);
  const Tensor x = randn({6, 32, 40, 40}), last = x.contiguous(MemoryFormat::channels_last), w = randn({32, 32, 3, 3}),
               one = randn({32, 1, 3, 3}), wide = randn({64, 32, 1, 1}), rows = randn({600, 700}),
               turned = randn({900, 700}).t(), q = randn({4, 8, 200, 32}), list = randn({300, 2000}),
               index = randint(0, 600, {5000});
  const std::vector<std::pair<const char*, std::function<Tensor()>>> calls = {
      {"matmul", [&] { return matmul(rows, turned); }},
      {"matmul of many", [&] { return matmul(q, q.transpose(2, 3)); }},
      {"conv2d", [&] { return conv2d(x, w, {}, {.padding = 1}); }},
      {"conv2d, channels last", [&] { return conv2d(last, w, {}, {.padding = 1}); }},
      {"conv2d, strided", [&] { return conv2d(x, w, {}, {.stride = 2}); }},
      {"conv2d of points", [&] { return conv2d(last, wide); }},
      {"conv2d, depthwise", [&] { return conv2d(last, one, {}, {.groups = 32}); }},
      {"conv_transpose2d", [&] { return conv_transpose2d(x, w, {}, {.stride = 2}); }},
      {"max_pool2d", [&] { return max_pool2d(x, 3, {.stride = 2}); }},
      {"avg_pool2d", [&] { return avg_pool2d(last, 3, {.stride = 1}); }},
      {"interpolate", [&] { return interpolate(x, {.scale_factor = 2.0, .mode = Interpolation::bicubic}); }},
      {"attention", [&] { return scaled_dot_product_attention(q, q, q, {.causal = true}); }},
      {"softmax", [&] { return softmax(list.t(), 0); }},
      {"layer_norm", [&] { return layer_norm(list, {2000}); }},
      {"sort", [&] { return sort(list, 0).values; }},
      {"cumsum", [&] { return cumsum(list, 0); }},
      {"var", [&] { return var(list, 0); }},
      {"sum", [&] { return sum(list.t(), {0}); }},
      {"gather", [&] { return index_select(rows, 0, index); }},
      {"add of another layout",
       [&] {
         return rows.t() + randn({700, 600}).t().t();
       }},
      {"to", [&] { return (rows.t().to(bfloat16) * 2).to(float32); }},
      {"randn", [&] { return randn({500'000}); }},
  };
  int by_helpers = 0, by_any = 0;
  for (const auto& [name, call] : calls) {
    CAPTURE(name);
    manual_seed(2);
    const Tensor expected = call();
    const int64_t before = memory_stats().current_bytes;
    const auto attempt = [&](bool (*denies)()) {  // whether there was memory enough
      manual_seed(2);
      denied = 0;
      Tensor y;
      try {
        const Denial denial(denies);
        y = call();
      } catch (const Error& error) {
        CHECK_THAT(error.what(), Catch::Contains("there is no memory for"));
      }
      const bool served = y.defined();
      CHECK(served == (denied == 0));
      if (served) CHECK(equal(y, expected));
      y = Tensor();
      CHECK(memory_stats().current_bytes == before);
      return served;
    };
    for (int round = 0; round < 5; ++round)
      by_helpers += !attempt([] { return std::this_thread::get_id() != caller && ++denied > 0; });
    bool served = false;
    for (int request = 0; !served && request < 60; ++request) {  // that one, on whichever thread
      left = request;
      by_any += !(served = attempt([] { return left-- == 0 && ++denied > 0; }));
    }
    CHECK(attempt([] { return false; }));
  }
  CHECK(by_any > static_cast<int>(calls.size()));
  std::printf("memory: %d calls met a helper without memory, %d any thread\n", by_helpers, by_any);
  set_num_threads(threads);
}

TEST_CASE("memory of someone else stays theirs when there is none for the tensor") {
  static int left;
  float values[4] = {};
  bool released = false;
  const int64_t before = memory_stats().current_bytes;
  for (int request = 0; request < 2; ++request) {
    left = request;
    detail::set_memory_denial([] { return left-- == 0; });
    CHECK_THROWS_AS(from_memory(
                        values, {4}, float32, [](void* p) { *static_cast<bool*>(p) = true; }, &released),
                    Error);
    detail::set_memory_denial(nullptr);
    CHECK(memory_stats().current_bytes == before);
    CHECK_FALSE(released);
  }
}
