#pragma once
// Products of matrices of float16 or bfloat16 in memory.
#include <cotangent/tensor/dtype.hpp>
#include <cotangent/tensor/gemm.hpp>

namespace cotangent::raw {

/// c = alpha a b + beta c + bias, as gemm, where T is Half or BFloat16. Products are summed in float32, and c is
/// rounded once. No operand is widened as a whole: parts become float32 as they are packed, for the product that
/// float32 has.
///
/// bfloat16 on a processor with avx512_bf16 is multiplied by pairs (vdpbf16ps): s + a1 b1 + a2 b2. The products of two
/// bfloat16 are exact in float32, so that the result differs from that of the other way by the order and rounding of
/// sums, as sums of float32 do; but numbers below 1.2e-38, the least normal one, count as 0, in operands and in sums.
/// NaN and infinity go the way that they should. On one machine results are the same for any number of threads.
template <class T>
void gemm_half(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T* c, int64_t c_row, float alpha = 1,
               float beta = 0, const T* bias = nullptr);

}  // namespace cotangent::raw
