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

}  // namespace

WkvSteps wkv(const Tensor& k_, const Tensor& v_, const Tensor& w_, const Tensor& u_, const Tensor& mean_,
             const Tensor& log_) {
  const Tensor k = contiguous(k_), v = contiguous(v_), w = contiguous(w_), u = contiguous(u_), mean = contiguous(mean_),
               log = contiguous(log_);
  const auto like = [&] { return detail::make_tensor(k.shape(), k.dtype()); };
  const WkvSteps r{like(), like(), like()};
  dispatch_compute(kWkvOp, k.dtype(), [&]<class T> {
    for_channels(k, [&](int64_t b, int64_t c, int64_t count) {
      const int64_t at = b * k.size(1) * k.size(2) + c, start = b * k.size(2) + c;
      kernels::kernels().wkv.of<T>().forward({.steps = k.size(1),
                                              .channels = count,
                                              .row = k.size(2),
                                              .k = k.data<T>() + at,
                                              .v = v.data<T>() + at,
                                              .w = w.data<T>() + c,
                                              .u = u.data<T>() + c,
                                              .mean0 = mean.data<T>() + start,
                                              .log0 = log.data<T>() + start,
                                              .y = r.y.data<T>() + at,
                                              .mean = r.mean.data<T>() + at,
                                              .log = r.log.data<T>() + at});
    });
  });
  return r;
}

WkvGradients wkv_backward(const Tensor& k_, const Tensor& v_, const Tensor& w_, const Tensor& u_, const Tensor& mean_,
                          const Tensor& log_, const WkvSteps& steps, const Tensor& dy_, const Tensor& dmean,
                          const Tensor& dlog) {
  const Tensor k = contiguous(k_), v = contiguous(v_), w = contiguous(w_), u = contiguous(u_), mean = contiguous(mean_),
               log = contiguous(log_), dy = contiguous(dy_);
  const auto of_rows = [&](const Tensor& start) {
    const Tensor x = start.defined() ? clone(contiguous(start)) : detail::make_tensor(mean.shape(), k.dtype());
    if (!start.defined()) fill_into(x, 0);
    return x;
  };
  const Tensor dk = detail::make_tensor(k.shape(), k.dtype()), dv = detail::make_tensor(k.shape(), k.dtype()),
               rmean = of_rows(dmean), rlog = of_rows(dlog), dw = of_rows({}), du = of_rows({});
  dispatch_compute(kWkvOp, k.dtype(), [&]<class T> {
    for_channels(k, [&](int64_t b, int64_t c, int64_t count) {
      const int64_t at = b * k.size(1) * k.size(2) + c, start = b * k.size(2) + c;
      kernels::kernels().wkv.of<T>().adjoint({.steps = k.size(1),
                                              .channels = count,
                                              .row = k.size(2),
                                              .k = k.data<T>() + at,
                                              .v = v.data<T>() + at,
                                              .w = w.data<T>() + c,
                                              .u = u.data<T>() + c,
                                              .mean0 = mean.data<T>() + start,
                                              .log0 = log.data<T>() + start,
                                              .mean = steps.mean.data<T>() + at,
                                              .log = steps.log.data<T>() + at,
                                              .dy = dy.data<T>() + at,
                                              .rmean = rmean.data<T>() + start,
                                              .rlog = rlog.data<T>() + start,
                                              .dk = dk.data<T>() + at,
                                              .dv = dv.data<T>() + at,
                                              .dw = dw.data<T>() + start,
                                              .du = du.data<T>() + start});
    });
  });
  const auto total = [&](const Tensor& rows) { return try_view(kWkvOp, sum(kWkvOp, rows, 1), {k.size(2)}); };
  return {dk, dv, total(dw), total(du), rmean, rlog};
}

}  // namespace cotangent::raw
