#include <cotangent/tensor/resolvent.hpp>

#include <cmath>
#include <numbers>

#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/parallel.hpp>

namespace cotangent::raw {
namespace {

using detail::make_tensor;
using kernels::kernels;
using kernels::kResolventSums;

constexpr const char* kOp = "resolvent_sums";

/// A few channels of pole-frequency pairs, each a division and a few dozen operations.
int64_t grain(int64_t poles, int64_t count) { return 1 + 4096 / (poles * count + 1); }

}  // namespace

Tensor resolvent_places(int64_t length, Dtype dtype) {
  const int64_t count = length / 2 + 1;
  const Tensor places = make_tensor({2, count}, dtype);
  dispatch_compute(kOp, dtype, [&]<class T> {
    for (int64_t l = 0; l < count; ++l) {
      const double angle = std::numbers::pi * static_cast<double>(l) / static_cast<double>(length);
      places.data<T>()[l] = static_cast<T>(2 * std::sin(angle));
      places.data<T>()[count + l] = 2 * l == length ? T(0) : static_cast<T>(std::cos(angle));
    }
  });
  return places;
}

Tensor resolvent_sums(const Tensor& a_, const Tensor& b_, const Tensor& r_, const Tensor& rho_, int64_t length) {
  const Tensor a = contiguous(a_), b = contiguous(b_), r = contiguous(r_), rho = contiguous(rho_);
  const int64_t channels = r.size(0), poles = r.size(1), count = length / 2 + 1;
  const Tensor t = make_tensor({channels, kResolventSums, 2, count}, a.dtype()),
               places = resolvent_places(length, a.dtype());
  dispatch_compute(kOp, a.dtype(), [&]<class T> {
    const T *pa = a.data<T>(), *pb = b.data<T>(), *pr = r.data<T>(), *prho = rho.data<T>(), *x = places.data<T>();
    T* pt = t.data<T>();
    parallel_for(0, channels, grain(poles, count), [&](int64_t first, int64_t last) {
      for (int64_t c = first; c < last; ++c) {
        const int64_t at = c * poles, weights = kResolventSums * at;
        kernels().resolvent.of<T>().sums(pa + weights, pb + weights, pr + at, prho + at, poles, x, x + count, count,
                                         pt + c * kResolventSums * 2 * count);
      }
    });
  });
  return t;
}

ResolventGradients resolvent_sums_backward(const Tensor& dt_, const Tensor& a_, const Tensor& b_, const Tensor& r_,
                                           const Tensor& rho_, int64_t length) {
  const Tensor dt = contiguous(dt_), a = contiguous(a_), b = contiguous(b_), r = contiguous(r_), rho = contiguous(rho_);
  const int64_t channels = r.size(0), poles = r.size(1), count = length / 2 + 1;
  const ResolventGradients d{make_tensor(a.shape(), a.dtype()), make_tensor(a.shape(), a.dtype()),
                             make_tensor(r.shape(), a.dtype()), make_tensor(r.shape(), a.dtype())};
  const Tensor places = resolvent_places(length, a.dtype());
  dispatch_compute(kOp, a.dtype(), [&]<class T> {
    const T *pt = dt.data<T>(), *pa = a.data<T>(), *pb = b.data<T>(), *pr = r.data<T>(), *prho = rho.data<T>(),
            *x = places.data<T>();
    T *da = d.a.data<T>(), *db = d.b.data<T>(), *dr = d.r.data<T>(), *drho = d.rho.data<T>();
    parallel_for(0, channels, grain(poles, count), [&](int64_t first, int64_t last) {
      for (int64_t c = first; c < last; ++c) {
        const int64_t at = c * poles, weights = kResolventSums * at;
        kernels().resolvent.of<T>().sums_backward(pt + c * kResolventSums * 2 * count, pa + weights, pb + weights,
                                                  pr + at, prho + at, poles, x, x + count, count, da + weights,
                                                  db + weights, dr + at, drho + at);
      }
    });
  });
  return d;
}

}  // namespace cotangent::raw
