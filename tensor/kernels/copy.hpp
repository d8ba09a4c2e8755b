#pragma once
// Conversions between dtypes, selection by a mask, and copies of elements that lie apart.
#include <cstdint>

namespace cotangent::kernels {

using ConvertLoop = void (*)(const void* x, void* y, int64_t n);

}  // namespace cotangent::kernels
