#pragma once
// Matrices whose entries are taken by distance, without history.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// y[.., i, j] = x[.., i, buckets[i - j + Tk - 1]]: x (.., Tq, R), buckets int64 (Tq + Tk - 1) -> (.., Tq, Tk).
Tensor gather_by_distance(const Tensor& x, const Tensor& buckets, int64_t keys);
/// Its transpose: y[.., i, r] is the sum of x[.., i, j] over the j with buckets[i - j + Tk - 1] = r. x (.., Tq, Tk) ->
/// (.., Tq, R).
Tensor sum_by_distance(const Tensor& x, const Tensor& buckets, int64_t rows);

}  // namespace cotangent::raw
