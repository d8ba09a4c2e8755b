// Counts what is allocated on the heap, by replacing the operators of the whole program. In a file of its own, as the
// compiler must not inline only one of a pair.
#include <atomic>
#include <cstdlib>
#include <new>

#include "bench.hpp"

namespace {
std::atomic<long> g_heap_allocations{0};
}
long bench::heap_allocations() { return g_heap_allocations; }

void* operator new(size_t bytes) {
  g_heap_allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::malloc(bytes)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
