#pragma once
// What all attention layers are, and their masks. nn/attention/multihead.hpp has the softmax attention of transformers.
#include <cotangent/nn/container.hpp>
#include <cotangent/nn/sequence/sequence.hpp>

namespace cotangent::nn {

/// The base of all attention layers.
class Attention : public SequenceLayer {
 protected:
  using SequenceLayer::SequenceLayer;
};

/// Any attention as a value, for layers around it.
using AnyAttention = Any<Attention>;

/// Both masks at once: each of them bool (true: may be seen), floating (added to the scores), or undefined (all may be
/// seen). Two bool masks give a bool one; where one is floating the result is, with -infinity for what may not be seen.
/// Shapes broadcast.
Tensor combine_masks(const Tensor& a, const Tensor& b);
/// Query i may see the keys j <= i + (keys - queries), so that the last of both line up: bool (queries, keys).
Tensor causal_mask(int64_t queries, int64_t keys);
/// For sequences that are packed into one: tokens may see those of their own segment.   segments (B, T) of integers ->
/// bool (B, 1, T, T)
Tensor segment_mask(const Tensor& segments);

}  // namespace cotangent::nn
