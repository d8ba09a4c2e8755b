// The delta rule, chunk by chunk.
#include <cotangent/tensor/delta_rule.hpp>

#include <algorithm>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/head_rows_internal.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/memory/scratch_internal.hpp>
#include <cotangent/tensor/parallel.hpp>

namespace cotangent::raw {
namespace {

using kernels::kernels;

constexpr const char* kOp = "delta_rule";
constexpr int64_t kBlock = 64;  // columns of a state that are a task
constexpr int64_t kSteps = 32;  // of a chunk; backwards the states of a tile are kept for one

template <class T>
int64_t padded(int64_t columns) {
  constexpr int64_t k = kernels::kDeltaColumns<T>;
  return (columns + k - 1) / k * k;
}

/// The rows of some steps that a kernel reads.
template <class T>
struct Rows {
  Rows(int64_t steps, int64_t width)
      : q(steps * width), z(steps * width), b(steps * width), k(steps * width), w(steps * width) {}
  Scratch<T> q, z, b, k, w;
};

}  // namespace

DeltaProduct delta_product(const DeltaInputs& x) {
  const int64_t batch = x.q.size(0), heads = x.q.size(1), length = x.q.size(2), m = x.q.size(3), n = x.v.size(3);
  const Dtype dtype = x.q.dtype();
  const DeltaProduct result{detail::make_tensor({batch, heads, length, n}, dtype, kOp),
                            detail::make_tensor({batch, heads, m, n}, dtype, kOp)};
  const Tensor decays = x.log_decay.defined() ? unary(kOp, Unary::exp, x.log_decay) : Tensor();
  const int64_t blocks = (n + kBlock - 1) / kBlock;
  dispatch_compute(kOp, dtype, [&]<class T> {
    const auto scan = kernels().delta_rule.of<T>().scan;
    parallel_chunks(batch * heads * blocks, [&](int64_t task) {
      const int64_t head = task / blocks, b = head / heads, h = head % heads, column = task % blocks * kBlock,
                    width = std::min(kBlock, n - column), next = padded<T>(width);
      const Rows<T> rows(kSteps, m);
      const Scratch<T> v(kSteps * next), y(kSteps * next), p(kSteps * next), state(m * next);
      load_state(x.state, b, h, false, m, column, width, next, state.data());
      const HeadRows<T> q(x.q, b, h, heads), z(x.z, b, h, heads), wb(x.b, b, h, heads), k(x.k, b, h, heads),
          w(decays, b, h, heads), values(x.v, b, h, heads, column);
      for (int64_t first = 0; first < length; first += kSteps) {
        const int64_t count = std::min(kSteps, length - first);
        const auto gather = [&](const HeadRows<T>& from, const Scratch<T>& to) {
          from.gather(first, count, false, m, m, to.data());
        };
        gather(q, rows.q), gather(z, rows.z), gather(wb, rows.b), gather(k, rows.k);
        if (decays.defined()) gather(w, rows.w);
        values.gather(first, count, false, width, next, v.data());
        scan({count, m, next, rows.q.data(), rows.z.data(), rows.b.data(), rows.k.data(),
              decays.defined() ? rows.w.data() : nullptr, v.data(), state.data(), y.data(), p.data()});
        T* to = result.y.data<T>() + (head * length + first) * n + column;
        for (int64_t i = 0; i < count; ++i) std::copy_n(y.data() + i * next, width, to + i * n);
      }
      T* to = result.state.data<T>() + head * m * n + column;
      for (int64_t i = 0; i < m; ++i) std::copy_n(state.data() + i * next, width, to + i * n);
    });
  });
  return result;
}

DeltaInputs delta_product_backward(const DeltaInputs& x, const Tensor& dy, const Tensor& dstate) {
  const int64_t batch = x.q.size(0), heads = x.q.size(1), length = x.q.size(2), m = x.q.size(3), n = x.v.size(3),
                chunks = (length + kSteps - 1) / kSteps;
  const Dtype dtype = x.q.dtype();
  const bool decaying = x.log_decay.defined(), whole = decaying && x.log_decay.size(3) == 1;
  const Tensor decays = decaying ? unary(kOp, Unary::exp, x.log_decay) : Tensor();
  const auto like_q = [&] { return detail::make_tensor(x.q.shape(), dtype, kOp); };
  const DeltaInputs result{like_q(),
                           like_q(),
                           like_q(),
                           like_q(),
                           detail::make_tensor(x.v.shape(), dtype, kOp),
                           decaying ? detail::make_tensor(x.log_decay.shape(), dtype, kOp) : Tensor(),
                           detail::make_tensor({batch, heads, m, n}, dtype, kOp)};
  dispatch_compute(kOp, dtype, [&]<class T> {
    const ::cotangent::kernels::DeltaRuleLoops<T>& loops = kernels().delta_rule.of<T>();
    const int64_t wide = padded<T>(n), long_row = padded<T>(m), size = n * long_row;
    parallel_chunks(batch * heads, [&](int64_t head) {
      const int64_t b = head / heads, h = head % heads;
      const Rows<T> rows(kSteps, std::max(m, long_row));
      const Scratch<T> v(kSteps * wide), state(m * wide), p(Dims{length + 1, wide}.product(kOp)),
          dp(Dims{length + 1, wide}.product(kOp)), starts(Dims{chunks, size}.product(kOp)), y(kSteps * wide);
      const HeadRows<T> q(x.q, b, h, heads), z(x.z, b, h, heads), wb(x.b, b, h, heads), k(x.k, b, h, heads),
          w(decays, b, h, heads), values(x.v, b, h, heads), above(dy, b, h, heads);
      // forwards: p of each step, and the states before each chunk, transposed
      load_state(x.state, b, h, false, m, 0, n, wide, state.data());
      for (int64_t g = 0; g < chunks; ++g) {
        const int64_t first = g * kSteps, count = std::min(kSteps, length - first);
        T* start = starts.data() + g * size;
        for (int64_t j = 0; j < n; ++j, start += long_row) {
          for (int64_t i = 0; i < m; ++i) start[i] = state[i * wide + j];
          std::fill(start + m, start + long_row, T(0));
        }
        const auto gather = [&](const HeadRows<T>& from, const Scratch<T>& to) {
          from.gather(first, count, false, m, m, to.data());
        };
        gather(z, rows.z), gather(wb, rows.b), gather(k, rows.k);
        if (decaying) gather(w, rows.w);
        values.gather(first, count, false, n, wide, v.data());
        loops.scan({count, m, wide, nullptr, rows.z.data(), rows.b.data(), rows.k.data(),
                    decaying ? rows.w.data() : nullptr, v.data(), state.data(), nullptr, p.data() + first * wide});
      }
      // backwards: the adjoint R_t = diag(w_{t+1}) R_{t+1} + z_{t+1} dp_{t+1}^T + q_t dy_t^T with dp_t = R_t^T b_t and
      // dv_t = R_t^T k_t is the same scan with other roles, one step longer
      load_state(dstate, b, h, false, m, 0, n, wide, state.data());
      for (int64_t done = 0; done <= length; done += kSteps) {
        const int64_t count = std::min(kSteps, length + 1 - done), t = length - 1 - done;
        const auto gather = [&](const HeadRows<T>& from, int64_t first, const Scratch<T>& to, T otherwise = 0) {
          from.gather(first, count, true, m, m, to.data(), otherwise);
        };
        gather(k, t, rows.q), gather(wb, t + 1, rows.z), gather(z, t + 1, rows.b), gather(q, t, rows.k);
        if (decaying) gather(w, t + 1, rows.w, 1);
        above.gather(t, count, true, n, wide, v.data());
        loops.scan({count, m, wide, rows.q.data(), rows.z.data(), rows.b.data(), rows.k.data(),
                    decaying ? rows.w.data() : nullptr, v.data(), state.data(), y.data(), dp.data() + done * wide});
        T* to = result.v.data<T>() + (head * length + t) * n;
        for (int64_t i = 0; i < std::min(count, t + 1); ++i, to -= n) std::copy_n(y.data() + i * wide, n, to);
      }
      T* to = result.state.data<T>() + head * m * n;
      for (int64_t i = 0; i < m; ++i) std::copy_n(state.data() + i * wide, n, to + i * n);
      // both together, where rows are those of the values
      const Rows<T> sums(kSteps, long_row);
      const Scratch<T> adjoint(size), space(kSteps * ::cotangent::kernels::kDeltaTile<T>), ps(kSteps * n),
          dys(kSteps * n), dps(kSteps * n);
      load_state(dstate, b, h, true, n, 0, m, long_row, adjoint.data());
      for (int64_t g = chunks - 1; g >= 0; --g) {
        const int64_t first = g * kSteps, count = std::min(kSteps, length - first);
        const auto gather = [&](const HeadRows<T>& from, const Scratch<T>& out, T otherwise = 0) {
          from.gather(first, count, false, m, long_row, out.data(), otherwise);
        };
        gather(q, rows.q), gather(z, rows.z), gather(wb, rows.b), gather(k, rows.k), gather(w, rows.w, 1);
        values.gather(first, count, false, n, n, v.data());
        above.gather(first, count, false, n, n, dys.data());
        for (int64_t i = 0; i < count; ++i) {
          std::copy_n(p.data() + (first + i) * wide, n, ps.data() + i * n);
          std::copy_n(dp.data() + (length - first - i) * wide, n, dps.data() + i * n);
        }
        for (const Scratch<T>* sum : {&sums.q, &sums.z, &sums.b, &sums.k, &sums.w})
          std::fill_n(sum->data(), count * long_row, T(0));
        loops.adjoint({count,
                       n,
                       long_row,
                       rows.q.data(),
                       rows.z.data(),
                       rows.b.data(),
                       rows.k.data(),
                       rows.w.data(),
                       v.data(),
                       ps.data(),
                       dys.data(),
                       dps.data(),
                       starts.data() + g * size,
                       adjoint.data(),
                       sums.q.data(),
                       sums.k.data(),
                       sums.b.data(),
                       sums.w.data(),
                       sums.z.data(),
                       space.data()});
        for (int64_t i = 0; i < count; ++i) {
          T of_values = 0, of_reads = 0, total = 0;  // y_t reads diag(w) S + b p^T + k v^T
          for (int64_t j = 0; j < n; ++j)
            of_values += v[i * n + j] * dys[i * n + j], of_reads += ps[i * n + j] * dys[i * n + j];
          const int64_t at = (head * length + first + i) * m, from = i * long_row;
          T* const dq = result.q.data<T>() + at;
          for (int64_t c = 0; c < m; ++c)
            dq[c] = rows.w[from + c] * sums.q[from + c] + of_reads * rows.b[from + c] + of_values * rows.k[from + c];
          std::copy_n(sums.z.data() + from, m, result.z.data<T>() + at);
          std::copy_n(sums.b.data() + from, m, result.b.data<T>() + at);
          std::copy_n(sums.k.data() + from, m, result.k.data<T>() + at);
          if (!decaying) continue;
          T* const dw = result.log_decay.data<T>() + (whole ? head * length + first + i : at);
          for (int64_t c = 0; c < m; ++c) {
            const T change = rows.w[from + c] * sums.w[from + c];
            whole ? total += change : dw[c] = change;
          }
          if (whole) *dw = total;
        }
      }
    });
  });
  return result;
}

}  // namespace cotangent::raw
