#pragma once
#include <cotangent/autograd/transforms/checkpoint.hpp>

namespace cotangent::detail {

/// Additive couplings one after another: each function f turns the pair (a, b) into (b, a + f(b)), which b and f undo.
/// Of all of them nothing is kept but the last pair, from which the backward pass goes back, function by function: the
/// pair before, then the gradients of f there. With f1, g1, f2, g2, .. these are the blocks of reversible networks,
///     y1 = x1 + f(x2),   y2 = x2 + g(y1);   x2 = y2 - g(y1),   x1 = y1 - f(x2)
/// (Gomez et al., "The reversible residual network", arXiv:1707.04585). The pair is of one shape and dtype.
///
/// Tensors that functions read besides have their gradients, too, and default_generator() gives them the same numbers
/// again, as in checkpoint(), which also says what own() is. Derivatives are exact but for the rounding of a + f(b) -
/// f(b); one that is itself differentiated runs all functions again from the first pair, and keeps what they keep. A
/// ShapeError where f changes the shape; a GradError where what f reads was written in place since.
Tensors reversible(const std::vector<FunctionRef>& functions, OwnedFunction (*own)(void* function), const Tensor& a,
                   const Tensor& b);
/// The pair before, of the pair after all functions: without histories.
Tensors reversed(const std::vector<FunctionRef>& functions, const Tensor& a, const Tensor& b);

}  // namespace cotangent::detail
