// Private: what the attention functions on (B, H, T, d) tensors have in common.
#pragma once
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// A ShapeError unless q is (B, H, Tq, d), k (B, H, Tk, d) and v (B, H, Tk, n), with Tq = Tk where `one_length`; a
/// DTypeError unless they have one floating dtype.
void check_heads(const char* op, const Tensor& q, const Tensor& k, const Tensor& v, bool one_length);

/// A key padding (B, Tk), bool, as (B, 1, Tk, 1); undefined where it is. A ShapeError or DTypeError otherwise.
Tensor checked_padding(const char* op, const Tensor& padding, const Tensor& k);

/// A ValueError unless `size` is at least 1.
void check_positive(const char* op, const char* what, int64_t size);

inline bool is_low_precision(const Tensor& x) { return x.dtype() == bfloat16 || x.dtype() == float16; }
inline Tensor widened(const Tensor& x) { return x.defined() && is_low_precision(x) ? to(x, float32) : x; }

/// x with zeros before and after along dimension `dim`.
Tensor zero_padded(const Tensor& x, int64_t dim, int64_t before, int64_t after);

}  // namespace cotangent
