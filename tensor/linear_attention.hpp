#pragma once
// The product behind causal linear attention without history: linear in the length, with one matrix of live memory.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::raw {

/// y_i = S^T q_i + sum over j <= i (reverse: j >= i) of (q_i . k_j) v_j.
///   q and k (B, H, T, m), v (B, H, T, n), float32 or float64 -> (B, H, T, n);   the state S (B, H, m, n) is undefined
///   for 0
/// Goes through `chunk` positions at a time: their own part by a masked matrix, what lies before them through S.
Tensor causal_product(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& state, bool reverse,
                      int64_t chunk);

}  // namespace cotangent::raw
