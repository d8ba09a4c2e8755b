#include <cotangent/tensor/memory/arena_internal.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <new>

#include <cotangent/tensor/processor_internal.hpp>

namespace cotangent::detail {
namespace {

constexpr size_t kHeader = 64;            // in front of each block
constexpr size_t kFirstArena = 64 << 20;  // what is not touched takes no memory
constexpr size_t kLargestArena = 1 << 30;
constexpr size_t kSplit = 64 << 10;  // a smaller rest goes with its block

size_t page() { return static_cast<size_t>(raw::processor().page); }
size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

// Bins of free blocks, four to each doubling: all blocks of a bin are larger than those of the bins before.
int bin_of(size_t size) {
  const size_t pages = size / page();
  const int width = std::bit_width(pages);
  return width <= 2 ? static_cast<int>(pages) : 4 * (width - 2) + static_cast<int>(pages >> (width - 3) & 3);
}

}  // namespace

/// At the start of its memory, whose runs lie one after another from the next page to `top`.
struct Arenas::Arena {
  Arena* next;
  char *top, *end;
  Run* last;  ///< the run before the top
  char* begin() { return reinterpret_cast<char*>(this) + page(); }
};

/// The header of a block, free or not.
struct Arenas::Run {
  Arena* arena;
  size_t size, before;   ///< and the size of the run before it, or 0
  size_t used;           ///< bytes that have been handed out since they came from the system
  Run *next, *previous;  ///< in its bin
  bool free;

  Run* after() { return this == arena->last ? nullptr : reinterpret_cast<Run*>(reinterpret_cast<char*>(this) + size); }
  Run* ahead() { return before == 0 ? nullptr : reinterpret_cast<Run*>(reinterpret_cast<char*>(this) - before); }
};

void Arenas::insert(Run* run) {
  static_assert(sizeof(Run) <= kHeader);
  run->free = true;
  idle_ += static_cast<int64_t>(run->used);
  Run*& first = bins_[bin_of(run->size)];
  run->previous = nullptr, run->next = first;
  if (first) first->previous = run;
  first = run;
}

void Arenas::remove(Run* run) {
  run->free = false;
  idle_ -= static_cast<int64_t>(run->used);
  (run->previous ? run->previous->next : bins_[bin_of(run->size)]) = run->next;
  if (run->next) run->next->previous = run->previous;
}

// The smallest free run that holds `size`.
Arenas::Run* Arenas::find(size_t size) const {
  for (int bin = bin_of(size); bin < kBins; ++bin) {
    Run* best = nullptr;
    for (Run* run = bins_[bin]; run; run = run->next)
      if (run->size >= size && (!best || run->size < best->size)) best = run;
    if (best) return best;
  }
  return nullptr;
}

// A run at the top of an arena: its last run grows, if it is free.
Arenas::Run* Arenas::extend(size_t size) {
  for (Arena* arena = arenas_; arena; arena = arena->next) {
    Run* last = arena->last;
    const bool grows = last && last->free;
    const size_t more = grows ? size - std::min(size, last->size) : size;
    if (static_cast<size_t>(arena->end - arena->top) < more) continue;
    if (grows) {
      remove(last);
      last->size += more;
    } else {
      Run* run = new (arena->top) Run{};
      run->arena = arena, run->size = size, run->before = last ? last->size : 0;
      arena->last = last = run;
    }
    arena->top += more;
    return last;
  }
  return nullptr;
}

bool Arenas::map(size_t size) {
  const size_t unit = std::min(static_cast<size_t>(raw::processor().huge_page), kFirstArena);
  const size_t bytes = std::max(round_up(size + page(), unit), std::clamp(mapped_, kFirstArena, kLargestArena));
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  madvise(memory, bytes, MADV_HUGEPAGE);
  Arena* arena = new (memory) Arena{arenas_, nullptr, static_cast<char*>(memory) + bytes, nullptr};
  arena->top = arena->begin();
  arenas_ = arena;
  mapped_ += bytes;
  ++mappings_;
  return true;
}

void* Arenas::take(size_t bytes, bool may_map) {
  const size_t size = round_up(bytes + kHeader, page());
  Run* run = find(size);
  if (run)
    remove(run);
  else if (!(run = extend(size)) && !(may_map && map(size) && (run = extend(size))))
    return nullptr;
  if (run->size >= size + kSplit) {
    Run* rest = new (reinterpret_cast<char*>(run) + size) Run{};
    rest->arena = run->arena, rest->size = run->size - size, rest->before = size;
    rest->used = run->used - std::min(run->used, size);
    if (run->arena->last == run)
      run->arena->last = rest;
    else
      run->after()->before = rest->size;
    run->size = size;
    insert(rest);
  }
  run->used = run->size;
  return reinterpret_cast<char*>(run) + kHeader;
}

void Arenas::give(void* block) {
  Run* run = reinterpret_cast<Run*>(static_cast<char*>(block) - kHeader);
  // `into` takes in the free run behind it
  const auto join = [](Run* into, Run* other) {
    if (into->arena->last == other)
      into->arena->last = into;
    else
      other->after()->before = into->size + other->size;
    into->size += other->size, into->used += other->used;
  };
  if (Run* after = run->after(); after && after->free) remove(after), join(run, after);
  if (Run* ahead = run->ahead(); ahead && ahead->free) remove(ahead), join(ahead, run), run = ahead;
  insert(run);
}

void Arenas::trim() {
  for (Arena** link = &arenas_; *link;) {
    Arena* arena = *link;
    Run* first = reinterpret_cast<Run*>(arena->begin());
    if (!arena->last || (first->free && arena->last == first)) {
      if (arena->last) remove(first);
      *link = arena->next;
      mapped_ -= static_cast<size_t>(arena->end - reinterpret_cast<char*>(arena));
      munmap(arena, static_cast<size_t>(arena->end - reinterpret_cast<char*>(arena)));
      continue;
    }
    for (Run* run = first; run; run = run->after()) {
      if (!run->free) continue;
      madvise(reinterpret_cast<char*>(run) + page(), run->size - page(), MADV_DONTNEED);
      idle_ -= static_cast<int64_t>(run->used);
      run->used = 0;
    }
    link = &arena->next;
  }
}

size_t Arenas::bytes_of(const void* block) {
  return reinterpret_cast<const Run*>(static_cast<const char*>(block) - kHeader)->size;
}

}  // namespace cotangent::detail
