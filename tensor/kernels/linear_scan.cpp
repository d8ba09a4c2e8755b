// Sequential in time, one vector of columns after another in a row: each reads the row before, which the first cache
// still holds.
#include <cotangent/tensor/kernels/linear_scan.hpp>

namespace cotangent::kernels {
namespace {

// ---- real numbers ----

template <class T, bool kOneA, bool kOneB>
void scan_columns(const T* a, const T* b, const T* before, T* h, const ScanSteps& s) {
  for (int64_t t = 0; t < s.steps; ++t, a += s.a, b += s.b, before = h, h += s.h) {
    if (!before) {
      for (int64_t j = 0; j < s.columns; ++j) h[j] = b[kOneB ? 0 : j];
    } else {
#pragma omp simd
      for (int64_t j = 0; j < s.columns; ++j) h[j] = a[kOneA ? 0 : j] * before[j] + b[kOneB ? 0 : j];
    }
  }
}
template <class T>
void scan_line(const T* a, const T* b, const T* before, T* h, const ScanSteps& s) {
  T last = before ? *a * *before + *b : *b;
  *h = last;
  for (int64_t t = 1; t < s.steps; ++t) h[t * s.h] = last = a[t * s.a] * last + b[t * s.b];
}
template <class T>
void scan(const T* a, const T* b, const T* before, T* h, const ScanSteps& s, bool) {
  if (s.columns == 1) return scan_line(a, b, before, h, s);
  if (s.one_a && s.one_b) return scan_columns<T, true, true>(a, b, before, h, s);
  if (s.one_a) return scan_columns<T, true, false>(a, b, before, h, s);
  if (s.one_b) return scan_columns<T, false, true>(a, b, before, h, s);
  return scan_columns<T, false, false>(a, b, before, h, s);
}

template <class T, bool kOneA, bool kAdd>
void backward_columns(const T* a, const T* dh, const T* h, const T* last, const T* before, T* r, T* da,
                      const ScanBackSteps& s) {
  const auto put = [](T& to, T value) { to = kAdd ? to + value : value; };
  for (int64_t t = 0; t < s.steps; ++t, a += s.a, dh += s.dh, h += s.h, before = r, r += s.r, da += s.da) {
    const T* from = t + 1 < s.steps ? h : last;
    if (!before) {
      for (int64_t j = 0; j < s.columns; ++j) r[j] = dh[j];
    } else {
#pragma omp simd
      for (int64_t j = 0; j < s.columns; ++j) r[j] = a[kOneA ? 0 : j] * before[j] + dh[j];
    }
    if (from) {
#pragma omp simd
      for (int64_t j = 0; j < s.columns; ++j) put(da[j], r[j] * from[j]);
    } else {
      for (int64_t j = 0; j < s.columns; ++j) put(da[j], T(0));
    }
  }
}
template <class T>
void backward_line(const T* a, const T* dh, const T* h, const T* last, const T* before, T* r, T* da,
                   const ScanBackSteps& s) {
  const bool add = s.da == 0;
  T now = before ? *a * *before + *dh : *dh, total = add ? *da : T(0);
  for (int64_t t = 0; t + 1 < s.steps; ++t) {
    const T share = now * h[t * s.h];
    r[t * s.r] = now;
    if (!add) da[t * s.da] = share;
    total += share;
    now = a[(t + 1) * s.a] * now + dh[(t + 1) * s.dh];
  }
  const T share = last ? now * *last : T(0);
  r[(s.steps - 1) * s.r] = now;
  da[(s.steps - 1) * s.da] = add ? total + share : share;
}
template <class T>
void backward(const T* a, const T* dh, const T* h, const T* last, const T* before, T* r, T* da,
              const ScanBackSteps& s) {
  if (s.columns == 1) return backward_line(a, dh, h, last, before, r, da, s);
  const bool add = s.da == 0;
  const auto run = s.one_a ? add ? backward_columns<T, true, true> : backward_columns<T, true, false>
                   : add ? backward_columns<T, false, true>
                           : backward_columns<T, false, false>;
  run(a, dh, h, last, before, r, da, s);
}

// ---- pairs ----

template <class T>
struct Pair {
  T re, im;
};
template <class T>
Pair<T> pair_at(const T* p, int64_t j) {
  return {p[2 * j], p[2 * j + 1]};
}
/// x y + z, where the imaginary part of x counts `sign` times.
template <class T>
Pair<T> multiply_add(Pair<T> x, T sign, Pair<T> y, Pair<T> z) {
  const T im = sign * x.im;
  return {x.re * y.re - im * y.im + z.re, x.re * y.im + im * y.re + z.im};
}

template <class T, bool kOneA>
void scan_pair_columns(const T* a, const T* b, const T* before, T* h, const ScanSteps& s, T sign) {
  for (int64_t t = 0; t < s.steps; ++t, a += s.a, b += s.b, before = h, h += s.h) {
    if (!before) {
      for (int64_t j = 0; j < 2 * s.columns; ++j) h[j] = b[s.one_b ? j % 2 : j];
    } else {
#pragma omp simd
      for (int64_t j = 0; j < s.columns; ++j) {
        const Pair<T> y =
            multiply_add(pair_at(a, kOneA ? 0 : j), sign, pair_at(before, j), pair_at(b, s.one_b ? 0 : j));
        h[2 * j] = y.re, h[2 * j + 1] = y.im;
      }
    }
  }
}
template <class T>
void scan_pairs(const T* a, const T* b, const T* before, T* h, const ScanSteps& s, bool conjugate) {
  (s.one_a ? scan_pair_columns<T, true> : scan_pair_columns<T, false>)(a, b, before, h, s, conjugate ? T(-1) : T(1));
}

template <class T, bool kOneA, bool kAdd>
void backward_pair_columns(const T* a, const T* dh, const T* h, const T* last, const T* before, T* r, T* da,
                           const ScanBackSteps& s) {
  for (int64_t t = 0; t < s.steps; ++t, a += s.a, dh += s.dh, h += s.h, before = r, r += s.r, da += s.da) {
    const T* from = t + 1 < s.steps ? h : last;
    if (!before) {
      for (int64_t j = 0; j < 2 * s.columns; ++j) r[j] = dh[j];
    } else {
#pragma omp simd
      for (int64_t j = 0; j < s.columns; ++j) {
        const Pair<T> y = multiply_add(pair_at(a, kOneA ? 0 : j), T(-1), pair_at(before, j), pair_at(dh, j));
        r[2 * j] = y.re, r[2 * j + 1] = y.im;
      }
    }
    if (from) {
#pragma omp simd
      for (int64_t j = 0; j < s.columns; ++j) {
        const Pair<T> none{T(0), T(0)},
            y = multiply_add(pair_at(from, j), T(-1), pair_at(r, j), kAdd ? pair_at(da, j) : none);
        da[2 * j] = y.re, da[2 * j + 1] = y.im;
      }
    } else if (!kAdd) {
      for (int64_t j = 0; j < 2 * s.columns; ++j) da[j] = T(0);
    }
  }
}
template <class T>
void backward_pairs(const T* a, const T* dh, const T* h, const T* last, const T* before, T* r, T* da,
                    const ScanBackSteps& s) {
  const bool add = s.da == 0;
  const auto run = s.one_a ? add ? backward_pair_columns<T, true, true> : backward_pair_columns<T, true, false>
                   : add ? backward_pair_columns<T, false, true>
                           : backward_pair_columns<T, false, false>;
  run(a, dh, h, last, before, r, da, s);
}

}  // namespace

namespace COTANGENT_ISA {
void fill(LinearScanTable& t) {
  t = {{{scan<float>, backward<float>}, {scan<double>, backward<double>}},
       {{scan_pairs<float>, backward_pairs<float>}, {scan_pairs<double>, backward_pairs<double>}}};
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
