// The op table of autograd/ops/rnn.hpp.
#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/rnn.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {
namespace {

using raw::Cell;

double sigmoid_of(double v) { return 1 / (1 + std::exp(-v)); }

/// One row of the batch at a time, one unit at a time. `w` are w_ih, w_hh, b_ih, b_hh and w_hr, where they are given.
Tensors naive(Cell cell, const Tensor& x, const Tensor& h0, const Tensor& c0, Arguments w, bool reverse) {
  auto value = [](const Tensor& t, int64_t i) { return t.data<double>()[i]; };
  const Tensor in = contiguous(x.detach()), w_ih = contiguous(w[0].detach()), w_hh = contiguous(w[1].detach());
  auto bias = [&](size_t i, int64_t k) { return w.size() > i ? contiguous(w[i].detach())[k].item() : 0; };
  const bool projects = w.size() > 4;
  const int64_t T = in.size(0), N = in.size(1), I = in.size(2), G = w_ih.size(0), H = G / raw::gate_count(cell),
                P = w_hh.size(1);
  const Tensor output = zeros({T, N, P}, float64), last = zeros({N, H}, float64);
  for (int64_t row = 0; row < N; ++row) {
    std::vector<double> h, c;
    for (int64_t k = 0; k < P; ++k) h.push_back(h0.defined() ? h0.detach()[row][k].item() : 0);
    for (int64_t k = 0; k < H; ++k) c.push_back(c0.defined() ? c0.detach()[row][k].item() : 0);
    for (int64_t s = 0; s < T; ++s) {
      const int64_t t = reverse ? T - 1 - s : s;
      std::vector<double> p, q;  // the arguments' shares of x and of h
      for (int64_t k = 0; k < G; ++k) {
        p.push_back(bias(2, k)), q.push_back(bias(3, k));
        for (int64_t i = 0; i < I; ++i) p.back() += value(w_ih, k * I + i) * value(in, (t * N + row) * I + i);
        for (int64_t i = 0; i < P; ++i) q.back() += value(w_hh, k * P + i) * h[static_cast<size_t>(i)];
      }
      auto sum = [&](int64_t k) { return p[static_cast<size_t>(k)] + q[static_cast<size_t>(k)]; };
      std::vector<double> next;
      for (int64_t k = 0; k < H; ++k) {
        const auto i = static_cast<size_t>(k), candidate = static_cast<size_t>(2 * H + k);
        if (cell == Cell::lstm) {
          c[i] = sigmoid_of(sum(H + k)) * c[i] + sigmoid_of(sum(k)) * std::tanh(sum(2 * H + k));
          next.push_back(sigmoid_of(sum(3 * H + k)) * std::tanh(c[i]));
        } else if (cell == Cell::gru) {
          const double z = sigmoid_of(sum(H + k));
          const double n = std::tanh(p[candidate] + sigmoid_of(sum(k)) * q[candidate]);
          next.push_back((1 - z) * n + z * h[i]);
        } else {
          next.push_back(cell == Cell::relu ? std::max(sum(k), 0.0) : std::tanh(sum(k)));
        }
      }
      for (int64_t k = 0; k < P; ++k) {
        double& y = h[static_cast<size_t>(k)] = projects ? 0 : next[static_cast<size_t>(k)];
        for (int64_t i = 0; projects && i < H; ++i) y += w[4].detach()[k][i].item() * next[static_cast<size_t>(i)];
        output.data<double>()[(t * N + row) * P + k] = y;
      }
    }
    for (int64_t k = 0; k < H; ++k) last.data<double>()[row * H + k] = c[static_cast<size_t>(k)];
  }
  return {output, select(output, 0, reverse ? 0 : T - 1), last};
}

RecurrentWeights weights_of(Arguments w) {
  auto at = [&](size_t i) { return w.size() > i ? w[i] : Tensor(); };
  return {at(0), at(1), at(2), at(3), at(4)};
}
template <bool reverse>
Results call_lstm(Arguments x) {
  const LstmSequence y = lstm(x[0], x[1], x[2], weights_of(x.subspan(3)), reverse);
  return Tensors{y.output, y.h, y.c};
}
template <bool reverse>
Results naive_lstm(Arguments x) {
  return naive(Cell::lstm, x[0], x[1], x[2], x.subspan(3), reverse);
}
Results lstm_from_zeros(Arguments x) {
  const LstmSequence y = lstm(x[0], {}, {}, weights_of(x.subspan(1)));
  return Tensors{y.output, y.h, y.c};
}
Results naive_lstm_from_zeros(Arguments x) { return naive(Cell::lstm, x[0], {}, {}, x.subspan(1), false); }
Results only_the_cell(Arguments x) { return lstm(x[0], x[1], x[2], weights_of(x.subspan(3))).c; }
template <bool reverse>
Results call_gru(Arguments x) {
  const RecurrentSequence y = gru(x[0], x[1], weights_of(x.subspan(2)), reverse);
  return Tensors{y.output, y.h};
}
template <bool reverse>
Results naive_gru(Arguments x) {
  const Tensors y = naive(Cell::gru, x[0], x[1], {}, x.subspan(2), reverse);
  return Tensors{y[0], y[1]};
}
template <Rnn f, bool reverse>
Results call_rnn(Arguments x) {
  const RecurrentSequence y = rnn(x[0], x[1], weights_of(x.subspan(2)), f, reverse);
  return Tensors{y.output, y.h};
}
template <Rnn f, bool reverse>
Results naive_rnn(Arguments x) {
  const Tensors y = naive(f == Rnn::tanh ? Cell::tanh : Cell::relu, x[0], x[1], {}, x.subspan(2), reverse);
  return Tensors{y[0], y[1]};
}

}  // namespace

COTANGENT_OP_TABLE(rnn) {
  const InputSpec x = normal({3, 2, 2}), state = normal({2, 2}), w4 = normal({8, 2}), b4 = normal({8}),
                  w3 = normal({6, 2}), b3 = normal({6}), w1 = uniform({2, 2}, -1, 1), b1 = uniform({2}, -1, 1);
  return {
      {"lstm",
       {{{x, state, state, w4, w4, b4, b4}, call_lstm<false>, naive_lstm<false>},
        {{x, state, state, w4, w4, b4, b4}, call_lstm<true>, naive_lstm<true>},
        {{x, normal({2, 1}), state, w4, normal({8, 1}), b4, b4, normal({1, 2})}, call_lstm<false>, naive_lstm<false>},
        {{x, normal({2, 3}), state, w4, normal({8, 3}), b4, b4, normal({3, 2})}, call_lstm<true>, naive_lstm<true>},
        {{normal({1, 1, 3}), normal({8, 3}), w4}, lstm_from_zeros, naive_lstm_from_zeros},
        {{x, w4, w4, b4, b4}, lstm_from_zeros, naive_lstm_from_zeros},
        {{x, state, state, w4, w4}, only_the_cell}},
       {{{state, state, state, w4, w4}, call_lstm<false>, "[lstm] x is (2, 2); it must be (T, N, I)"},
        {{normal({0, 2, 2}), state, state, w4, w4}, call_lstm<false>, "with one step at least"},
        {{x, state, state, normal({6, 2}), w4},
         call_lstm<false>,
         "w_ih is (6, 2); for x (3, 2, 2) it must be (4 H, 2)"},
        {{x, state, state, w4, normal({8, 3})}, call_lstm<false>, "w_hh is (8, 3)"},
        {{x, state, state, w4, w4, b4, normal({4})}, call_lstm<false>, "b_hh is (4,)"},
        {{x, state, state, w4, w4, b4}, call_lstm<false>, "one of b_ih and b_hh is undefined"},
        {{x, normal({3, 2}), state, w4, w4},
         call_lstm<false>,
         "h is (3, 2); for x (3, 2, 2) and w_ih (8, 2) it must be"},
        {{x, state, normal({2, 3}), w4, w4}, call_lstm<false>, "c is (2, 3)"},
        {{x, state, state, w4, w4, b4, b4, normal({2, 3})}, call_lstm<false>, "w_hr is (2, 3)"},
        {{integers({3, 2, 2}, 0, 2), state, state, w4, w4}, call_lstm<false>, "all must have one floating dtype"}}},
      {"gru",
       {{{x, state, w3, w3, b3, b3}, call_gru<false>, naive_gru<false>},
        {{x, state, w3, w3, b3, b3}, call_gru<true>, naive_gru<true>},
        {{normal({2, 1, 3}), normal({1, 2}), normal({6, 3}), w3}, call_gru<false>, naive_gru<false>}},
       {{{x, state, w4, w4}, call_gru<false>, "w_ih is (8, 2); for x (3, 2, 2) it must be (3 H, 2)"},
        {{x, state, w3, w3, b3, b3, w1}, call_gru<false>, "[gru] has no projection"}}},
      {"rnn",
       {{{x, state, w1, w1, b1, b1}, call_rnn<Rnn::tanh, false>, naive_rnn<Rnn::tanh, false>},
        {{normal({2, 1, 2}), normal({1, 2}), w1, w1, b1, b1}, call_rnn<Rnn::tanh, true>, naive_rnn<Rnn::tanh, true>},
        {{x, state, w1, w1}, call_rnn<Rnn::relu, false>, naive_rnn<Rnn::relu, false>}},
       {{{x, state, normal({2, 3}), w1}, call_rnn<Rnn::tanh, false>, "w_ih is (2, 3)"},
        {{x, state, w1, w1, b1, b1, w1}, call_rnn<Rnn::tanh, false>, "[rnn] has no projection"}}},
  };
}

}  // namespace cotangent
