// Private: the one place that knows the processor.
#pragma once
#include <cstdint>

namespace cotangent::raw {

/// What loops need to know of the processor, beside the instructions that it has (kernels/kernels.hpp).
struct Processor {
  int64_t first_cache, second_cache;  ///< bytes of data that they keep, of a core
  int64_t last_cache;                 ///< bytes, of all cores together, at most 32 MB
  int64_t page;                       ///< bytes
  /// Operands whose rows lie a little apart are read as fast as packed ones, and any tile of a product is as fast as
  /// another: AMD's Zen 4, whose multiply-adds of 64 bytes take as long as the loads beside them, and Zen 5. On Intel's
  /// processors packed operands and tiles that load little win.
  bool reads_near;
};

const Processor& processor();

}  // namespace cotangent::raw
