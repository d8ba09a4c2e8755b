// Private: the one place that knows the processor.
#pragma once
#include <cstdint>

// What is cut up to fit a cache or a page asks here how large that is. How sums are cut into parts does not: results
// would then differ, in rounding, from one machine to the next. Those lengths are constants, which say so.
namespace cotangent::raw {

/// Bytes that the first cache of any processor has, for tiles on the stack, whose sizes are compiled in.
inline constexpr int64_t kLeastFirstCache = int64_t{32} << 10;
inline constexpr int64_t kCacheLine = 64;  ///< bytes

/// What loops need to know of the processor, beside the instructions that it has (kernels/kernels.hpp).
struct Processor {
  int64_t first_cache, second_cache;  ///< bytes of data that they keep, of a core
  int64_t last_cache;                 ///< bytes, of all cores together, at most 32 MB
  int64_t page;                       ///< bytes
  int64_t huge_page;                  ///< bytes that one page of addresses maps, which the system may give as one
  /// Operands whose rows lie a little apart are read as fast as packed ones, and any tile of a product is as fast as
  /// another: AMD's Zen 4, whose multiply-adds of 64 bytes take as long as the loads beside them, and Zen 5. On Intel's
  /// processors packed operands and tiles that load little win.
  bool reads_near;

  /// Bytes of a working set that stays in the first cache beside what passes through it.
  int64_t stays_in_first() const { return first_cache / 3 * 2; }
  /// Results of so many bytes are written past the caches: these would read first what is overwritten, and drop for it
  /// what the next op needs.
  int64_t streams_from() const { return last_cache / 2; }
};

const Processor& processor();

}  // namespace cotangent::raw
