// Private: a dense tensor seen along one of its dimensions.
#pragma once
#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/shape.hpp>

namespace cotangent {

/// A row-major shape as (outer, size, inner), where `size` is that of dimension `dim`: element (o, i, j) lies at
/// (o * size + i) * inner + j. A shape of rank 0 is (1, 1, 1).
struct Axis {
  Axis(const Shape& shape, int dim) {
    for (int d = 0; d < shape.rank(); ++d) (d < dim ? outer : d == dim ? size : inner) *= shape[d];
  }
  int64_t outer = 1, size = 1, inner = 1;
};

/// The same of a tensor that is read in its own memory format: channels that lie side by side are rows.
struct FormattedAxis : Axis {
  FormattedAxis(const Tensor& x, int dim) : Axis(x.shape(), dim) {
    if (dim != 1 || raw::memory_format(x) != MemoryFormat::channels_last) return;
    format = MemoryFormat::channels_last;
    outer *= inner, inner = 1;
  }
  MemoryFormat format = MemoryFormat::contiguous;
};

}  // namespace cotangent
