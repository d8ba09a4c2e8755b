// The scan over a matrix of state, chunk by chunk. Heads, and blocks of columns, never meet: each is a task.
#include <cotangent/tensor/linear_attention.hpp>

#include <algorithm>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/head_rows_internal.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/memory/scratch_internal.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/product_plan_internal.hpp>

namespace cotangent::raw {
namespace {

using kernels::kernels;
using kernels::StateDecay;

constexpr const char* kOp = "gated_linear_attention";
constexpr int64_t kBlock = 64;      // columns of a scan: with a chunk of them it stays in the first cache
constexpr int64_t kBackSteps = 32;  // backwards, where the states of a tile are kept for a chunk

/// `count` steps from `first` on, which are read from the last to the first in reverse.
struct Chunk {
  int64_t first, count;
  bool reverse;
  int64_t place(int64_t i) const { return reverse ? first + count - 1 - i : first + i; }
  template <class T>
  void gather(const HeadRows<T>& head, int64_t width, int64_t next, const Scratch<T>& rows) const {
    head.gather(place(0), count, reverse, width, next, rows.data());
  }
};
Chunk chunk(int64_t index, int64_t steps, int64_t length, bool reverse) {
  const int64_t done = index * steps, count = std::min(steps, length - done);
  return {reverse ? length - done - count : done, count, reverse};
}

template <class T>
constexpr int64_t padded(int64_t columns) {
  return ceil_div(columns, kernels::kStateColumns<T>) * kernels::kStateColumns<T>;
}

}  // namespace

GatedProduct gated_product(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& log_decay,
                           const Tensor& state, GatedWay way, int64_t heads) {
  const int64_t batch = q.size(0), length = q.size(2), m = q.size(3), n = v.size(3);
  const GatedProduct result{detail::make_tensor({batch, heads, length, n}, q.dtype()),
                            detail::make_tensor({batch, heads, m, n}, q.dtype())};
  const Tensor decays = log_decay.defined() ? unary(kOp, Unary::exp, log_decay) : Tensor();
  // a number for the whole state is one for each column
  const bool of_rows = decays.defined() && !way.of_values && decays.size(3) != 1;
  const StateDecay decay = !decays.defined() ? StateDecay::none : of_rows ? StateDecay::rows : StateDecay::columns;
  const int64_t blocks = ceil_div(n, kBlock), most = std::min(length, way.chunk),
                chunks = length == 0 ? 0 : ceil_div(length, most);
  dispatch_compute(kOp, q.dtype(), [&]<class T> {
    const auto scan = kernels().linear_attention.of<T>().scan[static_cast<int>(decay)];
    parallel_chunks(batch * heads * blocks, [&](int64_t task) {
      const int64_t head = task / blocks, b = head / heads, h = head % heads, column = task % blocks * kBlock,
                    width = std::min(kBlock, n - column), next = padded<T>(width), decay_row = of_rows ? m : next;
      const Scratch<T> qs(most * m), ks(most * m), vs(most * next), ys(most * next), sums(m * next),
          ds(decays.defined() ? most * decay_row : 0);
      load_state(state, b, h, false, m, column, width, next, sums.data());
      for (int64_t g = 0; g < chunks; ++g) {
        const Chunk c = chunk(g, most, length, way.reverse);
        c.gather(HeadRows<T>(q, b, h, heads), m, m, qs);
        c.gather(HeadRows<T>(k, b, h, heads), m, m, ks);
        c.gather(HeadRows<T>(v, b, h, heads, column), width, next, vs);
        if (of_rows)
          c.gather(HeadRows<T>(decays, b, h, heads), m, m, ds);
        else if (decays.defined())
          c.gather(HeadRows<T>(decays, b, h, heads, column), width, next, ds);
        std::fill_n(ys.data(), c.count * next, T(0));
        scan({c.count, m, next, qs.data(), ks.data(), vs.data(), ds.data(), way.reverse, sums.data(), ys.data()});
        T* to = result.y.data<T>() + head * length * n + column;
        for (int64_t i = 0; i < c.count; ++i) std::copy_n(ys.data() + i * next, width, to + c.place(i) * n);
      }
      T* to = result.state.data<T>() + head * m * n + column;
      for (int64_t i = 0; i < m; ++i) std::copy_n(sums.data() + i * next, width, to + i * n);
    });
  });
  return result;
}

GatedGradients gated_product_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& log_decay,
                                      const Tensor& state, const Tensor& dy, const Tensor& dstate) {
  const int64_t batch = q.size(0), groups = q.size(1), heads = v.size(1), length = q.size(2), m = q.size(3),
                n = v.size(3), chunks = ceil_div(length, kBackSteps), most = std::min(length, kBackSteps);
  const Tensor decays = unary(kOp, Unary::exp, log_decay);
  const bool whole = decays.size(3) == 1;  // one decay for the state
  const GatedGradients result{detail::make_tensor(q.shape(), q.dtype()), detail::make_tensor(k.shape(), q.dtype()),
                              detail::make_tensor({batch, heads, length, decays.size(3)}, q.dtype())};
  dispatch_compute(kOp, q.dtype(), [&]<class T> {
    const kernels::LinearAttentionLoops<T>& loops = kernels().linear_attention.of<T>();
    const auto advance = loops.scan[static_cast<int>(StateDecay::columns)];
    const int64_t next = padded<T>(m), size = Dims{n, next}.product(kOp);
    parallel_chunks(batch * groups, [&](int64_t task) {
      const int64_t b = task / groups, group = task % groups;
      const Scratch<T> qs(most * next), ks(most * next), ds(most * next), vs(most * n), dys(most * n),
          by_dy(most * next), by_v(most * next), by_r(most * next), adjoint(size),
          starts(Dims{chunks, n, next}.product(kOp)), states(most * kernels::kStateTile<T>);
      for (int64_t h = group * heads / groups; h < (group + 1) * heads / groups; ++h) {
        const bool first = h == group * heads / groups;
        const HeadRows<T> query(q, b, h, heads), key(k, b, h, heads), value(v, b, h, heads), by(decays, b, h, heads),
            above(dy, b, h, heads);
        const auto gather = [&](const Chunk& c) {
          c.gather(key, m, next, ks), c.gather(by, m, next, ds), c.gather(value, n, n, vs);
        };
        // the states before each chunk, whose rows are those of the values
        load_state(state, b, h, true, n, 0, m, next, starts.data());
        for (int64_t g = 0; g + 1 < chunks; ++g) {
          const Chunk c = chunk(g, kBackSteps, length, false);
          gather(c);
          T* after = starts.data() + (g + 1) * size;
          std::copy_n(after - size, size, after);
          advance({c.count, n, next, nullptr, vs.data(), ks.data(), ds.data(), false, after, nullptr});
        }
        load_state(dstate, b, h, true, n, 0, m, next, adjoint.data());
        for (int64_t g = chunks - 1; g >= 0; --g) {
          const Chunk c = chunk(g, kBackSteps, length, false);
          gather(c);
          c.gather(query, m, next, qs), c.gather(above, n, n, dys);
          for (const Scratch<T>* sums : {&by_dy, &by_v, &by_r}) std::fill_n(sums->data(), c.count * next, T(0));
          loops.adjoint({c.count, n, next, qs.data(), ks.data(), ds.data(), vs.data(), dys.data(),
                         starts.data() + g * size, adjoint.data(), by_dy.data(), by_v.data(), by_r.data(),
                         states.data()});
          for (int64_t i = 0; i < c.count; ++i) {
            const int64_t t = c.first + i;
            const T *a = ds.data() + i * next, *own = ks.data() + i * next, *from_dy = by_dy.data() + i * next,
                    *from_v = by_v.data() + i * next, *from_r = by_r.data() + i * next;
            T dot = 0, total = 0;  // S_t = a S_{t-1} + k v^T
            for (int64_t j = 0; j < n; ++j) dot += vs[i * n + j] * dys[i * n + j];
            T *dq = result.q.data<T>() + (task * length + t) * m, *dk = result.k.data<T>() + (task * length + t) * m,
              *da = result.log_decay.data<T>() + ((b * heads + h) * length + t) * decays.size(3);
            for (int64_t j = 0; j < m; ++j) {
              const T one = a[j] * from_dy[j] + dot * own[j];
              dq[j] = first ? one : dq[j] + one;
              dk[j] = first ? from_v[j] : dk[j] + from_v[j];
              if (whole)
                total += from_r[j];
              else
                da[j] = a[j] * from_r[j];
            }
            if (whole) da[0] = a[0] * total;
          }
        }
      }
    });
  });
  return result;
}

Tensor decayed_max(const Tensor& log_decay, const Tensor& x, const Tensor& start) {
  const Tensor decays = contiguous(log_decay), values = contiguous(x), first = contiguous(start);
  const Tensor y = detail::make_tensor(x.shape(), x.dtype());
  const int64_t length = x.size(-1);
  dispatch_compute("mlstm", x.dtype(), [&]<class T> {
    const T *d = decays.data<T>(), *v = values.data<T>();
    T* to = y.data<T>();
    for (int64_t row = 0; row < start.numel(); ++row) {
      T m = first.data<T>()[row];
      for (int64_t t = row * length; t < (row + 1) * length; ++t) to[t] = m = std::max(m + d[t], v[t]);
    }
  });
  return y;
}

}  // namespace cotangent::raw
