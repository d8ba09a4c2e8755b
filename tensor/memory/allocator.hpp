#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace cotangent {

/// What the caching allocator has done so far, over all threads.
struct MemoryStats {
  int64_t current_bytes;       ///< handed out now
  int64_t peak_bytes;          ///< the most that was ever handed out at once; exact to 64 KiB a thread
  int64_t cached_bytes;        ///< kept for reuse
  int64_t allocations;         ///< requests served
  int64_t system_allocations;  ///< requests that went to the operating system; a warmed-up training step makes none
};
MemoryStats memory_stats();

/// Starts a new measurement of the peak from what is handed out now.
void reset_peak_memory();

/// Gives cached large blocks back to the operating system. Blocks up to 64 KiB are cut from slabs and stay.
void empty_cache();

/// The most bytes that are handed out at once: a request beyond it is an Error that says how many bytes were asked
/// for. At first it is what the machine has (memory and swap, or the limit of the process's control group), since a
/// system that promises more than it has ends the process later, without an error.
int64_t memory_limit();
void set_memory_limit(int64_t bytes);

namespace detail {

/// A ShapeError that names `op` when `count` items of `item` bytes exceed memory_limit() with what is handed out now.
void check_memory(const char* op, int64_t count, int64_t item);

/// 64-byte aligned memory: from free lists of each thread, one a size class, or, above 64 KiB, from arenas that all
/// threads share. The contents are undefined: with COTANGENT_POISON=1 in the environment, and without that in a library
/// that was built without NDEBUG, they are 0x7fff throughout, and so are those of memory that was given back. This is
/// NaN in each floating dtype, and far off as an integer: an element that nobody wrote shows. A ValueError names the
/// size when the system has no memory left.
void* allocate(size_t bytes);
/// `bytes` must be what was asked for.
void deallocate(void* pointer, size_t bytes) noexcept;

/// The caching allocator, for containers.
template <class T>
struct Pooled {
  using value_type = T;
  Pooled() = default;
  template <class U>
  Pooled(const Pooled<U>&) noexcept {}
  T* allocate(size_t count) { return static_cast<T*>(detail::allocate(count * sizeof(T))); }
  void deallocate(T* pointer, size_t count) noexcept { detail::deallocate(pointer, count * sizeof(T)); }
  friend bool operator==(const Pooled&, const Pooled&) { return true; }
};

}  // namespace detail

/// A vector for what every training step makes anew: once warm, it takes nothing from the heap.
template <class T>
using PooledVector = std::vector<T, detail::Pooled<T>>;

}  // namespace cotangent
