#pragma once
// How wide vectors are where a loop spells them out: as wide as the instruction set that the file is compiled for
// allows.

namespace cotangent::kernels {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

}  // namespace
}  // namespace cotangent::kernels
