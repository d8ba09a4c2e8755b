#pragma once
// Random words and what is made of them.
#include <cstdint>

#include <cotangent/tensor/kernels/by_float.hpp>

namespace cotangent::kernels {

/// What is made of random words: one for each number, or two for each float64.
template <class T>
struct RandomLoops {
  /// In [low, high), at most `below`.
  void (*uniform)(const uint32_t* words, T* y, int64_t n, double low, double high, double below);
  /// n must be even.
  void (*normal)(const uint32_t* words, T* y, int64_t n, double mean, double std);
  /// y = x * scale where the word (one a number) is at most `last`, else 0.
  void (*keep_below)(const uint32_t* words, uint32_t last, const T* x, T* y, int64_t n, double scale);
};
struct RandomTable : ByFloat<RandomLoops> {
  /// Blocks of 4 words of the Philox 4x32-10 stream of this key.
  void (*philox)(uint64_t key, uint64_t first_block, int64_t blocks, uint32_t* words);
};

}  // namespace cotangent::kernels
