#pragma once
// How wide vectors are where a loop spells them out: as wide as the instruction set that the file is compiled for
// allows.
#include <cstdint>
#include <type_traits>  // integral_constant: no code

namespace cotangent::kernels {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

/// Calls f with the most lanes of a vector that n elements fill, or those of 16 bytes.
template <class T, int L = kVectorBytes / int(sizeof(T)), class F>
void with_lanes(int64_t n, F f) {
  if constexpr (L * int(sizeof(T)) > 16)
    if (n < L) return with_lanes<T, L / 2>(n, f);
  f(std::integral_constant<int, L>{});
}

}  // namespace
}  // namespace cotangent::kernels
