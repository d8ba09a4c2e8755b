#include <cotangent/tensor/memory/allocator_internal.hpp>
#include <cotangent/tensor/memory/arena_internal.hpp>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>

#include <cotangent/tensor/format_internal.hpp>

// Memory up to 64 KiB comes in size classes: multiples of 64 bytes up to 1 KiB, then four classes to each doubling.
// They are cut from slabs, and each thread keeps a list of free blocks of each class. Larger blocks come out of arenas.
// Nothing is returned to the system before empty_cache(), so that a training step which repeats itself finds every
// block it needs.

namespace cotangent {
namespace {

using detail::Block;
using detail::class_bytes;
using detail::kSmall;
using detail::kSmallClasses;
using detail::t_cache;
using detail::ThreadCache;

constexpr size_t kSlab = 1024 * 1024;  // taken from the system at once

static_assert(class_bytes(detail::size_class(1024)) == 1024 && class_bytes(detail::size_class(1025)) == 1280);
static_assert(detail::size_class(kSmall) == kSmallClasses - 1 && class_bytes(kSmallClasses - 1) == kSmall);

std::atomic<int64_t> g_current, g_peak, g_allocations, g_system;
std::atomic<int64_t> g_limit;  // 0 until it is asked for
std::atomic<bool (*)()> g_denial{nullptr};

template <class E>
[[noreturn]] void out_of_memory(const char* op, int64_t bytes) {
  fail<E>("[{}] there is no memory for {} bytes; {} of {} are in use (memory_stats(), memory_limit())", op, bytes,
          g_current.load(), memory_limit());
}

bool has_room(int64_t bytes) { return bytes <= memory_limit() - g_current.load(std::memory_order_relaxed); }

// Then no thread keeps blocks of its own, so that each request and each return comes by here: the short way of all
// others need not ask.
bool poisons() {
  static const bool on = [] {
    const char* set = std::getenv("COTANGENT_POISON");
#ifdef NDEBUG
    return set && std::string_view(set) != "0";
#else
    return !set || std::string_view(set) != "0";
#endif
  }();
  return on;
}
void poison(void* block, size_t bytes) {
  if (poisons()) std::fill_n(static_cast<uint16_t*>(block), bytes / 2, uint16_t{detail::kPoison});
}

// The first number in a file, or the largest one where there is none (as in "max").
int64_t number_in(const std::string& path) {
  long long value = INT64_MAX;
  if (FILE* file = std::fopen(path.c_str(), "r")) {
    if (std::fscanf(file, "%lld", &value) != 1) value = INT64_MAX;
    std::fclose(file);
  }
  return value;
}

int64_t machine_memory() {
  struct sysinfo info;
  int64_t least = INT64_MAX;
  if (sysinfo(&info) == 0) least = static_cast<int64_t>(info.totalram + info.totalswap) * info.mem_unit;
  const std::string groups = "/sys/fs/cgroup";
  least = std::min(least, number_in(groups + "/memory/memory.limit_in_bytes"));
  // the group that the process is in, and those that hold it
  std::string group;
  if (FILE* file = std::fopen("/proc/self/cgroup", "r")) {
    char name[4096];
    if (std::fscanf(file, "0::%4095[^\n]", name) == 1) group = name;
    std::fclose(file);
  }
  for (;; group.resize(group.rfind('/'))) {
    least = std::min(least, number_in(groups + group + "/memory.max"));
    if (group.rfind('/') == std::string::npos) return least;
  }
}

#ifndef COTANGENT_PLAIN_MALLOC

struct Global {
  std::mutex mutex;
  Block* lists[kSmallClasses];
  char* slab;
  size_t slab_left;
  detail::Arenas arenas;
};
constinit Global g_memory{};
// A child process finds the lock open, and what it guards whole.
[[maybe_unused]] const int g_at_fork =
    pthread_atfork([] { g_memory.mutex.lock(); }, [] { g_memory.mutex.unlock(); }, [] { g_memory.mutex.unlock(); });

void* map_slab() {
  void* p = mmap(nullptr, kSlab, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return nullptr;
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
  const uint32_t batch =
      poisons() ? 1 : static_cast<uint32_t>(std::max<size_t>(1, std::min<size_t>(32, 16 * 1024 / bytes)));
  std::lock_guard lock(g_memory.mutex);
  for (uint32_t i = 0; i < batch; ++i) {
    Block* b = g_memory.lists[c];
    if (b) {
      g_memory.lists[c] = b->next;
    } else {
      if (g_memory.slab_left < bytes) {
        char* slab = static_cast<char*>(map_slab());
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

// So many of a thread's free blocks of a class go to the other threads.
void spill(int c, uint32_t count) {
  ThreadCache& cache = t_cache;
  std::lock_guard lock(g_memory.mutex);
  for (; count > 0; --count) {
    Block* b = cache.lists[c];
    cache.lists[c] = b->next;
    --cache.counts[c];
    b->next = g_memory.lists[c];
    g_memory.lists[c] = b;
  }
}

void* allocate_large(size_t bytes) {
  detail::Arenas& arenas = g_memory.arenas;
  std::lock_guard lock(g_memory.mutex);
  if (void* p = arenas.take(bytes, false)) return p;
  // what is idle and does not fit must not pile up
  if (arenas.idle_bytes() > g_current.load(std::memory_order_relaxed) + (int64_t{256} << 20)) arenas.trim();
  void* p = arenas.take(bytes, true);
  if (!p) {
    arenas.trim();
    p = arenas.take(bytes, true);
  }
  return p;
}
void deallocate_large(void* pointer) {
  std::lock_guard lock(g_memory.mutex);
  g_memory.arenas.give(pointer);
}
size_t large_bytes(const void* pointer) { return detail::Arenas::bytes_of(pointer); }

#else

void hand_over_blocks() {}

// The size stands in front of the block.
void* allocate_large(size_t bytes) {
  const size_t size = (bytes + 2 * detail::kUnit - 1) / detail::kUnit * detail::kUnit;
  char* p = static_cast<char*>(std::aligned_alloc(detail::kUnit, size));
  if (!p) return nullptr;
  g_system.fetch_add(1, std::memory_order_relaxed);
  *reinterpret_cast<size_t*>(p) = size;
  return p + detail::kUnit;
}
size_t large_bytes(const void* pointer) {
  return *reinterpret_cast<const size_t*>(static_cast<const char*>(pointer) - detail::kUnit);
}
void deallocate_large(void* pointer) { std::free(static_cast<char*>(pointer) - detail::kUnit); }

#endif

// A large block has a header of a unit in front of it, which counts.
size_t usable_bytes(const void* pointer, int c) {
  return c == detail::kLarge ? large_bytes(pointer) - detail::kUnit : class_bytes(c);
}

struct ThreadExit {
  ~ThreadExit() {
    detail::flush_counters();
    hand_over_blocks();
  }
};
thread_local ThreadExit t_exit;

void register_thread() {
  if (t_cache.registered) return;
  t_cache.registered = !poisons();
  static_cast<void>(&t_exit);  // constructs it, so that its destructor runs
  asm volatile("" : : "r"(&t_exit));
}

}  // namespace

MemoryStats memory_stats() {
  detail::flush_counters();
#ifndef COTANGENT_PLAIN_MALLOC
  std::lock_guard lock(g_memory.mutex);
  const int64_t idle = g_memory.arenas.idle_bytes(), mappings = g_memory.arenas.mappings();
#else
  const int64_t idle = 0, mappings = 0;
#endif
  return {g_current, g_peak, idle, g_allocations, g_system + mappings};
}

int64_t memory_limit() {
  if (g_limit == 0) g_limit = machine_memory();
  return g_limit;
}

void set_memory_limit(int64_t bytes) {
  if (bytes < 1) fail<ValueError>("[set_memory_limit] {} bytes; the limit must be positive", bytes);
  g_limit = bytes;
}

void reset_peak_memory() {
  detail::flush_counters();
  g_peak = g_current.load();
}

void empty_cache() {
#ifndef COTANGENT_PLAIN_MALLOC
  std::lock_guard lock(g_memory.mutex);
  g_memory.arenas.trim();
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

void check_memory(const char* op, int64_t count, int64_t item) {
  int64_t bytes;
  if (__builtin_mul_overflow(count, item, &bytes)) bytes = INT64_MAX;
  if (!has_room(bytes)) out_of_memory<ShapeError>(op, bytes);
}

void set_memory_denial(bool (*denies)()) { g_denial = denies; }

void* allocate_slow(int c, size_t bytes) {
  register_thread();
  const int64_t asked = static_cast<int64_t>(std::min<size_t>(bytes, INT64_MAX));
  void* p = nullptr;
  if (const auto denies = g_denial.load(std::memory_order_relaxed); denies && denies())
    out_of_memory<ValueError>("allocate", asked);
  if (c == kLarge) {
    if (has_room(asked)) p = allocate_large(bytes);
  } else {
#ifdef COTANGENT_PLAIN_MALLOC
    p = std::aligned_alloc(kUnit, class_bytes(c));
    g_system.fetch_add(1, std::memory_order_relaxed);
#else
    p = refill(c);
#endif
  }
  if (!p) out_of_memory<ValueError>("allocate", asked);
  ++t_cache.allocations;
  count_bytes(t_cache, static_cast<int64_t>(c == kLarge ? large_bytes(p) : class_bytes(c)));
  poison(p, usable_bytes(p, c));
  return p;
}

void deallocate_slow(void* pointer, int c) noexcept {
  register_thread();
  poison(pointer, usable_bytes(pointer, c));
  if (c == kLarge) {
    count_bytes(t_cache, -static_cast<int64_t>(large_bytes(pointer)));
    deallocate_large(pointer);
    return;
  }
  count_bytes(t_cache, -static_cast<int64_t>(class_bytes(c)));
#ifdef COTANGENT_PLAIN_MALLOC
  std::free(pointer);
#else
  Block* b = static_cast<Block*>(pointer);
  if (t_cache.counts[c] * class_bytes(c) >= kThreadBytes) spill(c, t_cache.counts[c] / 2);
  b->next = t_cache.lists[c];
  t_cache.lists[c] = b;
  ++t_cache.counts[c];
  if (poisons()) spill(c, t_cache.counts[c]);
#endif
}

void* allocate(size_t bytes) { return allocate_class(size_class(bytes), bytes); }
void deallocate(void* pointer, size_t bytes) noexcept { deallocate_class(pointer, size_class(bytes)); }

}  // namespace detail
}  // namespace cotangent
