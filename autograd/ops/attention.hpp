#pragma once
// Scaled dot-product attention. The layers around it, and the other kinds of attention, are in nn/attention/.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

struct AttentionOptions {
  Tensor mask = {};     ///< bool (true: may be seen) or floating (added to the scores); broadcasts to (B, H, Tq, Tk)
  bool causal = false;  ///< query i sees the keys j <= i + (Tk - Tq), so that cached decoding lines up at the end
  double scale = 0;     ///< of the scores; 0 stands for 1/sqrt(d)
  double dropout = 0;   ///< probability of dropping a weight; pass 0 outside training
  /// (H or 1, Tq + Tk - 1): its element i - j + Tk - 1 is added to the score of query i and key j
  Tensor distance_bias = {};
};

/// softmax(scale * q k^T + mask + toeplitz(distance_bias)) v.
///   q (.., H, Tq, d), k (.., G, Tk, d), v (.., G, Tk, dv) -> (.., H, Tq, dv), where G divides H and query head h reads
///   key head floor(h G / H): G = H is multi-head, G = 1 multi-query attention, what lies between grouped-query
///   attention.
/// With P the weights and dP = dy v^T:
///   dv = P^T dy,  dS = P * (dP - rowsum(P * dP)),  dq = scale * dS k,  dk = scale * dS^T q,  dmask = dS,
///   ddistance_bias = dS summed along the diagonals, over the batch
/// A row in which everything is masked gives 0, and a gradient of 0. What a query may not see does not matter to it,
/// not even as NaN or infinity. Computed in tiles with an online softmax: memory grows with Tq + Tk, and tiles above
/// the causal diagonal are skipped. Dropout, the gradient of a mask, and a floating mask next to a distance_bias take
/// the way over the whole matrix of scores. A ShapeError when the shapes do not fit; a DTypeError for a mask of another
/// kind. Vaswani et al., arXiv:1706.03762; Dao et al., arXiv:2205.14135; Ainslie et al., arXiv:2305.13245.
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const AttentionOptions& options = {});

/// A matrix whose entry (i, j) is weight[i - j + Tk - 1]: a bias that depends on the distance alone.
///   weight (.., Tq + Tk - 1) -> (.., Tq, Tk);   dweight = dy summed along the diagonals
Tensor toeplitz(const Tensor& weight, int64_t queries, int64_t keys);

}  // namespace cotangent
