// Channels never meet but in the gradients of b and c, which sum over them: a block of them is a task forward, and a
// few blocks backwards, whose sums are added at the end in order.
#include <cotangent/tensor/selective_scan.hpp>

#include <algorithm>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/memory/scratch_internal.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/product_plan_internal.hpp>
#include <cotangent/tensor/reduce.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent::raw {
namespace {

using kernels::kernels;

constexpr const char* kOp = "selective_scan";
constexpr int64_t W = kernels::kSelectiveBlock, kSteps = 32, kGroups = 4;

struct Sizes {
  Sizes(const Tensor& x, const Tensor& a)
      : batch(x.size(0)),
        length(x.size(1)),
        channels(x.size(2)),
        states(a.size(1)),
        blocks(ceil_div(channels, W)),
        chunks(ceil_div(length, kSteps)),
        most(std::min(length, kSteps)) {}
  int64_t batch, length, channels, states, blocks, chunks, most;
};

/// `rows` of a block of channels: the dense ones that a kernel takes, with zeros where there are no channels.
struct Block {
  explicit Block(int64_t index, const Sizes& n) : first(index * W), width(std::min(W, n.channels - first)) {}
  template <class T>
  void load(const T* from, int64_t row, int64_t column, int64_t rows, T* to) const {
    from += first * column;
    for (int64_t i = 0; i < rows; ++i, from += row, to += W) {
      if (column == 1)
        std::copy_n(from, width, to);
      else
        for (int64_t d = 0; d < width; ++d) to[d] = from[d * column];
      std::fill(to + width, to + W, T(0));
    }
  }
  template <class T>
  void save(const T* from, int64_t rows, T* to, int64_t row, int64_t column) const {
    to += first * column;
    for (int64_t i = 0; i < rows; ++i, from += W, to += row)
      for (int64_t d = 0; d < width; ++d) to[d * column] = from[d];
  }
  int64_t first, width;
};

template <class T>
const T* row_of(const Tensor& x, int64_t b, int64_t t = 0) {
  return x.data<T>() + b * x.strides()[0] + t * x.strides()[1];
}
template <class T>
T* dense_row(const Tensor& x, int64_t b, int64_t t = 0) {
  return x.data<T>() + (b * x.size(1) + t) * x.size(2);
}

}  // namespace

SelectiveScanned selective_scan(const Tensor& x, const Tensor& dt, const Tensor& a, const Tensor& b_, const Tensor& c_,
                                const Tensor& skip, const Tensor& state) {
  const Sizes n(x, a);
  const Tensor b = contiguous(b_), c = contiguous(c_);
  const SelectiveScanned result{detail::make_tensor(x.shape(), x.dtype()),
                                detail::make_tensor({n.batch, n.channels, n.states}, x.dtype()),
                                detail::make_tensor({n.batch, n.chunks, n.states, n.channels}, x.dtype())};
  dispatch_compute(kOp, x.dtype(), [&]<class T> {
    parallel_chunks(n.batch * n.blocks, [&](int64_t task) {
      const int64_t i = task / n.blocks;
      const Block block(task % n.blocks, n);
      const Scratch<T> xs(n.most * W), dts(n.most * W), ys(n.most * W), as(n.states * W), h(n.states * W), skips(W);
      block.load(a.data<T>(), a.strides()[1], a.strides()[0], n.states, as.data());
      std::fill_n(h.data(), n.states * W, T(0));
      if (state.defined()) block.load(row_of<T>(state, i), state.strides()[2], state.strides()[1], n.states, h.data());
      std::fill_n(skips.data(), W, T(0));
      if (skip.defined()) block.load(skip.data<T>(), 0, skip.strides()[0], 1, skips.data());
      for (int64_t g = 0; g < n.chunks; ++g) {
        const int64_t t = g * kSteps, steps = std::min(kSteps, n.length - t);
        block.save(h.data(), n.states, result.starts.data<T>() + (i * n.chunks + g) * n.states * n.channels, n.channels,
                   1);
        block.load(row_of<T>(x, i, t), x.strides()[1], x.strides()[2], steps, xs.data());
        block.load(row_of<T>(dt, i, t), dt.strides()[1], dt.strides()[2], steps, dts.data());
        for (int64_t s = 0; s < steps; ++s)
          for (int64_t d = 0; d < W; ++d) ys[s * W + d] = skip.defined() ? skips[d] * xs[s * W + d] : T(0);
        kernels().selective_scan.of<T>().forward({steps, n.states, xs.data(), dts.data(), as.data(),
                                                  dense_row<T>(b, i, t), dense_row<T>(c, i, t), h.data(), ys.data()});
        block.save(ys.data(), steps, dense_row<T>(result.y, i, t), n.channels, 1);
      }
      block.save(h.data(), n.states, dense_row<T>(result.state, i), 1, n.states);
    });
  });
  return result;
}

SelectiveGradients selective_scan_backward(const Tensor& x, const Tensor& dt, const Tensor& a, const Tensor& b_,
                                           const Tensor& c_, const Tensor& skip, const Tensor& starts, const Tensor& dy,
                                           const Tensor& dstate) {
  const Sizes n(x, a);
  const Tensor b = contiguous(b_), c = contiguous(c_);
  const int64_t groups = std::min(kGroups, n.blocks);
  const auto sums = [&](const Shape& shape) {
    const Tensor y = detail::make_tensor(shape, x.dtype());
    fill_into(y, 0);
    return y;
  };
  const Tensor dx = detail::make_tensor(x.shape(), x.dtype()), ddt = detail::make_tensor(x.shape(), x.dtype()),
               da = sums({n.batch, n.channels, n.states}), db = sums({groups, n.batch, n.length, n.states}),
               dc = sums({groups, n.batch, n.length, n.states}), dskip = sums({n.batch, n.channels}),
               dstart = detail::make_tensor({n.batch, n.channels, n.states}, x.dtype());
  dispatch_compute(kOp, x.dtype(), [&]<class T> {
    parallel_chunks(n.batch * groups, [&](int64_t task) {
      const int64_t i = task / groups, group = task % groups;
      const Scratch<T> xs(n.most * W), dts(n.most * W), dys(n.most * W), dxs(n.most * W), ddts(n.most * W),
          as(n.states * W), das(n.states * W), h(n.states * W), r(n.states * W), skips(W), dskips(W),
          kept(Dims{2 * n.most, n.states, W}.product(kOp));
      for (int64_t index = n.blocks * group / groups; index < n.blocks * (group + 1) / groups; ++index) {
        const Block block(index, n);
        block.load(a.data<T>(), a.strides()[1], a.strides()[0], n.states, as.data());
        for (const Scratch<T>* s : {&das, &r}) std::fill_n(s->data(), n.states * W, T(0));
        for (const Scratch<T>* s : {&skips, &dskips}) std::fill_n(s->data(), W, T(0));
        if (dstate.defined())
          block.load(row_of<T>(dstate, i), dstate.strides()[2], dstate.strides()[1], n.states, r.data());
        if (skip.defined()) block.load(skip.data<T>(), 0, skip.strides()[0], 1, skips.data());
        for (int64_t g = n.chunks - 1; g >= 0; --g) {
          const int64_t t = g * kSteps, steps = std::min(kSteps, n.length - t);
          block.load(starts.data<T>() + (i * n.chunks + g) * n.states * n.channels, n.channels, 1, n.states, h.data());
          block.load(row_of<T>(x, i, t), x.strides()[1], x.strides()[2], steps, xs.data());
          block.load(row_of<T>(dt, i, t), dt.strides()[1], dt.strides()[2], steps, dts.data());
          block.load(row_of<T>(dy, i, t), dy.strides()[1], dy.strides()[2], steps, dys.data());
          for (int64_t s = 0; s < steps; ++s)
            for (int64_t d = 0; d < W; ++d) {
              dskips[d] += dys[s * W + d] * xs[s * W + d];
              dxs[s * W + d] = skip.defined() ? skips[d] * dys[s * W + d] : T(0);
              ddts[s * W + d] = 0;
            }
          const int64_t at = ((group * n.batch + i) * n.length + t) * n.states;
          kernels().selective_scan.of<T>().adjoint({{steps, n.states, xs.data(), dts.data(), as.data(),
                                                     dense_row<T>(b, i, t), dense_row<T>(c, i, t), h.data(), nullptr},
                                                    dys.data(),
                                                    r.data(),
                                                    dxs.data(),
                                                    ddts.data(),
                                                    das.data(),
                                                    db.data<T>() + at,
                                                    dc.data<T>() + at,
                                                    kept.data()});
          block.save(dxs.data(), steps, dense_row<T>(dx, i, t), n.channels, 1);
          block.save(ddts.data(), steps, dense_row<T>(ddt, i, t), n.channels, 1);
        }
        block.save(das.data(), n.states, dense_row<T>(da, i), 1, n.states);
        block.save(r.data(), n.states, dense_row<T>(dstart, i), 1, n.states);
        block.save(dskips.data(), 1, dskip.data<T>() + i * n.channels, 0, 1);
      }
    });
  });
  const auto total = [](const Tensor& parts) {  // over the first dimension
    return try_view(kOp, sum(kOp, parts, 1), parts.shape().slice(1, parts.rank()));
  };
  return {dx, ddt, total(da), total(db), total(dc), total(dskip), dstart};
}

}  // namespace cotangent::raw
