#pragma once
// Orders along a dimension, without history. NaN counts as larger than every number, and -0 as equal to 0.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// Values in order, and where each of them was (int64).
struct Ordered {
  Tensor values;
  Tensor indices;
};

/// All of x along dim. Equal values keep their order.
Ordered sort(const Tensor& x, int dim, bool descending);
/// The k largest (or smallest) along dim, of equal values those that come first. In order if `sorted`. k is at most the
/// size.
Ordered topk(const Tensor& x, int64_t k, int dim, bool largest, bool sorted);

}  // namespace cotangent::raw
