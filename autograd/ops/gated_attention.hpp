#pragma once
// Attention by squared rectified scores, as in gated attention units, and its mixture with linear attention in chunks
// (Hua et al., "Transformer Quality in Linear Time", arXiv:2202.10447). nn/attention/gated.hpp has the layers.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// What a_ij becomes of a score; n is the number of keys.
enum class ReluNorm : uint8_t {
  length,          ///< max(q.k / sqrt(d) + b, 0)^2 / n: 1/(n d) overall
  squared_length,  ///< max(q.k / n + b, 0)^2: 1/n^2 overall
  row              ///< max(q.k / sqrt(d) + b, 0)^2, divided by eps plus the sum of the row
};

struct SquaredReluOptions {
  ReluNorm norm = ReluNorm::length;
  int64_t length = 0;    ///< n; 0 stands for the number of keys that are no padding
  bool causal = false;   ///< query i sees the keys j <= i + (Tk - Tq); n remains the number of all keys
  Tensor bias = {};      ///< b, which broadcasts to (B, H, Tq, Tk)
  Tensor mask = {};      ///< bool, true: may be seen; broadcasts to (B, H, Tq, Tk)
  Tensor key_mask = {};  ///< bool (B, Tk), true: may be seen; false for padding
  double eps = 1e-6;     ///< of ReluNorm::row
};

/// sum_j a_ij v_j with squared rectified scores: no exponential, and many weights that are exactly 0.
///   q (B, H, Tq, d), k (B, H, Tk, d), v (B, H, Tk, n) -> (B, H, Tq, n);   a row of scores below 0 gives 0, and a
///   gradient of 0
/// A ValueError for a length below 0; shapes and dtypes.
Tensor squared_relu_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                              const SquaredReluOptions& options = {});

/// By what the causal sum over earlier chunks is divided: the sources differ.
enum class ChunkNorm : uint8_t {
  chunk,     ///< the length of a chunk, so that the sum grows with the number of chunks
  preceding  ///< the number of positions before the chunk
};

/// What causal mixed chunk attention knows of the past: the sum of k_lin v^T over whole chunks (B, H, s, e), the rows
/// of the chunk that is not full yet, and how many positions there were.
struct MixedChunkState {
  Tensor kv, k_quad, k_lin, v;
  int64_t length = 0;
};

struct MixedChunkOptions {
  bool causal = false;
  int64_t chunk = 256;                ///< c
  ChunkNorm norm = ChunkNorm::chunk;  ///< of the causal sum; not causal, it is divided by the number of keys
  bool local = true;                  ///< with the quadratic part within chunks
  bool global = true;                 ///< with the linear part between them
  Tensor distance_bias = {};          ///< b (2c - 1) of the distances 1 - c to c - 1 within a chunk
  Tensor key_mask = {};               ///< bool (B, T), true: may be seen; false for padding
};

/// FLASH: squared rectified attention within chunks of c positions, and linear attention between them.
///
///     o_i = sum over j in the chunk of i of max(q_i . k_j / sqrt(s) + b_(i-j), 0)^2 / c v_j   (with q_quad and k_quad)
///         + q_i^T sum_j k_j v_j^T / T, over all j;   causal: over the chunks before that of i     (with q_lin and
///         k_lin)
///
///   q_quad, k_quad, q_lin and k_lin (B, H, T, s), v (B, H, T, e) -> (B, H, T, e)
/// With a state (causal only) a sequence may come in parts of any length: one more token costs its scores in its chunk,
/// and a product with the sum. A ValueError for a chunk below 1, or a state that is not causal; shapes and dtypes.
Tensor mixed_chunk_attention(const Tensor& q_quad, const Tensor& k_quad, const Tensor& q_lin, const Tensor& k_lin,
                             const Tensor& v, const MixedChunkOptions& options = {}, MixedChunkState* state = nullptr);

}  // namespace cotangent
