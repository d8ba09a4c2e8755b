#include <cotangent/autograd/ops/rnn.hpp>

#include <cmath>

#include <cotangent/autograd/op_info.hpp>
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/record.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace {

using raw::Cell;

struct Attributes {
  Cell cell;
  bool reverse;
  Tensor gates, cells, projected;
};

// Step by step: inputs x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr.
Tensors composite(std::span<const Tensor> in, const void* attributes) {
  const Attributes& a = *static_cast<const Attributes*>(attributes);
  const Tensor &x = in[0], &w_ih = in[3], &w_hh = in[4], &b_ih = in[5], &b_hh = in[6], &w_hr = in[7];
  const int64_t steps = x.size(0), batch = x.size(1);
  Tensor h = in[1].defined() ? in[1] : zeros({batch, w_hh.size(1)}, x.dtype());
  Tensor c = in[2].defined() ? in[2] : zeros({batch, w_ih.size(0) / raw::gate_count(a.cell)}, x.dtype());
  Tensors outputs(static_cast<size_t>(steps));
  for (int64_t s = 0; s < steps; ++s) {
    const int64_t t = a.reverse ? steps - 1 - s : s;
    const Tensor from_x = linear(select(x, 0, t), w_ih, b_ih), from_h = linear(h, w_hh, b_hh);
    if (a.cell == Cell::lstm) {
      const int64_t n = c.size(1);
      const Tensors g = split(from_x + from_h, {n, n, n, n}, 1);
      c = sigmoid(g[1]) * c + sigmoid(g[0]) * tanh(g[2]);
      h = sigmoid(g[3]) * tanh(c);
      if (w_hr.defined()) h = linear(h, w_hr);
    } else if (a.cell == Cell::gru) {
      const int64_t n = h.size(1);
      const Tensors p = split(from_x, {n, n, n}, 1), q = split(from_h, {n, n, n}, 1);
      const Tensor candidate = tanh(p[2] + sigmoid(p[0] + q[0]) * q[2]);
      h = candidate + sigmoid(p[1] + q[1]) * (h - candidate);
    } else {
      h = a.cell == Cell::relu ? relu(from_x + from_h) : tanh(from_x + from_h);
    }
    outputs[static_cast<size_t>(t)] = h;
  }
  if (a.cell == Cell::lstm) return {stack(outputs), c};
  return {stack(outputs)};
}

void check_shapes(const char* op, Cell cell, const Tensor& x, const Tensor& h, const Tensor& c,
                  const RecurrentWeights& w) {
  if (x.rank() != 3 || x.size(0) == 0)
    fail<ShapeError>("[{}] x is {}; it must be (T, N, I), with one step at least", op, x.shape());
  const int64_t per_unit = raw::gate_count(cell);
  if (w.w_ih.rank() != 2 || w.w_ih.size(1) != x.size(2) || w.w_ih.size(0) % per_unit != 0)
    fail<ShapeError>("[{}] w_ih is {}; for x {} it must be ({} H, {})", op, w.w_ih.shape(), x.shape(), per_unit,
                     x.size(2));
  const int64_t gates = w.w_ih.size(0), hidden = gates / per_unit, outputs = w.w_hr.defined() ? w.w_hr.size(0) : hidden;
  auto check = [&](const char* name, const Tensor& t, const Shape& shape) {
    if (t.defined() && t.shape() != shape)
      fail<ShapeError>("[{}] {} is {}; for x {} and w_ih {} it must be {}", op, name, t.shape(), x.shape(),
                       w.w_ih.shape(), shape);
  };
  check("w_hr", w.w_hr, {outputs, hidden});
  check("w_hh", w.w_hh, {gates, outputs});
  check("b_ih", w.b_ih, {gates});
  check("b_hh", w.b_hh, {gates});
  check("h", h, {x.size(1), outputs});
  check("c", c, {x.size(1), hidden});
  if (w.b_ih.defined() != w.b_hh.defined())
    fail<ShapeError>("[{}] one of b_ih and b_hh is undefined; give both or none", op);
  for (const Tensor* t : {&x, &h, &c, &w.w_ih, &w.w_hh, &w.b_ih, &w.b_hh, &w.w_hr})
    if (t->defined() && (t->dtype() != x.dtype() || !t->is_floating()))
      fail<DTypeError>("[{}] x is {} and another input {}; all must have one floating dtype", op, x.dtype(),
                       t->dtype());
}

Gradients rule(const Backward& b, const Attributes& a) {
  if (b.creates_graph()) return b.through(composite, &a);
  uint32_t wanted = 0;
  for (int i = 0; i < 8; ++i) wanted |= static_cast<uint32_t>(b.needs(i)) << i;
  const RecurrentWeights weights{b.input(3), b.input(4), b.input(5), b.input(6), b.input(7)};
  const Tensor dc = a.cell == Cell::lstm && b.has_grad(1) ? b.grad(1) : Tensor();
  const auto [dx, dh, dc0, dw] =
      raw::recurrence_backward("recurrence", a.cell, b.grad(0), dc, b.input(0), b.input(1), b.input(2), weights,
                               a.reverse, {b.output(0), a.gates, a.cells, a.projected}, wanted);
  return Tensors{dx, dh, dc0, dw.w_ih, dw.w_hh, dw.b_ih, dw.b_hh, dw.w_hr};
}

LstmSequence run(const char* op, Cell cell, const Tensor& x, const Tensor& h, const Tensor& c,
                 const RecurrentWeights& w, bool reverse) {
  check_shapes(op, cell, x, h, c, w);
  if (x.dtype() == bfloat16 || x.dtype() == float16) {
    auto wide = [](const Tensor& t) { return t.defined() ? to(t, float32) : t; };
    const LstmSequence y = run(op, cell, wide(x), wide(h), wide(c),
                               {wide(w.w_ih), wide(w.w_hh), wide(w.b_ih), wide(w.b_hh), wide(w.w_hr)}, reverse);
    return {to(y.output, x.dtype()), to(y.h, x.dtype()), y.c.defined() ? to(y.c, x.dtype()) : y.c};
  }
  const raw::Recurrence r = raw::recurrence(op, cell, x, h, c, w, reverse);
  const int64_t last = reverse ? 0 : x.size(0) - 1;
  Tensor outputs[2] = {r.output, cell == Cell::lstm ? select(r.cells, 0, last).clone() : Tensor()};
  record_all(op, {x, h, c, w.w_ih, w.w_hh, w.b_ih, w.b_hh, w.w_hr}, std::span(outputs, cell == Cell::lstm ? 2 : 1),
             Keep::inputs(8) | Keep::output(0), Attributes{cell, reverse, r.gates, r.cells, r.projected},
             [](const Backward& b, const Attributes& a) -> Gradients { return rule(b, a); });
  return {outputs[0], select(outputs[0], 0, last), outputs[1]};
}

}  // namespace

RecurrentSequence rnn(const Tensor& x, const Tensor& h, const RecurrentWeights& weights, Rnn f, bool reverse) {
  if (weights.w_hr.defined()) fail<ValueError>("[rnn] has no projection; leave w_hr undefined");
  const LstmSequence y = run("rnn", f == Rnn::tanh ? Cell::tanh : Cell::relu, x, h, {}, weights, reverse);
  return {y.output, y.h};
}
RecurrentSequence gru(const Tensor& x, const Tensor& h, const RecurrentWeights& weights, bool reverse) {
  if (weights.w_hr.defined()) fail<ValueError>("[gru] has no projection; leave w_hr undefined");
  const LstmSequence y = run("gru", Cell::gru, x, h, {}, weights, reverse);
  return {y.output, y.h};
}
LstmSequence lstm(const Tensor& x, const Tensor& h, const Tensor& c, const RecurrentWeights& weights, bool reverse) {
  return run("lstm", Cell::lstm, x, h, c, weights, reverse);
}

// ---- op table ----

namespace {

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
