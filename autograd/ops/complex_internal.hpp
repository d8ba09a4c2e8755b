// Private: products of pairs with conjugates, which gradients are made of.
#pragma once
#include <cotangent/tensor/complex.hpp>

namespace cotangent::complex {

/// a b, where `conj` says which operands are conjugated first.
Tensor product(const Tensor& a, const Tensor& b, raw::Conjugated conj);

}  // namespace cotangent::complex
