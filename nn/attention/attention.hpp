#pragma once
// What attention layers have in common: positions, masks, and a cache of keys and values. nn/attention/multihead.hpp
// has the softmax attention of transformers.
#include <cotangent/nn/attention/position.hpp>
#include <cotangent/nn/sequence/sequence.hpp>

namespace cotangent::nn {

/// The base of all attention layers.
class Attention : public SequenceLayer {
 public:
  AnyPosition positions;
  /// The state for queries that come one after another, to a memory (B, Tk, d) that is projected once.
  StreamState start_cross(const Tensor& memory, const Tensor& key_mask = {});

 protected:
  Attention(int64_t width, bool causal, const AnyPosition& positions = {});
  virtual LayerState begin_cross(const Tensor& memory, const Tensor& key_mask);
  /// Queries and keys of the tokens at `start`, start + 1, ..., as they enter the scores.
  Tensor placed_query(const Tensor& q, int64_t start) const { return positions ? positions->query(q, start) : q; }
  Tensor placed_key(const Tensor& k, int64_t start) const { return positions ? positions->key(k, start) : k; }
};

/// Any attention as a value, for layers around it.
using AnyAttention = Any<Attention>;

/// What an attention to all tokens before keeps of them.
struct KeyValueCache {
  Tensor keys, values;  ///< (B, G, T, width); keys as their positions leave them
  Tensor key_mask;      ///< bool (B, T), false for padding; undefined as long as there is none
  KnownRows rows = {};  ///< of MultiHeadAttention's positions
  /// Those of the next tokens.
  void append(const Tensor& next_keys, const Tensor& next_values, const Tensor& next_mask);
  /// Those at these places alone: int64 (B, n).
  void keep(const Tensor& places);
};

/// Both masks at once: each of them bool (true: may be seen), floating (added to the scores), or undefined (all may be
/// seen). Two bool masks give a bool one; where one is floating the result is, with -infinity for what may not be seen.
/// Shapes broadcast.
Tensor combine_masks(const Tensor& a, const Tensor& b);
/// A key_mask (B, Tk) as a mask of scores (B, 1, 1, Tk); undefined where it is.
Tensor score_mask(const Tensor& key_mask);
/// Query i may see the keys j <= i + (keys - queries), so that the last of both line up: bool (queries, keys).
Tensor causal_mask(int64_t queries, int64_t keys);
/// For sequences that are packed into one: tokens may see those of their own segment.   segments (B, T) of integers ->
/// bool (B, 1, T, T)
Tensor segment_mask(const Tensor& segments);

}  // namespace cotangent::nn
