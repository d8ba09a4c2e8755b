// Private: what the functions of linalg share.
#pragma once
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>

namespace cotangent::linalg {

inline Tensor transposed(const Tensor& x) { return transpose(x, -2, -1); }

inline void check_matrix(const char* op, const Tensor& a) {
  if (a.rank() < 2)
    fail<ShapeError>("[{}] a is {}; it must be a matrix, or a batch of matrices (.., m, n)", op, a.shape());
  if (!a.is_floating()) fail<DTypeError>("[{}] a is {}; it must be floating, convert with to(float32)", op, a.dtype());
}
inline void check_square(const char* op, const Tensor& a) {
  check_matrix(op, a);
  if (a.size(-1) != a.size(-2)) fail<ShapeError>("[{}] a is {}; its matrices must be square", op, a.shape());
}

/// Identity matrices of a's shape.
inline Tensor identity_like(const Tensor& a) { return expand(eye(a.size(-1), -1, a.dtype()), a.shape()); }

}  // namespace cotangent::linalg
