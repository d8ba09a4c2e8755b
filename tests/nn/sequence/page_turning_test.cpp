#include <cotangent/nn/sequence/page_turning.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/attention.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/sequence/rnn.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/memory/allocator.hpp>
#include <cotangent/tensor/random.hpp>

#include "../../check_gradients.hpp"
#include "../attention/checks.hpp"

using namespace cotangent;

namespace {

/// Softmax attention of one head as a cell. state: the mean of the values so far, the query, the largest score and the
/// sum of the exponentials, shifted by it or, naively, not.
struct AttentionCell : nn::Module {
  AttentionCell(int64_t width, bool shifted_)
      : q(width, width, {.dtype = float64}),
        k(width, width, {.dtype = float64}),
        v(width, width, {.dtype = float64}),
        shifted(shifted_) {}
  nn::Linear q, k, v;
  bool shifted;
  COTANGENT_MODULE(q, k, v)

  Tensors forward(const Tensor& x, const Tensors& state) {
    const Tensor query = state.empty() ? q(x) : state[1];
    const Tensor score = sum(query * k(x), 1, true) / std::sqrt(static_cast<double>(x.size(1)));
    if (state.empty()) {
      const Tensor m = shifted ? score : score * 0;
      return {v(x), query, m, exp(score - m)};
    }
    const Tensor m = shifted ? maximum(state[2], score) : state[2];
    const Tensor before = state[3] * exp(state[2] - m), now = exp(score - m), z = before + now;
    return {(state[0] * before + v(x) * now) / z, query, m, z};
  }
};

template <class Cell>
void check_pages(nn::PageTurningRNN<Cell> pages, const Shape& shape) {
  Tensors inputs{randn(shape, float64)};
  for (const Tensor& p : pages.parameters()) inputs.push_back(p);
  check_gradients([&] { return pages(inputs[0]); }, inputs);
  check_precisions(pages, shape, [](auto& layer, const Tensor& x) { return layer(x); });
}

/// layer over x_i, .., x_0 for each i.
template <class Layer>
Tensor each_prefix(Layer& layer, const Tensor& x) {
  Tensors outputs;
  for (int64_t i = 0; i < x.size(1); ++i)
    outputs.push_back(layer(flip(x.narrow(1, 0, i + 1), 1)).output.narrow(1, i, 1));
  return cat(outputs, 1);
}

template <class Layer, class Cell>
void check_recurrent(Layer layer, const Cell& cell) {
  nn::PageTurningRNN<Cell> pages(cell);
  nn::StateDict state;
  for (const char* name : {"weight_ih", "weight_hh", "bias_ih", "bias_hh"})
    state.add(std::string("cell.") + name, layer.state_dict()[std::string(name) + "_l0"]);
  pages.load_state_dict(state);
  const Tensor x = sequence(6, 3);
  CHECK(pages(x).shape() == Shape{2, 6, 4});
  CHECK(largest_difference(pages(x), each_prefix(layer, x)) < 1e-12);
  check_causal(x, 1, [&](const Tensor& y) { return pages(y); });
  check_pages(pages, {1, 3, 3});
}

}  // namespace

TEST_CASE("PageTurningRNN runs a cell over each reversed prefix") {
  const nn::RecurrentOptions of_layer{.batch_first = true, .dtype = float64};
  const nn::CellOptions of_cell{.dtype = float64};
  check_recurrent(nn::RNN(3, 4, of_layer), nn::RNNCell(3, 4, of_cell));
  check_recurrent(nn::GRU(3, 4, of_layer), nn::GRUCell(3, 4, of_cell));
  check_recurrent(nn::LSTM(3, 4, of_layer), nn::LSTMCell(3, 4, of_cell));
  CHECK_THROWS_WITH(nn::PageTurningRNN(nn::GRUCell(3, 4))(ones({5, 3})), Catch::Contains("x has shape (5, 3)"));
  CHECK_THROWS_AS(nn::PageTurningRNN(nn::GRUCell(3, 4))(ones({2, 0, 3})), ShapeError);
}

TEST_CASE("causal softmax attention is a page-turning recurrent layer") {
  manual_seed(3);  // the gradient of the keys' bias is 0 but for rounding, which the check of some weights finds
  nn::PageTurningRNN pages(AttentionCell(4, true)), naive(AttentionCell(4, false));
  naive.load_state_dict(pages.state_dict());
  const Tensor x = sequence(9, 4);
  const auto heads = [&](nn::Linear& map) { return unsqueeze(map(x), 1); };
  AttentionCell& cell = pages.cell;
  const Tensor expected =
      squeeze(scaled_dot_product_attention(heads(cell.q), heads(cell.k), heads(cell.v), {.causal = true}), 1);
  CHECK(largest_difference(pages(x), expected) < 1e-12);
  CHECK(largest_difference(naive(x), expected) < 1e-12);
  // oldest first, with the query of the last: sums commute
  Tensors state = cell(x.select(1, 8), Tensors());
  for (int64_t t = 0; t < 8; ++t) state = cell(x.select(1, t), state);
  CHECK(largest_difference(state[0], expected.select(1, 8)) < 1e-12);
  check_pages(pages, {1, 4, 4});
}

TEST_CASE("PageTurningRNN keeps one state a position") {
  const NoGrad guard;
  nn::PageTurningRNN pages(nn::GRUCell(8, 8));
  const int64_t length = 512, state_bytes = 8 * 4;
  const Tensor x = randn({1, length, 8});
  const int64_t before = memory_stats().current_bytes;
  reset_peak_memory();
  pages(x);
  CHECK(memory_stats().peak_bytes - before < 32 * length * state_bytes);  // a state a pair would take 256
}

TEST_CASE("two layers may read everything anew, in memory that does not grow with the length") {
  const NoGrad guard;
  AttentionCell cells[]{AttentionCell(4, true), AttentionCell(4, true)};
  const Tensor x = sequence(8, 4);
  const Tensor expected = nn::PageTurningRNN(cells[1])(nn::PageTurningRNN(cells[0])(x));
  const auto output = [&](auto& self, int layer, int64_t i) -> Tensor {  // of a layer at i, from x alone
    if (layer == 0) return x.select(1, i);
    Tensors state;
    for (int64_t t = i; t >= 0; --t) state = cells[layer - 1](self(self, layer - 1, t), state);
    return state[0];
  };
  std::vector<int64_t> peaks;
  for (int64_t i = 2; i < 8; ++i) {
    const int64_t before = memory_stats().current_bytes;
    reset_peak_memory();
    const Tensor y = output(output, 2, i);
    peaks.push_back(memory_stats().peak_bytes - before);
    CHECK(largest_difference(y, expected.select(1, i)) < 1e-12);
  }
  CHECK(peaks == std::vector<int64_t>(6, peaks[0]));
}
