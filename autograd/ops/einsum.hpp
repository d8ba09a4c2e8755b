#pragma once
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// A sum of products by Einstein's convention: einsum("bij,bjk->bik", {a, b}) is a batched matrix product.
///
/// A letter names a dimension. One that the output lacks is summed over, one that stands twice in an operand takes its
/// diagonal, and "..." stands for any dimensions, which broadcast. Without "->" the output has the dimensions of "..."
/// and then the letters that occur once, in alphabetical order with capitals first. Spaces do not matter. A dimension
/// of size 1 broadcasts. Composed of permute, reshape, matmul, mul and sum, from the left operand to the right, and so
/// are its gradients. A ValueError for an equation that can't be read, a ShapeError for operands that do not fit it.
Tensor einsum(const std::string& equation, const Tensors& operands);

}  // namespace cotangent
