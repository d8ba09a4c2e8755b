#pragma once
// Softmax attention in which a query sees the keys of a fixed pattern alone. Only their scores are computed: the rows
// that share keys are gathered into small dense blocks.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// Which keys j the query i sees. With causal = true, those with j <= i among them.
enum class SparsePattern : uint8_t {
  local,     ///< |i - j| <= window, or with a dilation every dilation-th key of a window that is as much wider
  blocks,    ///< floor(i / stride) = floor(j / stride): blocks that do not meet
  atrous,    ///< (i - j) mod stride = 0
  combined,  ///< local or atrous, in one softmax
  summary,   ///< j mod stride >= stride - summary: the last keys of each block
  fixed      ///< blocks or summary, in one softmax
};

/// The factorised heads of Child et al. (arXiv:1904.10509), causal and with l near sqrt(T), are
///   strided: {local, .window = l - 1} and {atrous, .stride = l}, or both merged: {combined, .window = l - 1, .stride =
///   l};   fixed: {blocks, .stride = l} and {summary, .stride = l}, or both merged: {fixed, .stride = l}.
struct SparseOptions {
  SparsePattern pattern = SparsePattern::local;
  int64_t window = 64;                ///< of local and combined; 0 leaves the query's own key
  int64_t dilation = 1;               ///< of local: |i - j| <= window dilation and (i - j) mod dilation = 0
  std::vector<int64_t> globals = {};  ///< of local: positions that every query sees, too; in order, each once
  int64_t stride = 64;                ///< of the others: the distance, or the length of a block
  int64_t summary = 8;                ///< keys of a block that all see: 1 to stride
  bool causal = false;
  double scale = 0;      ///< of the scores; 0 stands for 1/sqrt(d)
  Tensor key_mask = {};  ///< bool (B, T), true: may be seen; false for padding
};

/// The pattern as a mask, bool (queries, keys), for positions that start at first_query and first_key.
Tensor sparse_mask(int64_t queries, int64_t keys, const SparseOptions& options, int64_t first_query = 0,
                   int64_t first_key = 0);

/// How many scores sparse_attention computes for a head of T positions: for local T (16 + 2 window) or less below a
/// window of 16, else 3 T window (causal 2 T window), and T for each of the globals; T stride for blocks; T^2 / stride
/// for atrous; T^2 summary / stride for summary.
int64_t sparse_scores(int64_t length, const SparseOptions& options);

/// The keys and values that later queries may see (B, H, t, d), which of them are no padding (B, t), and how many
/// positions there were: the last window * dilation for local, the block that is not full for blocks, all for the
/// others; and those of the globals so far.
struct SparseState {
  Tensor k, v, key_mask;
  Tensor global_k, global_v, global_mask;
  int64_t length = 0;
};

/// softmax(scale * q k^T) v over the keys of the pattern; a query that sees none gives 0, and a gradient of 0.
///   q and k (B, H, T, d), v (B, H, T, n) -> (B, H, T, n)
/// With a state (causal only) a sequence may come in parts of any length: a window's cache rolls. Errors: a ValueError
/// for a window below 0, a stride or dilation below 1, a summary outside 1 to stride, a dilation or globals of another
/// pattern than local, globals that do not increase from 0 on, a state that is not causal; shapes and dtypes. Child et
/// al., arXiv:1904.10509; Beltagy et al., "Longformer" (arXiv:2004.05150); Qin et al., arXiv:2210.10340 (blocks).
Tensor sparse_attention(const Tensor& q, const Tensor& k, const Tensor& v, const SparseOptions& options = {},
                        SparseState* state = nullptr);

}  // namespace cotangent
