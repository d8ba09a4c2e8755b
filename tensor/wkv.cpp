#include <cotangent/tensor/wkv.hpp>

#include <algorithm>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/product_plan_internal.hpp>
#include <cotangent/tensor/reduce.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent::raw {
namespace {

constexpr const char* kWkvOp = "wkv";
constexpr int64_t kWkvChannels = 64;  // of a task

/// Calls f(row, channel, count) for blocks of channels of each row of the batch, which never meet.
template <class F>
void for_channels(const Tensor& x, F f) {
  const int64_t channels = x.size(2), blocks = ceil_div(channels, kWkvChannels);
  parallel_chunks(x.size(0) * blocks, [&](int64_t task) {
    const int64_t first = task % blocks * kWkvChannels;
    f(task / blocks, first, std::min(kWkvChannels, channels - first));
  });
}

/// What both directions read: contiguous.
struct Sequences {
  Tensor k, v, w, u, mean, log;

  template <class T>
  kernels::Wkv<T> channels(int64_t row, int64_t first, int64_t count) const {
    const int64_t at = place(row, first), start = row * k.size(2) + first;
    return {.steps = k.size(1),
            .channels = count,
            .row = k.size(2),
            .k = k.data<T>() + at,
            .v = v.data<T>() + at,
            .w = w.data<T>() + first,
            .u = u.data<T>() + first,
            .mean0 = mean.data<T>() + start,
            .log0 = log.data<T>() + start};
  }
  /// Of the first step of a channel.
  int64_t place(int64_t row, int64_t channel) const { return row * k.size(1) * k.size(2) + channel; }
};

}  // namespace

WkvSteps wkv(const Tensor& k, const Tensor& v, const Tensor& w, const Tensor& u, const Tensor& mean,
             const Tensor& log) {
  const Sequences s{contiguous(k), contiguous(v), contiguous(w), contiguous(u), contiguous(mean), contiguous(log)};
  const auto like = [&] { return detail::make_tensor(k.shape(), k.dtype()); };
  const WkvSteps r{like(), like(), like()};
  dispatch_compute(kWkvOp, k.dtype(), [&]<class T> {
    for_channels(k, [&](int64_t b, int64_t c, int64_t count) {
      kernels::Wkv<T> run = s.channels<T>(b, c, count);
      const int64_t at = s.place(b, c);
      run.y = r.y.data<T>() + at, run.mean = r.mean.data<T>() + at, run.log = r.log.data<T>() + at;
      kernels::kernels().wkv.of<T>().forward(run);
    });
  });
  return r;
}

WkvGradients wkv_backward(const Tensor& k, const Tensor& v, const Tensor& w, const Tensor& u, const Tensor& mean,
                          const Tensor& log, const WkvSteps& steps, const Tensor& dy, const Tensor& dmean,
                          const Tensor& dlog) {
  const Sequences s{contiguous(k), contiguous(v), contiguous(w), contiguous(u), contiguous(mean), contiguous(log)};
  const Tensor above = contiguous(dy);
  const auto of_rows = [&](const Tensor& start) {
    const Tensor x = start.defined() ? clone(contiguous(start)) : detail::make_tensor(mean.shape(), k.dtype());
    if (!start.defined()) fill_into(x, 0);
    return x;
  };
  const Tensor dk = detail::make_tensor(k.shape(), k.dtype()), dv = detail::make_tensor(k.shape(), k.dtype()),
               rmean = of_rows(dmean), rlog = of_rows(dlog), dw = of_rows({}), du = of_rows({});
  dispatch_compute(kWkvOp, k.dtype(), [&]<class T> {
    for_channels(k, [&](int64_t b, int64_t c, int64_t count) {
      kernels::Wkv<T> run = s.channels<T>(b, c, count);
      const int64_t at = s.place(b, c), start = b * k.size(2) + c;
      run.mean = steps.mean.data<T>() + at, run.log = steps.log.data<T>() + at, run.dy = above.data<T>() + at;
      run.rmean = rmean.data<T>() + start, run.rlog = rlog.data<T>() + start;
      run.dk = dk.data<T>() + at, run.dv = dv.data<T>() + at;
      run.dw = dw.data<T>() + start, run.du = du.data<T>() + start;
      kernels::kernels().wkv.of<T>().adjoint(run);
    });
  });
  const auto total = [&](const Tensor& rows) { return try_view(kWkvOp, sum(kWkvOp, rows, 1), {k.size(2)}); };
  return {dk, dv, total(dw), total(du), rmean, rlog};
}

}  // namespace cotangent::raw
