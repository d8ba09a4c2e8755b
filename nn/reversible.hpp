#pragma once
// Residual blocks that can be run backwards: memory in training does not grow with their number.
//
//     auto block = [] {
//       return nn::ReversibleBlock(nn::Sequential(nn::LayerNorm(64), nn::MultiHeadAttention(64, 4)),
//                                  nn::Sequential(nn::LayerNorm(64), nn::Linear(64, 256), nn::GELU(),
//                                                 nn::Linear(256, 64)));
//     };
//     nn::ReversibleSequence body(nn::repeat(48, block));
//     const auto [y1, y2] = body(x, x);
//     Tensor y = (y1 + y2) * 0.5;
#include <utility>

#include <cotangent/nn/container.hpp>

namespace cotangent::nn {

/// The two streams of a reversible network.
struct ReversiblePair {
  Tensor x1, x2;
};

/// y1 = x1 + f(x2), y2 = x2 + g(y1), for any modules or functions f and g of a tensor that keep its shape. Alone it is
/// a ReversibleSequence of one.   x1, x2 (any shape, the same) -> the same
struct ReversibleBlock : Module {
  template <class F, class G>
  ReversibleBlock(F f_, G g_) {
    f.append(std::move(f_)), g.append(std::move(g_));
  }
  Sequential f, g;
  COTANGENT_MODULE(f, g)
  ReversiblePair forward(const Tensor& x1, const Tensor& x2);
  /// x2 = y2 - g(y1), x1 = y1 - f(x2), without histories.
  ReversiblePair inverse(const Tensor& y1, const Tensor& y2);
};

/// Reversible blocks one after another. Nothing is kept for the backward pass but the last pair: it computes the pair
/// before each block again from the one behind, and with it the gradients, at the cost of another forward pass. So
/// memory is that of one block, however many there are; f and g may draw random numbers, which come again. Gradients
/// are those of stored activations but for rounding, which adds up from the last block to the first and in float16 and
/// bfloat16 shows. Derivatives of any order; those above the first keep what all blocks keep.
/// A ShapeError where x1 and x2 differ, or f or g changes the shape; a GradError where what they read was written in
/// place before the backward pass. Gomez et al., arXiv:1707.04585; Kitaev et al., "Reformer", arXiv:2001.04451.
struct ReversibleSequence : Module {
  explicit ReversibleSequence(std::vector<ReversibleBlock> blocks);
  std::vector<ReversibleBlock> blocks;
  COTANGENT_MODULE(blocks)
  ReversiblePair forward(const Tensor& x1, const Tensor& x2);
  ReversiblePair inverse(const Tensor& y1, const Tensor& y2);
};

}  // namespace cotangent::nn
