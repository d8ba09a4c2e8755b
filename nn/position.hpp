#pragma once
// How an attention knows where the tokens stand: an option of every attention, {.positions = nn::RotaryPosition()}.
#include <cotangent/nn/container.hpp>

namespace cotangent::nn {

/// What an attention asks about positions. An encoding overrides what it does; the rest does nothing.
struct Position : Module {
  /// Queries and keys (.., T, width) of the tokens at `start`, start + 1, ..., as they enter the scores. Cached keys
  /// are kept as this gives them.
  virtual Tensor query(const Tensor& q, int64_t start) const;
  virtual Tensor key(const Tensor& k, int64_t start) const;
  /// What is added to the scores of a query at i and a key at j.   distance (..) of integers i - j -> (heads, ..) of
  /// `dtype`, or undefined for nothing
  virtual Tensor bias(const Tensor& distance, int64_t heads, Dtype dtype) const;
};

/// Any encoding, or none (empty). A copy shares the learned tables.
using AnyPosition = Any<Position>;

/// The distances i - j of `queries` queries, which start at `first_query`, and `keys` keys, which start at 0: int64
/// (queries, keys).
Tensor distances(int64_t queries, int64_t keys, int64_t first_query);

}  // namespace cotangent::nn
