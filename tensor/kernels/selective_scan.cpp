// Exponentials are most of the work, so plain loops over the channels do for the rest; backwards they are kept for the
// steps of a chunk.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/math.hpp>
#include <cotangent/tensor/kernels/selective_scan.hpp>

namespace cotangent::kernels {
namespace {

constexpr int64_t W = kSelectiveBlock;

template <class T>
void forward(const SelectiveScan<T>& s) {
  for (int64_t t = 0; t < s.steps; ++t) {
    const T *x = s.x + t * W, *dt = s.dt + t * W, *b = s.b + t * s.states, *c = s.c + t * s.states;
    T in[W], y[W] = {};
    for (int64_t d = 0; d < W; ++d) in[d] = dt[d] * x[d];
    for (int64_t n = 0; n < s.states; ++n) {
      const T *a = s.a + n * W, bn = b[n], cn = c[n];
      T* h = s.h + n * W;
#pragma omp simd
      for (int64_t d = 0; d < W; ++d) {
        h[d] = m_quick_exp(dt[d] * a[d]) * h[d] + bn * in[d];
        y[d] += cn * h[d];
      }
    }
    for (int64_t d = 0; d < W; ++d) s.y[t * W + d] += y[d];
  }
}

template <class T>
void adjoint(const SelectiveAdjoint<T>& s) {
  const SelectiveScan<T>& f = s.forward;
  const int64_t N = f.states;
  const T* before = f.h;
  for (int64_t t = 0; t < f.steps; ++t) {  // kept: h_t, and the exponentials of step t
    const T *x = f.x + t * W, *dt = f.dt + t * W, *b = f.b + t * N;
    T in[W];
    for (int64_t d = 0; d < W; ++d) in[d] = dt[d] * x[d];
    T *now = s.kept + 2 * t * N * W, *e = now + N * W;
    for (int64_t n = 0; n < N; ++n) {
      const T *a = f.a + n * W, *h = before + n * W, bn = b[n];
      T *h_now = now + n * W, *e_now = e + n * W;
#pragma omp simd
      for (int64_t d = 0; d < W; ++d) {
        e_now[d] = m_quick_exp(dt[d] * a[d]);
        h_now[d] = e_now[d] * h[d] + bn * in[d];
      }
    }
    before = now;
  }
  for (int64_t t = f.steps - 1; t >= 0; --t) {
    const T *x = f.x + t * W, *dt = f.dt + t * W, *b = f.b + t * N, *c = f.c + t * N, *dy = s.dy + t * W;
    const T *now = s.kept + 2 * t * N * W, *e = now + N * W, *last = t > 0 ? now - 2 * N * W : f.h;
    T in[W], din[W] = {}, ddt[W] = {};
    for (int64_t d = 0; d < W; ++d) in[d] = dt[d] * x[d];
    for (int64_t n = 0; n < N; ++n) {
      const T *a = f.a + n * W, *h = now + n * W, *h_last = last + n * W, *by = e + n * W, bn = b[n], cn = c[n];
      T *r = s.r + n * W, *da = s.da + n * W, db = 0, dc = 0;
#pragma omp simd reduction(+ : db, dc)
      for (int64_t d = 0; d < W; ++d) {
        const T above = r[d] + cn * dy[d], rest = above * by[d], change = rest * h_last[d];
        dc += dy[d] * h[d];
        db += above * in[d];
        din[d] += above * bn;
        ddt[d] += change * a[d];
        da[d] += change * dt[d];
        r[d] = rest;
      }
      s.db[t * N + n] += db, s.dc[t * N + n] += dc;
    }
    T *dx = s.dx + t * W, *to = s.ddt + t * W;
    for (int64_t d = 0; d < W; ++d) dx[d] += din[d] * dt[d], to[d] += ddt[d] + din[d] * x[d];
  }
}

template <class T>
SelectiveScanLoops<T> loops() {
  return {forward<T>, adjoint<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<SelectiveScanLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
