// Private: memory for large blocks, which the allocator keeps under one lock.
#pragma once
#include <cstddef>
#include <cstdint>

namespace cotangent::detail {

/// Blocks of whole pages out of a few arenas that are mapped at once. A request takes the smallest free block that
/// holds it, whose rest stays free; a block that comes back is joined with free neighbours. So memory of one size
/// serves any other. Free blocks of a size lie in one list. Not for several threads at once.
class Arenas {
 public:
  /// 64-byte aligned; nullptr where no free block holds so much and `may_map` is false, or the system gives none.
  void* take(size_t bytes, bool may_map);
  void give(void* block);
  /// Gives the pages of free blocks back to the system, and arenas that are free as a whole.
  void trim();

  /// What a block takes, with its header and up to whole pages.
  static size_t bytes_of(const void* block);
  /// Of free blocks, as far as they have been used before.
  int64_t idle_bytes() const { return idle_; }
  int64_t mappings() const { return mappings_; }

 private:
  static constexpr int kBins = 160;
  struct Arena;
  struct Run;

  Run* find(size_t size) const;
  Run* extend(size_t size);
  bool map(size_t size);
  void insert(Run* run);
  void remove(Run* run);

  Run* bins_[kBins] = {};
  Arena* arenas_ = nullptr;
  size_t mapped_ = 0;
  int64_t idle_ = 0, mappings_ = 0;
};

}  // namespace cotangent::detail
