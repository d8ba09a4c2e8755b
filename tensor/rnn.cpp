// The products with the input and all sums over time are one product each for the whole sequence. What is left for each
// step is the product with the hidden state; since the rows of a batch never meet, they are cut into chunks, each of
// which runs through time by itself.
#include <cotangent/tensor/rnn.hpp>

#include <algorithm>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/gemm.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/matmul.hpp>
#include <cotangent/tensor/memory/scratch_internal.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/reduce.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent::raw {
namespace {

using detail::make_tensor;
using kernels::kernels;

constexpr int64_t kRows = 16;  // of the batch in a chunk: fewer would read the weights too often

struct Sizes {
  Sizes(Cell cell, const Tensor& x, const RecurrentWeights& w, bool reverse_)
      : steps(x.shape()[0]),
        batch(x.shape()[1]),
        inputs(x.shape()[2]),
        gates(w.w_ih.shape()[0]),
        hidden(gates / gate_count(cell)),
        outputs(w.w_hh.shape()[1]),
        reverse(reverse_) {}
  int64_t steps, batch, inputs, gates, hidden, outputs;
  bool reverse;

  int64_t chunks() const { return std::max<int64_t>(batch / kRows, 1); }
  /// Where in a (T, N, ...) tensor the row `first` of the batch is at the s-th step.
  int64_t place(int64_t s, int64_t first) const { return (reverse ? steps - 1 - s : s) * batch + first; }
};

Tensor state_or_zeros(const Tensor& state, int64_t rows, int64_t columns, Dtype dtype) {
  if (state.defined()) return contiguous(state);
  const Tensor y = make_tensor({rows, columns}, dtype);
  fill_into(y, 0);
  return y;
}
Tensor transposed(const char* op, const Tensor& w) { return contiguous(transpose(op, w, 0, 1)); }

/// y = x w + beta y for rows that lie one after another.
template <class T>
void product(int64_t rows, int64_t inner, int64_t columns, const T* x, const T* w, T* y, T beta) {
  gemm<T>(rows, columns, inner, {x, inner, 1}, {w, columns, 1}, y, columns, T(1), beta);
}

template <class T>
void apply(Cell cell, T* x, int64_t n) {
  const auto f = cell == Cell::relu ? kernels::Unary::relu : kernels::Unary::tanh;
  kernels().unary.value[static_cast<int>(f)][static_cast<int>(dtype_of<T>)](x, x, n, 0, 0);
}
template <class T>
void apply_backward(Cell cell, const T* dy, const T* y, T* dx, int64_t n) {
  const auto f = cell == Cell::relu ? kernels::Unary::relu : kernels::Unary::tanh;
  kernels().unary.gradient[static_cast<int>(f)][static_cast<int>(dtype_of<T>)](dy, y, dx, n, 0, 0);
}

template <class T>
T* data_or_null(const Tensor& x) {
  return x.defined() ? x.data<T>() : nullptr;
}

}  // namespace

Recurrence recurrence(const char* op, Cell cell, const Tensor& x, const Tensor& h, const Tensor& c,
                      const RecurrentWeights& w, bool reverse) {
  const Sizes n(cell, x, w, reverse);
  const Dtype dtype = x.dtype();
  const bool projects = w.w_hr.defined(), is_gru = cell == Cell::gru, is_lstm = cell == Cell::lstm;
  // only in a GRU is b_hh needed apart: the reset gate multiplies it
  const Tensor bias = w.b_ih.defined() && !is_gru ? binary(op, Binary::add, w.b_ih, w.b_hh) : w.b_ih;
  const Tensor gates = linear(op, x, w.w_ih, bias), w_hh = transposed(op, w.w_hh),
               w_hr = projects ? transposed(op, w.w_hr) : Tensor(),
               hidden_bias = is_gru && w.b_hh.defined() ? contiguous(w.b_hh) : Tensor();
  const Tensor h0 = state_or_zeros(h, n.batch, n.outputs, dtype);
  Recurrence r;
  if (is_lstm || is_gru) {
    r.gates = gates;
    r.output = make_tensor({n.steps, n.batch, n.outputs}, dtype);
    r.cells = make_tensor({n.steps, n.batch, n.hidden}, dtype);
  } else {
    r.output = gates;
  }
  if (projects) r.projected = make_tensor({n.steps, n.batch, n.hidden}, dtype);
  const Tensor c0 = is_lstm ? state_or_zeros(c, n.batch, n.hidden, dtype) : Tensor();

  dispatch_compute(op, dtype, [&]<class T> {
    const kernels::RecurrentLoops<T>& loops = kernels().rnn.of<T>();
    const T *p_w_hh = w_hh.data<T>(), *p_w_hr = data_or_null<T>(w_hr), *p_bias = data_or_null<T>(hidden_bias);
    T *p_output = r.output.data<T>(), *p_gates = gates.data<T>(), *p_cells = data_or_null<T>(r.cells),
      *p_projected = data_or_null<T>(r.projected);
    parallel_chunks(n.chunks(), [&](int64_t chunk) {
      const int64_t first = n.batch * chunk / n.chunks(), rows = n.batch * (chunk + 1) / n.chunks() - first;
      const Scratch<T> scratch(is_gru ? rows * n.gates : 0);
      const T *before = h0.data<T>() + first * n.outputs,
              *cell_before = is_lstm ? c0.data<T>() + first * n.hidden : nullptr;
      for (int64_t s = 0; s < n.steps; ++s) {
        const int64_t at = n.place(s, first);
        T *y = p_output + at * n.outputs, *g = p_gates + at * n.gates, *cells = p_cells + at * n.hidden;
        if (is_gru) {
          if (p_bias)
            for (int64_t i = 0; i < rows; ++i) std::copy_n(p_bias, n.gates, scratch.data() + i * n.gates);
          product<T>(rows, n.outputs, n.gates, before, p_w_hh, scratch.data(), p_bias ? T(1) : T(0));
          loops.gru(g, scratch.data(), before, cells, y, rows, n.hidden);
        } else {
          product<T>(rows, n.outputs, n.gates, before, p_w_hh, g, T(1));
          if (is_lstm) {
            T* unprojected = projects ? p_projected + at * n.hidden : y;
            loops.lstm(g, cell_before, cells, unprojected, rows, n.hidden);
            if (projects) product<T>(rows, n.hidden, n.outputs, unprojected, p_w_hr, y, T(0));
            cell_before = cells;
          } else {
            apply(cell, y, rows * n.hidden);
          }
        }
        before = y;
      }
    });
  });
  return r;
}

RecurrenceGradients recurrence_backward(const char* op, Cell cell, const Tensor& dy_, const Tensor& dc_,
                                        const Tensor& x_, const Tensor& h, const Tensor& c, const RecurrentWeights& w,
                                        bool reverse, const Recurrence& kept, uint32_t wanted) {
  const Sizes n(cell, x_, w, reverse);
  const Dtype dtype = x_.dtype();
  const bool projects = w.w_hr.defined(), is_gru = cell == Cell::gru, is_lstm = cell == Cell::lstm;
  const Tensor dy = contiguous(dy_), x = contiguous(x_), w_ih = contiguous(w.w_ih), w_hh = contiguous(w.w_hh),
               w_hr = projects ? contiguous(w.w_hr) : Tensor(), h0 = state_or_zeros(h, n.batch, n.outputs, dtype),
               c0 = is_lstm ? state_or_zeros(c, n.batch, n.hidden, dtype) : Tensor();
  const Tensor dh = make_tensor({n.batch, n.outputs}, dtype),
               dc = is_lstm ? clone(state_or_zeros(dc_, n.batch, n.hidden, dtype)) : Tensor();
  const Tensor d_gates = make_tensor({n.steps, n.batch, n.gates}, dtype),
               d_hidden = is_gru ? make_tensor({n.steps, n.batch, n.gates}, dtype) : d_gates,
               d_output = projects ? make_tensor({n.steps, n.batch, n.outputs}, dtype) : Tensor();
  fill_into(dh, 0);
  RecurrenceGradients result;
  dispatch_compute(op, dtype, [&]<class T> {
    const kernels::RecurrentLoops<T>& loops = kernels().rnn.of<T>();
    const T *p_output = kept.output.data<T>(), *p_gates = data_or_null<T>(kept.gates),
            *p_cells = data_or_null<T>(kept.cells), *p_dy = dy.data<T>(), *p_w_hh = w_hh.data<T>(),
            *p_w_hr = data_or_null<T>(w_hr), *p_c0 = data_or_null<T>(c0), *p_h0 = h0.data<T>();
    T *p_dh = dh.data<T>(), *p_dc = data_or_null<T>(dc), *p_d_gates = d_gates.data<T>(),
      *p_d_hidden = d_hidden.data<T>(), *p_d_output = data_or_null<T>(d_output);
    parallel_chunks(n.chunks(), [&](int64_t chunk) {
      const int64_t first = n.batch * chunk / n.chunks(), rows = n.batch * (chunk + 1) / n.chunks() - first;
      const Scratch<T> unprojected(projects ? rows * n.hidden : 0);
      T* d = p_dh + first * n.outputs;
      for (int64_t s = n.steps - 1; s >= 0; --s) {
        const int64_t at = n.place(s, first), at_before = s > 0 ? n.place(s - 1, first) : 0;
        const T* before = s > 0 ? p_output + at_before * n.outputs : p_h0 + first * n.outputs;
        const T* g = p_gates + at * n.gates;
        T *dg = p_d_gates + at * n.gates, *dg_hidden = p_d_hidden + at * n.gates;
        kernels().gemm.of<T>().axpy(rows * n.outputs, 1, p_dy + at * n.outputs, d);
        if (is_gru) {
          loops.gru_backward(g, p_cells + at * n.hidden, before, d, dg, dg_hidden, rows, n.hidden);
        } else if (is_lstm) {
          if (projects) {
            std::copy_n(d, rows * n.outputs, p_d_output + at * n.outputs);
            product<T>(rows, n.outputs, n.hidden, d, p_w_hr, unprojected.data(), T(0));
          }
          loops.lstm_backward(g, s > 0 ? p_cells + at_before * n.hidden : p_c0 + first * n.hidden,
                              p_cells + at * n.hidden, projects ? unprojected.data() : d, p_dc + first * n.hidden, dg,
                              rows, n.hidden);
        } else {
          apply_backward(cell, d, p_output + at * n.outputs, dg, rows * n.hidden);
        }
        product<T>(rows, n.gates, n.outputs, dg_hidden, p_w_hh, d, is_gru ? T(1) : T(0));
      }
    });

    const int64_t all = n.steps * n.batch, later = all - n.batch;
    auto wants = [&](int i) { return (wanted >> i & 1) != 0; };
    if (wants(0)) {
      result.x = make_tensor(x.shape(), dtype);
      product<T>(all, n.gates, n.inputs, p_d_gates, w_ih.data<T>(), result.x.template data<T>(), T(0));
    }
    if (wants(1)) result.h = dh;
    if (wants(2)) result.c = dc;
    // y = a^T b, where the rows of a and b lie one after another
    auto outer = [&](int64_t rows, int64_t columns, int64_t count, const T* a, const T* b, const Tensor& y, T beta) {
      gemm<T>(rows, columns, count, {a, 1, rows}, {b, columns, 1}, y.data<T>(), columns, T(1), beta);
    };
    if (wants(3)) {
      result.weights.w_ih = make_tensor(w.w_ih.shape(), dtype);
      outer(n.gates, n.inputs, all, p_d_gates, x.data<T>(), result.weights.w_ih, T(0));
    }
    if (wants(4)) {  // the hidden state before a step is the output one step earlier
      const Tensor& y = result.weights.w_hh = make_tensor(w.w_hh.shape(), dtype);
      const int64_t start = reverse ? later : 0, rest = reverse ? 0 : n.batch, outputs = reverse ? n.batch : 0;
      outer(n.gates, n.outputs, later, p_d_hidden + rest * n.gates, p_output + outputs * n.outputs, y, T(0));
      if (h.defined()) outer(n.gates, n.outputs, n.batch, p_d_hidden + start * n.gates, p_h0, y, T(1));
    }
    if (wants(7)) {
      result.weights.w_hr = make_tensor(w.w_hr.shape(), dtype);
      outer(n.outputs, n.hidden, all, p_d_output, kept.projected.data<T>(), result.weights.w_hr, T(0));
    }
  });
  const uint32_t time_and_batch = 0b011;
  if (wanted >> 5 & 1) result.weights.b_ih = try_view(op, sum(op, d_gates, time_and_batch), {n.gates});
  if (wanted >> 6 & 1)
    result.weights.b_hh = !is_gru && result.weights.b_ih.defined()
                              ? result.weights.b_ih
                              : try_view(op, sum(op, d_hidden, time_and_batch), {n.gates});
  return result;
}

}  // namespace cotangent::raw
