#pragma once
// Resampling along one dimension without history. Every interpolation mode is separable: along each dimension an output
// is a weighted sum of neighbouring inputs, so a mode is a table of weights, and its adjoint is the transposed table.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

enum class Filter : uint8_t { nearest, nearest_exact, linear, cubic, area };

/// Which weights along one dimension.
struct Resampling {
  Filter filter;
  int64_t in, out;
  double scale;        ///< input cells an output cell advances by, where align_corners does not fix it
  bool align_corners;  ///< the first and last cells of both coincide (linear, cubic)
  bool antialias;      ///< widen the filter when shrinking (linear, cubic)
};

/// x (.., in, ..) -> (.., out, ..) along `dim`; with `adjoint` the transposed map, (.., out, ..) -> (.., in, ..).
Tensor resample(const char* op, const Tensor& x, int dim, const Resampling& how, bool adjoint);

}  // namespace cotangent::raw
