#pragma once
#include <cotangent/nn/linear.hpp>

namespace cotangent::nn {

/// A layer that learns its activation: each output is the largest of `pieces` linear functions of x, so any convex
/// piecewise linear function (Goodfellow et al., arXiv:1302.4389). It has `pieces` times the parameters of a Linear.
///   x (.., in) -> (.., out);   linear.weight (out * pieces, in): rows j * pieces to (j + 1) * pieces - 1 make output
///   j. The gradient goes to the largest of them, the first of equal ones.
/// A ValueError for less than one piece.
struct Maxout : Module {
  Maxout(int64_t in, int64_t out, int64_t pieces, const LinearOptions& options = {});
  int64_t pieces;
  Linear linear;
  COTANGENT_MODULE(linear)
  Tensor forward(const Tensor& x);
  std::string settings() const override;
};

}  // namespace cotangent::nn
