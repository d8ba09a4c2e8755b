#pragma once
// Resampling without history. Every interpolation mode is separable: along each dimension an output
// is a weighted sum of neighbouring inputs, so a mode is a table of weights, and its adjoint is the transposed table.
#include <span>

#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

enum class Filter : uint8_t { nearest, nearest_exact, linear, cubic, area };

/// Which weights along one dimension.
struct Resampling {
  Filter filter;
  int64_t in, out;
  double scale;                ///< input cells an output cell advances by, where align_corners does not fix it
  bool align_corners = false;  ///< the first and last cells of both coincide (linear, cubic)
  bool antialias = false;      ///< widen the filter when shrinking (linear, cubic)
};

/// The last dimensions of x, one for each of `how` (1 to 3), go from their `in` to their `out`; with `adjoint` the
/// transposed map, from `out` to `in`.
Tensor resample(const char* op, const Tensor& x, std::span<const Resampling> how, bool adjoint);

}  // namespace cotangent::raw
