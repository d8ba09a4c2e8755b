#pragma once
// Recurrent cells that read the history anew for each output. docs/attention.md, "Attention as a recurrent layer".
#include <utility>

#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

namespace detail {
using PageStep = Tensors (*)(void* cell, const Tensor& x, const Tensors& state);
Tensor turn_pages(const Tensor& x, PageStep step, void* cell);
}  // namespace detail

/// For the output at i a cell starts afresh and reads x_i, x_(i-1), .., x_0: causal, in O(T^2) steps of the cell, T
/// after one another; without a graph in memory for one state a position.
///   x (B, T, input) -> (B, T, H), the first tensor of the state after x_0
/// The cell is RNNCell, GRUCell, LSTMCell, or any module with
///     Tensors forward(const Tensor& x, const Tensors& state)   // x (N, input), state: each (N, ..), none at first
/// Softmax attention is such a cell, which keeps the query of the first token that it reads and the running sums over
/// keys: exp(q . k) v and exp(q . k). A ShapeError for an x of another rank.
template <class Cell>
struct PageTurningRNN : Module {
  explicit PageTurningRNN(Cell cell_) : cell(std::move(cell_)) {}
  Cell cell;
  COTANGENT_MODULE(cell)
  Tensor forward(const Tensor& x) {
    return detail::turn_pages(
        x, [](void* c, const Tensor& token, const Tensors& s) { return step(*static_cast<Cell*>(c), token, s); },
        &cell);
  }

 private:
  static Tensors step(Cell& cell, const Tensor& x, const Tensors& s) {
    if constexpr (requires { cell.forward(x, s); }) {
      return cell(x, s);
    } else if constexpr (requires { cell.forward(x, x, x); }) {
      const auto [h, c] = s.empty() ? cell(x) : cell(x, s[0], s[1]);
      return {h, c};
    } else {
      return {s.empty() ? cell(x) : cell(x, s[0])};
    }
  }
};

}  // namespace cotangent::nn
