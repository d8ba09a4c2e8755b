#include <cotangent/autograd/ops/rnn.hpp>

#include <cotangent/autograd/autocast_internal.hpp>
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
#include <cotangent/tensor/precision_internal.hpp>

namespace cotangent {
namespace {

using raw::Cell;

struct Attributes {
  Cell cell;
  bool reverse;
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
                               a.reverse, {b.output(0), b.input(8), b.input(9), b.input(10)}, wanted);
  return Tensors{dx, dh, dc0, dw.w_ih, dw.w_hh, dw.b_ih, dw.b_hh, dw.w_hr};
}

LstmSequence run(const char* op, Cell cell, const Tensor& x, const Tensor& h, const Tensor& c,
                 const RecurrentWeights& w, bool reverse) {
  const auto again = [&](const Tensor& in, const Tensor& h0, const Tensor& c0, const auto&... weights) {
    return run(op, cell, in, h0, c0, {weights...}, reverse);
  };
  if (detail::t_autocast.enabled) [[unlikely]]
    return detail::autocast("lstm", again, x, h, c, w.w_ih, w.w_hh, w.b_ih, w.b_hh, w.w_hr);
  check_shapes(op, cell, x, h, c, w);
  if (is_low_precision(x.dtype())) return in_float32<to>(again, x, h, c, w.w_ih, w.w_hh, w.b_ih, w.b_hh, w.w_hr);
  const raw::Recurrence r = raw::recurrence(op, cell, x, h, c, w, reverse);
  const int64_t last = reverse ? 0 : x.size(0) - 1;
  Tensor outputs[2] = {r.output, cell == Cell::lstm ? select(r.cells, 0, last).clone() : Tensor()};
  record_all(op, {x, h, c, w.w_ih, w.w_hh, w.b_ih, w.b_hh, w.w_hr, r.gates, r.cells, r.projected},
             std::span(outputs, cell == Cell::lstm ? 2 : 1), Keep::inputs(11) | Keep::output(0),
             Attributes{cell, reverse}, [](const Backward& b, const Attributes& a) -> Gradients { return rule(b, a); });
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

}  // namespace cotangent
