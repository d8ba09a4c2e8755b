#pragma once
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::zoo {

/// The way to each token in a binary tree with the tokens as its leaves, all (V, L), L the longest way.
struct HuffmanTree {
  Tensor nodes;  ///< int64: the inner nodes from the root down, in [0, V - 1); 0 behind the end
  Tensor turns;  ///< float64: 1 or -1, to the one child or the other; 0 behind the end
  /// How long each way is: (V), int64
  Tensor lengths() const;
};

/// The tree in which frequent tokens are near the root: its mean length, by the counts, is the least that there is, and
/// lies in [H, H + 1), H the entropy of the tokens in bits, unless only one ever comes. Of equal counts the first are
/// joined first. Huffman, "A method for the construction of minimum-redundancy codes", 1952.
///   counts (V), V at least 2. A ValueError for fewer, and for counts that are negative or not finite.
HuffmanTree huffman(const Tensor& counts);

}  // namespace cotangent::zoo
