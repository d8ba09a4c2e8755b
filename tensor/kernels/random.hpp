#pragma once
// Random words and what is made of them.
#include <cstdint>

namespace cotangent::kernels {

/// Random words and what is made of them; [0] is float32, [1] float64, which takes two words a number.
struct RandomLoops {
  /// Blocks of 4 words of the Philox 4x32-10 stream of this key.
  void (*philox)(uint64_t key, uint64_t first_block, int64_t blocks, uint32_t* words);
  /// In [low, high), at most `below`.
  void (*uniform[2])(const uint32_t* words, void* y, int64_t n, double low, double high, double below);
  /// n must be even.
  void (*normal[2])(const uint32_t* words, void* y, int64_t n, double mean, double std);
  /// y = x * scale where the word (one a number) is at most `last`, else 0.
  void (*keep_below[2])(const uint32_t* words, uint32_t last, const void* x, void* y, int64_t n, double scale);
};

}  // namespace cotangent::kernels
