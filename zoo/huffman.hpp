#pragma once
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::zoo {

/// The way from the root to each token in a binary tree whose leaves are the tokens. All are (V, L), where L is the
/// length of the longest way.
struct HuffmanTree {
  Tensor nodes;  ///< int64: the inner nodes from the root down, in [0, V - 1); 0 behind the end
  Tensor turns;  ///< float64: 1 or -1, for the one child or the other; 0 behind the end
  /// The length of each way.   -> int64 (V)
  Tensor lengths() const;
};

/// The tree in which frequent tokens are near the root: the mean length of the ways, weighted by the counts, is the
/// least that is possible. It lies in [H, H + 1), where H is the entropy of the tokens in bits, unless all counts but
/// one are 0. Of equal counts the first are joined first. Huffman, "A method for the construction of minimum-redundancy
/// codes", 1952.
///   counts (V), V at least 2. A ValueError for fewer, and for counts that are negative or not finite.
HuffmanTree huffman(const Tensor& counts);

}  // namespace cotangent::zoo
