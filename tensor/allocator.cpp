#include <cotangent/tensor/allocator_internal.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>

#include <cotangent/tensor/format_internal.hpp>

// Memory comes in size classes: multiples of 64 bytes up to 1 KiB, then four classes to each doubling. Classes up to 64
// KiB are cut from slabs, and each thread keeps a list of free blocks of each; larger ones are mapped one by one.
// Nothing is returned to the system before empty_cache(), so that a training step which repeats itself finds every
// block it needs.

namespace cotangent {
namespace {

using detail::Block;
using detail::class_bytes;
using detail::kClasses;
using detail::kSmallClasses;
using detail::t_cache;
using detail::ThreadCache;

constexpr size_t kSmall = 64 * 1024;   // the largest block that is cut from a slab
constexpr size_t kSlab = 1024 * 1024;  // taken from the system at once
constexpr size_t kHugePage = 2 * 1024 * 1024;

static_assert(class_bytes(detail::size_class(1024)) == 1024 && class_bytes(detail::size_class(1025)) == 1280);
static_assert(detail::size_class(kSmall) == kSmallClasses - 1 && class_bytes(kSmallClasses - 1) == kSmall);

std::atomic<int64_t> g_current, g_peak, g_allocations, g_system, g_cached;

[[noreturn]] void out_of_memory(size_t bytes) {
  fail<ValueError>("[allocate] the system has no memory for a block of {} bytes; {} are in use (memory_stats())", bytes,
                   g_current.load());
}

#ifndef COTANGENT_PLAIN_MALLOC

struct Global {
  std::mutex mutex;
  Block* lists[kClasses];
  char* slab;
  size_t slab_left;
};
constinit Global g_memory{};

void* map(size_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  if (bytes >= kHugePage) madvise(p, bytes, MADV_HUGEPAGE);
  g_system.fetch_add(1, std::memory_order_relaxed);
  return p;
}

// A thread's free blocks go to the other threads.
void hand_over_blocks() {
  std::lock_guard lock(g_memory.mutex);
  for (int c = 0; c < kSmallClasses; ++c)
    while (Block* b = t_cache.lists[c]) {
      t_cache.lists[c] = b->next;
      b->next = g_memory.lists[c];
      g_memory.lists[c] = b;
    }
  for (uint32_t& n : t_cache.counts) n = 0;
}

// A batch of blocks of a small class for this thread; returns one of them.
void* refill(int c) {
  ThreadCache& cache = t_cache;
  const size_t bytes = class_bytes(c);
  const uint32_t batch = static_cast<uint32_t>(std::max<size_t>(1, std::min<size_t>(32, 16 * 1024 / bytes)));
  std::lock_guard lock(g_memory.mutex);
  for (uint32_t i = 0; i < batch; ++i) {
    Block* b = g_memory.lists[c];
    if (b) {
      g_memory.lists[c] = b->next;
    } else {
      if (g_memory.slab_left < bytes) {
        char* slab = static_cast<char*>(map(kSlab));
        if (!slab) {
          if (i == 0) return nullptr;
          break;
        }
        g_memory.slab = slab, g_memory.slab_left = kSlab;  // the rest of the old slab, under 64 KiB, is given up
      }
      b = reinterpret_cast<Block*>(g_memory.slab);
      g_memory.slab += bytes, g_memory.slab_left -= bytes;
    }
    b->next = cache.lists[c];
    cache.lists[c] = b;
    ++cache.counts[c];
  }
  Block* b = cache.lists[c];
  cache.lists[c] = b->next;
  --cache.counts[c];
  return b;
}

// Half of a thread's free blocks of a class go to the other threads.
void spill(int c) {
  ThreadCache& cache = t_cache;
  std::lock_guard lock(g_memory.mutex);
  for (uint32_t n = cache.counts[c] / 2; n > 0; --n) {
    Block* b = cache.lists[c];
    cache.lists[c] = b->next;
    --cache.counts[c];
    b->next = g_memory.lists[c];
    g_memory.lists[c] = b;
  }
}

size_t mapped_bytes(int c) { return (class_bytes(c) + 4095) & ~size_t{4095}; }

void* allocate_large(int c) {
  const int64_t bytes = static_cast<int64_t>(mapped_bytes(c));
  {
    std::lock_guard lock(g_memory.mutex);
    if (Block* b = g_memory.lists[c]) {
      g_memory.lists[c] = b->next;
      g_cached.fetch_sub(bytes, std::memory_order_relaxed);
      return b;
    }
  }
  // sizes that keep changing must not pile up blocks that nobody asks for again
  if (g_cached.load(std::memory_order_relaxed) > g_current.load(std::memory_order_relaxed) + (int64_t{256} << 20))
    empty_cache();
  void* p = map(static_cast<size_t>(bytes));
  if (!p) {
    empty_cache();
    p = map(static_cast<size_t>(bytes));
  }
  return p;
}

#else

void hand_over_blocks() {}

#endif

struct ThreadExit {
  ~ThreadExit() {
    detail::flush_counters();
    hand_over_blocks();
  }
};
thread_local ThreadExit t_exit;

void register_thread() {
  if (t_cache.registered) return;
  t_cache.registered = true;
  static_cast<void>(&t_exit);  // constructs it, so that its destructor runs
  asm volatile("" : : "r"(&t_exit));
}

}  // namespace

MemoryStats memory_stats() {
  detail::flush_counters();
  return {g_current, g_peak, g_cached, g_allocations, g_system};
}

void reset_peak_memory() {
  detail::flush_counters();
  g_peak = g_current.load();
}

void empty_cache() {
#ifndef COTANGENT_PLAIN_MALLOC
  std::lock_guard lock(g_memory.mutex);
  for (int c = kSmallClasses; c < kClasses; ++c)
    while (Block* b = g_memory.lists[c]) {
      g_memory.lists[c] = b->next;
      munmap(b, mapped_bytes(c));
      g_cached.fetch_sub(static_cast<int64_t>(mapped_bytes(c)), std::memory_order_relaxed);
    }
#endif
}

namespace detail {

constinit thread_local ThreadCache t_cache{};

void flush_counters() noexcept {
  ThreadCache& cache = t_cache;
  const int64_t current = g_current.fetch_add(cache.delta, std::memory_order_relaxed) + cache.delta;
  g_allocations.fetch_add(cache.allocations, std::memory_order_relaxed);
  cache.delta = cache.allocations = 0;
  int64_t peak = g_peak.load(std::memory_order_relaxed);
  while (current > peak && !g_peak.compare_exchange_weak(peak, current, std::memory_order_relaxed)) {
  }
}

void* allocate_slow(int c) {
  register_thread();
#ifdef COTANGENT_PLAIN_MALLOC
  void* p = std::aligned_alloc(kUnit, class_bytes(c));
  g_system.fetch_add(1, std::memory_order_relaxed);
#else
  void* p = c < kSmallClasses ? refill(c) : allocate_large(c);
#endif
  if (!p) out_of_memory(class_bytes(c));
  ++t_cache.allocations;
  count_bytes(t_cache, static_cast<int64_t>(class_bytes(c)));
  return p;
}

void deallocate_slow(void* pointer, int c) noexcept {
  register_thread();
  count_bytes(t_cache, -static_cast<int64_t>(class_bytes(c)));
#ifdef COTANGENT_PLAIN_MALLOC
  std::free(pointer);
#else
  Block* b = static_cast<Block*>(pointer);
  if (c < kSmallClasses) {
    if (t_cache.counts[c] * class_bytes(c) >= kThreadBytes) spill(c);
    b->next = t_cache.lists[c];
    t_cache.lists[c] = b;
    ++t_cache.counts[c];
  } else {
    std::lock_guard lock(g_memory.mutex);
    b->next = g_memory.lists[c];
    g_memory.lists[c] = b;
    g_cached.fetch_add(static_cast<int64_t>(mapped_bytes(c)), std::memory_order_relaxed);
  }
#endif
}

void* allocate(size_t bytes) {
  if (bytes > (size_t{1} << 46)) out_of_memory(bytes);
  return allocate_class(size_class(bytes));
}
void deallocate(void* pointer, size_t bytes) noexcept { deallocate_class(pointer, size_class(bytes)); }

}  // namespace detail
}  // namespace cotangent
