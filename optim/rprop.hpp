#pragma once
#include <cotangent/optim/optimizer.hpp>

namespace cotangent::optim {

struct RpropOptions {
  double lr = 1e-2;                   ///< the size of the first step of each element; of no use afterwards
  double etas[2] = {0.5, 1.2};        ///< by what a step shrinks and grows: the first in (0, 1), the second above 1
  double step_sizes[2] = {1e-6, 50};  ///< the least and the greatest size of a step
  bool maximize = false;              ///< goes up instead of down
  void fields(detail::Fields& f);     // names them, for state_dict()
  void check() const;                 // what the ranges do not say
};
struct RpropState {
  Tensor prev, step_size;          // d, s
  void fields(detail::Fields& f);  // names them, for state_dict()
};

/// Steps whose size is each element's own and does not depend on the size of the gradient, only on its sign: they grow
/// as long as the sign stays, and shrink where it turns, where a minimum was stepped over.
///
///     g d > 0:   s = min(s * etas[1], step_sizes[1]),   d = g
///     g d < 0:   s = max(s * etas[0], step_sizes[0]),   d = 0, so that nothing moves, and the next step goes on with s
///     g d = 0:   d = g
///     p = p - s * sign(d)
///
/// It is for gradients without noise, of whole batches: of small ones the signs turn by chance. The sign of 0 is 0, and
/// so is that of NaN, as in PyTorch. (Riedmiller and Braun, "A direct adaptive method for faster backpropagation
/// learning: the RPROP algorithm", 1993; not stepping back where the sign turned is PyTorch's.) A ValueError for
/// options out of range.
using Rprop = GroupedOptimizer<RpropOptions, RpropState>;

}  // namespace cotangent::optim
