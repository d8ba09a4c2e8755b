// The mean M of the values so far and the logarithm L of their total weight, instead of two sums and their scale: every
// step is a mean of two, so that nothing overflows, whatever k.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/math.hpp>
#include <cotangent/tensor/kernels/wkv.hpp>

namespace cotangent::kernels {
namespace {

template <class T>
void forward(const Wkv<T>& s) {
  const T *mean = s.mean0, *log = s.log0;
  for (int64_t t = 0; t < s.steps; ++t) {
    const T *k = s.k + t * s.row, *v = s.v + t * s.row, *w = s.w, *u = s.u;
    T *y = s.y + t * s.row, *mean_now = s.mean + t * s.row, *log_now = s.log + t * s.row;
#pragma omp simd
    for (int64_t c = 0; c < s.channels; ++c) {
      const T late = log[c] + w[c], d = k[c] - late, away = v[c] - mean[c];
      y[c] = mean[c] + m_sigmoid(u[c] + k[c] - log[c]) * away;
      mean_now[c] = mean[c] + m_sigmoid(d) * away;
      log_now[c] = (d > T(0) ? k[c] : late) + m_log1p_unit(m_decay(d));
    }
    mean = mean_now, log = log_now;
  }
}

template <class T>
void adjoint(const Wkv<T>& s) {
  for (int64_t t = s.steps - 1; t >= 0; --t) {
    const T *k = s.k + t * s.row, *v = s.v + t * s.row, *dy = s.dy + t * s.row, *w = s.w, *u = s.u;
    const T *mean = t > 0 ? s.mean + (t - 1) * s.row : s.mean0, *log = t > 0 ? s.log + (t - 1) * s.row : s.log0;
    T *rmean = s.rmean, *rlog = s.rlog, *dk = s.dk + t * s.row, *dv = s.dv + t * s.row, *dw = s.dw, *du = s.du;
#pragma omp simd
    for (int64_t c = 0; c < s.channels; ++c) {
      const T own = m_sigmoid(k[c] - log[c] - w[c]), now = m_sigmoid(u[c] + k[c] - log[c]), away = v[c] - mean[c];
      const T by_own = rmean[c] * away * own * (T(1) - own) + rlog[c] * own;
      const T by_now = dy[c] * away * now * (T(1) - now);
      const T by_late = rlog[c] - by_own;
      dv[c] = rmean[c] * own + dy[c] * now;
      dk[c] = by_own + by_now;
      du[c] += by_now, dw[c] += by_late;
      rmean[c] = rmean[c] * (T(1) - own) + dy[c] * (T(1) - now);
      rlog[c] = by_late - by_now;
    }
  }
}

template <class T>
WkvLoops<T> loops() {
  return {forward<T>, adjoint<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<WkvLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
