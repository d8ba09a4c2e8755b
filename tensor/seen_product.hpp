#pragma once
// Products of attention in which what a mask hides does not matter, not even as NaN; without history.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// a (.., m, d) b^T (.., d, n) where `seen` (bool, broadcasts to the result), and `hidden` elsewhere.
Tensor seen_scores(const Tensor& a, const Tensor& b, const Tensor& seen, double hidden);
/// w (.., m, n) x (.., n, d), by the weights that are seen. Leading dimensions are the same.
Tensor seen_product(const Tensor& w, const Tensor& x, const Tensor& seen);

}  // namespace cotangent::raw
