#pragma once
// Elementwise functions without history. Shapes must agree or broadcast; see autograd/ops/elementwise.hpp for the
// differentiable functions.
#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/kernels/elementwise.hpp>
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

using kernels::Binary;
using kernels::Unary;

/// y = f(x) with x's dtype (bool for predicates). A DTypeError names `op` when the dtype has no such function.
/// The result has x's layout when x is dense.
Tensor unary(const char* op, Unary f, const Tensor& x, double p = 0, double q = 0);
/// y = f(a, b) for operands of one dtype; bool for comparisons. Broadcasts.
Tensor binary(const char* op, Binary f, const Tensor& a, const Tensor& b, double p = 0, double q = 0);
/// y = f(x, s) or f(s, x). The scalar takes part in the dtype that is computed in: of low precision it has float32's. A
/// ValueError if that does not take it, but for comparisons f(x, s), which are right for any number.
Tensor binary(const char* op, Binary f, const Tensor& x, const Scalar& s);
Tensor binary(const char* op, Binary f, const Scalar& s, const Tensor& x);
/// The same, written over x or a where the result looks like it, and nobody else could see that. The operand is empty
/// then, or, if it has a history, still has that, and its values are gone.
Tensor unary(const char* op, Unary f, Tensor&& x, double p = 0, double q = 0);
Tensor binary(const char* op, Binary f, Tensor&& a, const Tensor& b, double p = 0, double q = 0);
Tensor binary(const char* op, Binary f, Tensor&& x, const Scalar& s);
/// dx = dy * f'(x), of dy and the x or y that f's kernel wants; over dy, if this is the only handle of it.
Tensor unary_gradient(Unary f, Tensor dy, const Tensor& kept, double p = 0, double q = 0);
/// Whether f keeps integers. Others are defined for floating x only, but for predicates.
bool keeps_integers(Unary f);
/// A tensor like x, without a history: in its memory where nobody else holds x, and it is dense and not lent; else in
/// new memory.
Tensor in_place_of(const Tensor& x);
/// The same into `y`, which may be an operand itself; operands broadcast to y's shape.
void unary_into(const char* op, Unary f, const Tensor& x, const Tensor& y, double p = 0, double q = 0);
void binary_into(const char* op, Binary f, const Tensor& a, const Tensor& b, const Tensor& y, double p = 0,
                 double q = 0);
void binary_into(const char* op, Binary f, const Tensor& x, const Scalar& s, const Tensor& y);

/// condition ? a : b, with a bool condition and a, b of one dtype. Broadcasts.
Tensor where(const char* op, const Tensor& condition, const Tensor& a, const Tensor& b);

}  // namespace cotangent::raw
