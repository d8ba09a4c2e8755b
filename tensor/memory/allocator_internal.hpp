// Private: the fast path of the allocator, inline for the pooled objects that every op makes.
#pragma once
#include <array>
#include <bit>

#include <cotangent/tensor/memory/allocator.hpp>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COTANGENT_PLAIN_MALLOC 1  // so that the sanitizer sees each allocation
#endif

namespace cotangent::detail {

inline constexpr size_t kUnit = 64;
inline constexpr int kSmallClasses = 16 + 6 * 4;
inline constexpr int kLarge = kSmallClasses;             // stands for all sizes beyond the classes
inline constexpr size_t kSmall = 64 * 1024;              // the last class
inline constexpr size_t kThreadBytes = 4 * 1024 * 1024;  // free bytes of a class that a thread keeps for itself
inline constexpr int64_t kCountFlush = 64 * 1024;        // bytes that a thread counts on its own
/// What fills memory that is poisoned: NaN in each floating dtype, and far off as an integer.
inline constexpr uint16_t kPoison = 0x7fff;

/// Multiples of 64 bytes up to 1 KiB, then four classes to each doubling.
constexpr int size_class(size_t bytes) {
  if (bytes > kSmall) return kLarge;
  const size_t units = bytes == 0 ? 1 : (bytes + kUnit - 1) / kUnit;
  if (units <= 16) return static_cast<int>(units) - 1;
  const int shift = std::bit_width(units - 1) - 3;
  return 16 + (shift - 2) * 4 + static_cast<int>((units - 1) >> shift) - 4;
}
constexpr size_t compute_class_bytes(int c) {
  if (c < 16) return static_cast<size_t>(c + 1) * kUnit;
  const int shift = (c - 16) / 4 + 2;
  return static_cast<size_t>((c - 16) % 4 + 5) * kUnit << shift;
}
inline constexpr std::array<size_t, kSmallClasses> kClassBytes = [] {
  std::array<size_t, kSmallClasses> bytes{};
  for (int c = 0; c < kSmallClasses; ++c) bytes[static_cast<size_t>(c)] = compute_class_bytes(c);
  return bytes;
}();
constexpr size_t class_bytes(int c) { return kClassBytes[static_cast<size_t>(c)]; }

struct Block {
  Block* next;
};

/// The free blocks of a thread, and what it has counted since the global counters were brought up to date.
struct ThreadCache {
  Block* lists[kSmallClasses];
  uint32_t counts[kSmallClasses];
  int64_t delta, allocations;
  bool registered;  // will be handed over when the thread ends
};
extern constinit thread_local ThreadCache t_cache;

void* allocate_slow(int c, size_t bytes);             // a large block, or none is free in the thread's list
void deallocate_slow(void* pointer, int c) noexcept;  // a large block, a full list, or the first of a thread
void flush_counters() noexcept;
/// For tests: a request fails where this says so; nullptr: none does. Asked for each block in a process that poisons
/// its memory, else for those that a thread has not kept.
void set_memory_denial(bool (*denies)());

inline void count_bytes(ThreadCache& cache, int64_t bytes) noexcept {
  cache.delta += bytes;
  if (static_cast<uint64_t>(cache.delta + kCountFlush) > 2 * kCountFlush) flush_counters();
}

/// A block of a class, or a large one of so many bytes.
inline void* allocate_class(int c, size_t bytes) {
#ifndef COTANGENT_PLAIN_MALLOC
  if (c < kSmallClasses) {
    ThreadCache& cache = t_cache;
    if (Block* b = cache.lists[c]) {
      cache.lists[c] = b->next;
      --cache.counts[c];
      ++cache.allocations;
      count_bytes(cache, static_cast<int64_t>(class_bytes(c)));
      return b;
    }
  }
#endif
  return allocate_slow(c, bytes);
}

inline void deallocate_class(void* pointer, int c) noexcept {
#ifndef COTANGENT_PLAIN_MALLOC
  if (c < kSmallClasses) {
    ThreadCache& cache = t_cache;
    if (cache.registered && cache.counts[c] * class_bytes(c) < kThreadBytes) {
      Block* b = static_cast<Block*>(pointer);
      b->next = cache.lists[c];
      cache.lists[c] = b;
      ++cache.counts[c];
      count_bytes(cache, -static_cast<int64_t>(class_bytes(c)));
      return;
    }
  }
#endif
  deallocate_slow(pointer, c);
}

}  // namespace cotangent::detail
