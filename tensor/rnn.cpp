// The products with the input and all sums over time are one product each for the whole sequence. What is left for each
// step is the product with the hidden state. The rows of a batch never meet, so they are cut into parts, each of which
// runs through time by itself. But each part reads all weights in each step: where the second cache cannot keep them,
// the hidden units are cut up instead, so that each thread reads weights of its own, and waits for others once a step.
#include <cotangent/tensor/rnn.hpp>

#include <algorithm>
#include <optional>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/gemm.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/matmul.hpp>
#include <cotangent/tensor/memory/scratch_internal.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/processor_internal.hpp>
#include <cotangent/tensor/product_plan_internal.hpp>
#include <cotangent/tensor/reduce.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent::raw {
namespace {

using detail::make_tensor;
using kernels::kernels;

/// Rows of the batch by hidden units.
struct Part {
  int64_t row, rows, unit, units;
};

constexpr int64_t kRows = 16;                   // of a part that has all units: fewer would read the weights too often
constexpr int64_t kUnits = 64, kMoreRows = 64;  // of a part that has some, at least
constexpr int64_t kManyRows = 8 * kMoreRows;    // for which weights are packed

struct Sizes {
  Sizes(Cell cell, const Tensor& x, const RecurrentWeights& w, bool reverse_)
      : steps(x.shape()[0]),
        batch(x.shape()[1]),
        inputs(x.shape()[2]),
        gates(w.w_ih.shape()[0]),
        hidden(gates / gate_count(cell)),
        outputs(w.w_hh.shape()[1]),
        reverse(reverse_) {
    const int64_t panel = x.dtype() == float64 ? PackedMatrix<double>::panel() : PackedMatrix<float>::panel();
    const bool large = gates * outputs * item_size(x.dtype()) > processor().second_cache / 2;
    if (large && !w.w_hr.defined())
      units = ceil_div(kUnits, panel) * panel;  // a projection would need all units at once
    unit_parts = units ? ceil_div(hidden, units) : 1;
    row_parts = std::max<int64_t>(batch / (unit_parts > 1 ? kMoreRows : kRows), 1);
  }
  int64_t steps, batch, inputs, gates, hidden, outputs;
  bool reverse;
  int64_t units = 0, unit_parts, row_parts;  // units: of a part, or 0 for all

  /// Where in a (T, N, ...) tensor the row `first` of the batch is at the s-th step.
  int64_t place(int64_t s, int64_t first) const { return (reverse ? steps - 1 - s : s) * batch + first; }

  /// Those of the same units are neighbours, so that a thread gets the same ones in each step.
  Part part(int64_t i) const {
    const int64_t r = i % row_parts, first = batch * r / row_parts, unit = i / row_parts * units;
    return {first, batch * (r + 1) / row_parts - first, unit,
            unit_parts == 1 ? hidden : std::min(units, hidden - unit)};
  }
  /// Calls step(part, i) for all parts of each i in [0, count), which may read what any part of i - 1 wrote for the
  /// same rows.
  template <class Step>
  void for_steps(int64_t count, Step&& step) const {
    if (unit_parts == 1)
      return parallel_chunks(row_parts, [&](int64_t task) {
        for (int64_t i = 0; i < count; ++i) step(part(task), i);
      });
    for (int64_t i = 0; i < count; ++i)
      parallel_chunks(row_parts * unit_parts, [&](int64_t task) { step(part(task), i); });
  }
};

/// A weight (k, groups * width) that multiplies in each step: a part takes the columns of its units from each group,
/// or all columns if it has all units. It is packed, unless there is one row to multiply: that is bound by memory.
template <class T>
class StepWeight {
 public:
  StepWeight(const Sizes& n, int64_t k, int64_t groups, int64_t width, Matrix<T> w)
      : whole_(n.unit_parts == 1),
        packs_(n.batch > 1),
        k_(k),
        groups_(whole_ ? 1 : groups),
        width_(whole_ ? groups * width : width),
        w_(w),
        space_(packs_ ? groups_ * PackedMatrix<T>::packed_size(k, width_) : 0) {
    for (int64_t g = 0; packs_ && g < groups_; ++g) PackedMatrix<T>::pack(k_, width_, group(g), packed(g));
  }

  /// y = x w + beta y + bias, for the rows of the part: x (rows, k), and y with its groups y_group apart.
  void multiply(const Part& part, const T* x, T* y, int64_t y_row, int64_t y_group, T beta,
                const T* bias = nullptr) const {
    const int64_t first = whole_ ? 0 : part.unit, columns = whole_ ? width_ : part.units;
    for (int64_t g = 0; g < groups_; ++g, y += y_group) {
      const T* const b = bias ? bias + g * width_ + first : nullptr;
      if (packs_)
        gemm<T>(part.rows, columns, {x, k_, 1}, {k_, width_, packed(g)}, first, y, y_row, beta, b);
      else
        gemm<T>(part.rows, columns, k_, {x, k_, 1}, group(g, first), y, y_row, T(1), beta, b);
    }
  }

 private:
  Matrix<T> group(int64_t g, int64_t first = 0) const {
    return {w_.data + (g * width_ + first) * w_.column, w_.row, w_.column};
  }
  T* packed(int64_t g) const { return space_.data() + g * PackedMatrix<T>::packed_size(k_, width_); }

  bool whole_, packs_;
  int64_t k_, groups_, width_;
  Matrix<T> w_;
  Scratch<T> space_;
};

/// y = x w, for rows of k and of n neighbours. Many rows pass over packed weights, and are read where they lie: the
/// gates of a step often lie whole pages apart, and are too many to be packed for the few columns of y.
template <class T>
void product(int64_t rows, int64_t n, int64_t k, const T* x, const T* w, T* y) {
  if (rows < kManyRows || n == 1) return gemm<T>(rows, n, k, {x, k, 1}, {w, n, 1}, y, n);
  const Scratch<T> space(PackedMatrix<T>::packed_size(k, n));
  const PackedMatrix<T> packed = PackedMatrix<T>::pack(k, n, {w, n, 1}, space.data());
  parallel_chunks(ceil_div(rows, kMoreRows), [&](int64_t i) {
    const int64_t first = i * kMoreRows;
    gemm<T>(std::min(kMoreRows, rows - first), n, {x + first * k, k, 1}, packed, 0, y + first * n, n);
  });
}

Tensor state_or_zeros(const Tensor& state, int64_t rows, int64_t columns, Dtype dtype) {
  if (state.defined()) return contiguous(state);
  const Tensor y = make_tensor({rows, columns}, dtype);
  fill_into(y, 0);
  return y;
}
/// f(offset, count) for rows of `columns` elements that begin `row` apart: for all of them at once where they are
/// neighbours.
template <class F>
void for_runs(int64_t rows, int64_t columns, int64_t row, F&& f) {
  if (columns == row) return f(0, rows * columns);
  for (int64_t i = 0; i < rows; ++i) f(i * row, columns);
}

kernels::Unary function_of(Cell cell) { return cell == Cell::relu ? kernels::Unary::relu : kernels::Unary::tanh; }

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
  const Tensor gates = linear(op, x, w.w_ih, bias), w_hh = contiguous(w.w_hh),
               w_hr = projects ? contiguous(w.w_hr) : Tensor(),
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
    const StepWeight<T> by_h(n, n.outputs, gate_count(cell), n.hidden, {w_hh.data<T>(), 1, n.outputs});
    std::optional<StepWeight<T>> projection;
    if (projects) projection.emplace(n, n.hidden, 1, n.outputs, Matrix<T>{w_hr.data<T>(), 1, n.hidden});
    const T *p_bias = data_or_null<T>(hidden_bias), *p_h0 = h0.data<T>(), *p_c0 = data_or_null<T>(c0);
    T *p_output = r.output.data<T>(), *p_gates = gates.data<T>(), *p_cells = data_or_null<T>(r.cells),
      *p_projected = data_or_null<T>(r.projected);
    n.for_steps(n.steps, [&](const Part& part, int64_t s) {
      const int64_t at = n.place(s, part.row), at_before = s > 0 ? n.place(s - 1, part.row) : part.row;
      const T* before = (s > 0 ? p_output : p_h0) + at_before * n.outputs;
      T *y = p_output + at * n.outputs + part.unit, *g = p_gates + at * n.gates + part.unit,
        *cells = p_cells + at * n.hidden + part.unit;
      if (is_gru) {
        const Scratch<T> from_h(part.rows * 3 * part.units);
        by_h.multiply(part, before, from_h.data(), 3 * part.units, part.units, T(0), p_bias);
        loops.gru(g, from_h.data(), before + part.unit, cells, y, part.rows, part.units, n.hidden);
        return;
      }
      by_h.multiply(part, before, g, n.gates, n.hidden, T(1));
      if (is_lstm) {
        T* unprojected = projects ? p_projected + at * n.hidden : y;
        loops.lstm(g, (s > 0 ? p_cells : p_c0) + at_before * n.hidden + part.unit, cells, unprojected, part.rows,
                   part.units, n.hidden);
        if (projects) projection->multiply(part, unprojected, y, n.outputs, 0, T(0));
      } else {
        const auto f = kernels().unary.value[static_cast<int>(function_of(cell))][static_cast<int>(dtype)];
        for_runs(part.rows, part.units, n.hidden, [&](int64_t i, int64_t count) { f(y + i, y + i, count, 0, 0); });
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
    const StepWeight<T> by_gates(n, n.gates, 1, n.outputs, {w_hh.data<T>(), n.outputs, 1});
    std::optional<StepWeight<T>> projection;
    if (projects) projection.emplace(n, n.outputs, 1, n.hidden, Matrix<T>{w_hr.data<T>(), n.hidden, 1});
    const T *p_output = kept.output.data<T>(), *p_gates = data_or_null<T>(kept.gates),
            *p_cells = data_or_null<T>(kept.cells), *p_dy = dy.data<T>(), *p_c0 = data_or_null<T>(c0),
            *p_h0 = h0.data<T>();
    T *p_dh = dh.data<T>(), *p_dc = data_or_null<T>(dc), *p_d_gates = d_gates.data<T>(),
      *p_d_hidden = d_hidden.data<T>(), *p_d_output = data_or_null<T>(d_output);
    // from the last step to the first, and to the state before it
    n.for_steps(n.steps + (wanted >> 1 & 1), [&](const Part& part, int64_t back) {
      const int64_t s = n.steps - 1 - back, unit = part.unit, columns = projects ? n.outputs : part.units;
      T* d = p_dh + part.row * n.outputs + unit;
      if (back > 0)
        by_gates.multiply(part, p_d_hidden + n.place(s + 1, part.row) * n.gates, d, n.outputs, 0, is_gru ? T(1) : T(0));
      if (s < 0) return;
      const int64_t at = n.place(s, part.row), at_before = s > 0 ? n.place(s - 1, part.row) : part.row;
      const T *dy_now = p_dy + at * n.outputs + unit, *g = p_gates + at * n.gates + unit,
              *cells = p_cells + at * n.hidden + unit;
      T *dg = p_d_gates + at * n.gates + unit, *dg_hidden = p_d_hidden + at * n.gates + unit;
      for_runs(part.rows, columns, n.outputs,
               [&](int64_t i, int64_t count) { kernels().gemm.of<T>().axpy(count, 1, dy_now + i, d + i); });
      if (is_gru) {
        loops.gru_backward(g, cells, (s > 0 ? p_output : p_h0) + at_before * n.outputs + unit, d, dg, dg_hidden,
                           part.rows, part.units, n.hidden);
      } else if (is_lstm) {
        const Scratch<T> unprojected(projects ? part.rows * n.hidden : 0);
        if (projects) {
          std::copy_n(d, part.rows * n.outputs, p_d_output + at * n.outputs);
          projection->multiply(part, d, unprojected.data(), n.hidden, 0, T(0));
        }
        loops.lstm_backward(g, (s > 0 ? p_cells : p_c0) + at_before * n.hidden + unit, cells,
                            projects ? unprojected.data() : d, p_dc + part.row * n.hidden + unit, dg, part.rows,
                            part.units, n.hidden);
      } else {
        const auto f = kernels().unary.gradient[static_cast<int>(function_of(cell))][static_cast<int>(dtype)];
        const T* y = p_output + at * n.outputs + unit;
        for_runs(part.rows, part.units, n.hidden,
                 [&](int64_t i, int64_t count) { f(d + i, y + i, dg + i, count, 0, 0); });
      }
    });

    const int64_t all = n.steps * n.batch, later = all - n.batch;
    auto wants = [&](int i) { return (wanted >> i & 1) != 0; };
    if (wants(0)) {
      result.x = make_tensor(x.shape(), dtype);
      product<T>(all, n.inputs, n.gates, p_d_gates, w_ih.data<T>(), result.x.template data<T>());
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
