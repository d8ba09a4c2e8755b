#include <cotangent/tensor/kernels/complex.hpp>
#include <cotangent/tensor/kernels/math.hpp>

namespace cotangent::kernels {
namespace {

template <class T, bool kOneA, bool kOneB>
void multiply_all(const T* a, const T* b, T* y, int64_t n, T sign_a, T sign_b) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at_a = kOneA ? 0 : 2 * i, at_b = kOneB ? 0 : 2 * i;
    const T ar = a[at_a], ai = sign_a * a[at_a + 1], br = b[at_b], bi = sign_b * b[at_b + 1];
    y[2 * i] = ar * br - ai * bi, y[2 * i + 1] = ar * bi + ai * br;
  }
}
template <class T>
void multiply(const T* a, const T* b, T* y, int64_t n, int64_t step_a, int64_t step_b, Conjugates conj) {
  const auto run = step_a   ? step_b ? multiply_all<T, false, false> : multiply_all<T, false, true>
                     : step_b ? multiply_all<T, true, false>
                            : multiply_all<T, true, true>;
  run(a, b, y, n, conj.a ? T(-1) : T(1), conj.b ? T(-1) : T(1));
}

// By the larger part of b, l, and the ratio q = s / l of the smaller one: with l real, (ar + ai q, ai - ar q) over
// l + s q; else the same of a turned by a quarter.
template <class T>
void divide(const T* a, const T* b, T* y, int64_t n, int64_t step_a, int64_t step_b, Conjugates conj) {
  const T sign_a = conj.a ? T(-1) : T(1), sign_b = conj.b ? T(-1) : T(1);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const T ar = a[2 * i * step_a], ai = sign_a * a[2 * i * step_a + 1], br = b[2 * i * step_b],
            bi = sign_b * b[2 * i * step_b + 1];
    const bool real = m_fabs(br) >= m_fabs(bi);
    const T large = real ? br : bi, q = (real ? bi : br) / large, below = large + (real ? bi : br) * q;
    const T re = real ? ar + ai * q : ar * q + ai, im = real ? ai - ar * q : ai * q - ar;
    y[2 * i] = re / below, y[2 * i + 1] = im / below;
  }
}

template <class T>
void abs(const T* x, T* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const T re = m_fabs(x[2 * i]), im = m_fabs(x[2 * i + 1]);
    const T large = re > im ? re : im, small = re > im ? im : re;
    const T q = small / (large > T(0) ? large : T(1));
    const T infinity = static_cast<T>(__builtin_inf());
    y[i] = re == infinity || im == infinity ? infinity : large * m_sqrt(T(1) + q * q);
  }
}
template <class T>
void angle(const T* x, T* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = m_atan2(x[2 * i + 1], x[2 * i]);
}

template <class T>
ComplexLoops<T> loops() {
  return {multiply<T>, divide<T>, abs<T>, angle<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<ComplexLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
