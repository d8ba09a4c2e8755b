#pragma once
// Attention in which what queries, keys and values are depends on their distance too: by rows of tables, which are
// never copied for each pair. nn/attention/relative.hpp has the encodings that are made of it.
#include <cotangent/autograd/ops/attention.hpp>

namespace cotangent {

/// y[.., i, j] = x[.., i, buckets[i - j + Tk - 1]]: of each query's products with the rows of a table, the one that
/// belongs to the distance i - j. With the buckets 0, 1, 2, .. this is the relative shift of Transformer-XL.
///   x (.., Tq, R), buckets int64 (Tq + Tk - 1) from 0 to R - 1 -> (.., Tq, Tk);   dx = sum_by_distance(dy)
/// A ShapeError, DTypeError or IndexError for buckets that do not fit.
Tensor gather_by_distance(const Tensor& x, const Tensor& buckets, int64_t keys);

/// Its transpose: y[.., i, r] is the sum of x[.., i, j] over the keys j with buckets[i - j + Tk - 1] = r.
///   x (.., Tq, Tk), buckets int64 (Tq + Tk - 1) from 0 to rows - 1 -> (.., Tq, rows);   dx = gather_by_distance(dy)
Tensor sum_by_distance(const Tensor& x, const Tensor& buckets, int64_t rows);

/// Tables of R rows, each of which stands for the distances i - j of one bucket. Those that are undefined add nothing.
struct DistanceRows {
  Tensor buckets = {};      ///< int64 (Tq + Tk - 1): the row r of the distance i - j is buckets[i - j + Tk - 1]
  Tensor for_queries = {};  ///< (R, d) or (H, R, d): (q_i + offset) . row is added to q_i . k_j
  Tensor offset = {};       ///< (H, 1, d) or (d), added to the queries where they meet for_queries
  Tensor for_keys = {};     ///< (R, d) or (H, R, d): k_j . row is added to q_i . k_j
  Tensor for_values = {};   ///< (R, dv) or (H, R, dv): row is added to v_j
};

/// y_i = sum_j p_ij (v_j + c_r), p_i = softmax_j(scale (q_i . k_j + (q_i + o) . a_r + k_j . b_r) + mask +
/// toeplitz(distance_bias)), where r is the row of the distance i - j, and a, b, c are the tables for queries, keys and
/// values.
///   q (B, H, Tq, d), k (B, G, Tk, d), v (B, G, Tk, dv) -> (B, H, Tq, dv), as scaled_dot_product_attention
/// The products with the tables are formed in the tiles of scaled_dot_product_attention, and so are their gradients:
/// memory grows with Tq + Tk. For each tile they take the rows of its distances alone, and one where all of these are
/// of the same bucket, as distances are that a clip to the ends of a table makes equal. Dropout, the gradient of a
/// mask, and distance_bias or offset next to a floating mask take the way over the whole matrix of scores. Errors as
/// with scaled_dot_product_attention; a ShapeError for tables or an offset that do not fit. Shaw, Uszkoreit and
/// Vaswani, arXiv:1803.02155; Dai et al., arXiv:1901.02860; He et al., arXiv:2006.03654.
Tensor relative_attention(const Tensor& q, const Tensor& k, const Tensor& v, const DistanceRows& rows,
                          const AttentionOptions& options = {});

}  // namespace cotangent
