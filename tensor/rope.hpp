#pragma once
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// Pairs (a, b) of the first 2p elements of each row of x (.., d) as (a cos - b sin, a sin + b cos): elements 2i and
/// 2i + 1, or, for half_split, i and i + p. Row r takes its angles from row r mod R of cos and sin, both (R, p) of x's
/// dtype, float32 or float64; the angles are negated for `backwards`.
Tensor rope(const Tensor& x, const Tensor& cos, const Tensor& sin, bool half_split, bool backwards);

}  // namespace cotangent::raw
