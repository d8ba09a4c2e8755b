#pragma once
// How loops along one dimension of a tensor walk over the others.
#include <cstdint>

namespace cotangent::kernels {

/// Columns of a matrix that are worked on at once when an op runs along the dimension that is not contiguous.
inline constexpr int64_t kColumns = 256;

// Loops along one dimension come in two forms: along rows of n elements, one row after another; and along columns,
// where consecutive elements of a column lie `stride` apart and there are at most kColumns columns unless said. n is at
// least 1.

}  // namespace cotangent::kernels
