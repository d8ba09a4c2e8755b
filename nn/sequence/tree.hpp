#pragma once
// Trees of tokens, for SequenceLayer::step_tree: guesses at how a sequence goes on, of which at most one path is right.
// A tree of n tokens is given by int64 (n), of each token the place of the one that it follows on, among these n, or -1
// where that is the last token before the tree. Tokens come in order of their depth: none before its parent. Errors are
// those of checked_depths.
//
//            the         cat sat        parents: -1, 0, 0, 1, 2
//     a <    cat         dog ran        depths:   0, 1, 1, 2, 2
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::nn {

/// How many of the tree's tokens are above each. A ValueError unless they are in order, under the name `op`.
std::vector<int64_t> checked_depths(const char* op, const Tensor& parents);
/// What each token may see of `before` tokens and the tree: the former, its ancestors and itself. bool (n, before + n)
Tensor tree_mask(const Tensor& parents, int64_t before);

namespace detail {
Tensor by_depth(Tensor (*f)(void* function, const Tensor& x, int64_t position), void* function, const Tensor& x,
                int64_t start, const Tensor& parents);
}  // namespace detail

/// f(x, position) of tokens that stand side by side at one position: f is given those of each depth as (.., n, 1,
/// width), for x (.., n, width), and the position is start + depth.   -> (.., n, width)
template <class F>
Tensor by_depth(F f, const Tensor& x, int64_t start, const Tensor& parents) {
  return detail::by_depth(
      [](void* function, const Tensor& part, int64_t position) { return (*static_cast<F*>(function))(part, position); },
      &f, x, start, parents);
}

}  // namespace cotangent::nn
