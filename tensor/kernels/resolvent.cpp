// A frequency needs the inverse of each pole's denominator, which is one division, and then is a product of matrices:
// sums by poles. All accumulators are in registers.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/lanes.hpp>
#include <cotangent/tensor/kernels/resolvent.hpp>

namespace cotangent::kernels {
namespace {

constexpr int S = kResolventSums;

/// 1 / D for D = (r y - x) (r y + x) - 2 i x y rho.
template <class T, bool wide>
struct Inverse {
  using V = typename LanesOf<T, wide>::V;
  V re, im;
  Inverse(T r, T rho, V x, V y) {
    const V ry = r * y, real = (ry - x) * (ry + x), minus_imag = T(2) * rho * (x * y),
            scale = T(1) / (real * real + minus_imag * minus_imag);
    re = real * scale, im = minus_imag * scale;
  }
};

template <class T, bool wide>
void sums_at(const T* a, const T* b, const T* r, const T* rho, int64_t poles, const T* x_, const T* y_, int64_t count,
             T* t) {
  using V = typename LanesOf<T, wide>::V;
  const V x = LanesOf<T, wide>::take(x_), y = LanesOf<T, wide>::take(y_);
  V by_a[S][2] = {}, by_b[S][2] = {};
  for (int64_t n = 0; n < poles; ++n) {
    const Inverse<T, wide> one(r[n], rho[n], x, y);
    COTANGENT_UNROLL for (int j = 0; j < S; ++j) {
      by_a[j][0] += a[j * poles + n] * one.re, by_a[j][1] += a[j * poles + n] * one.im;
      by_b[j][0] += b[j * poles + n] * one.re, by_b[j][1] += b[j * poles + n] * one.im;
    }
  }
  COTANGENT_UNROLL for (int j = 0; j < S; ++j) {
    LanesOf<T, wide>::put(T(-2) * (x * by_a[j][1] + y * by_b[j][0]), t + 2 * j * count);
    LanesOf<T, wide>::put(T(2) * (x * by_a[j][0] - y * by_b[j][1]), t + (2 * j + 1) * count);
  }
}

template <class T>
void sums(const T* a, const T* b, const T* r, const T* rho, int64_t poles, const T* x, const T* y, int64_t count,
          T* t) {
  int64_t l = 0;
  for (; l + kLanes<T> <= count; l += kLanes<T>) sums_at<T, true>(a, b, r, rho, poles, x + l, y + l, count, t + l);
  for (; l < count; ++l) sums_at<T, false>(a, b, r, rho, poles, x + l, y + l, count, t + l);
}

/// The gradients of one pole, summed over the frequencies of each lane.
template <class T, bool wide>
struct PoleSums {
  using V = typename LanesOf<T, wide>::V;
  V da[S] = {}, db[S] = {}, dr{}, drho{};

  void add(const T* dt, const T* a, const T* b, T r, T rho, int64_t poles, V x, V y, int64_t count) {
    const Inverse<T, wide> one(r, rho, x, y);
    const V u = T(2) * x * one.re, v = T(2) * x * one.im, p = T(2) * y * one.re, q = T(2) * y * one.im;
    V im_a{}, re_a{}, re_b{}, im_b{};
    COTANGENT_UNROLL for (int j = 0; j < S; ++j) {
      const V re = LanesOf<T, wide>::take(dt + 2 * j * count), im = LanesOf<T, wide>::take(dt + (2 * j + 1) * count);
      da[j] += im * u - re * v;
      db[j] -= re * p + im * q;
      im_a += a[j * poles] * im, re_a += a[j * poles] * re;
      im_b += b[j * poles] * im, re_b += b[j * poles] * re;
    }
    // by the inverse, and by the denominator through -1 / D^2
    const V d_re = T(2) * (x * im_a - y * re_b), d_im = T(-2) * (x * re_a + y * im_b);
    const V square_re = one.re * one.re - one.im * one.im, square_im = T(2) * one.re * one.im;
    dr -= T(2) * r * y * y * (d_re * square_re + d_im * square_im);
    drho += T(2) * x * y * (d_im * square_re - d_re * square_im);
  }
};

template <class T>
T total(const Vec<T>& v) {
  T sum = 0;
  for (int i = 0; i < kLanes<T>; ++i) sum += v[i];
  return sum;
}

template <class T>
void sums_backward(const T* dt, const T* a, const T* b, const T* r, const T* rho, int64_t poles, const T* x, const T* y,
                   int64_t count, T* da, T* db, T* dr, T* drho) {
  for (int64_t n = 0; n < poles; ++n) {
    PoleSums<T, true> wide;
    PoleSums<T, false> rest;
    int64_t l = 0;
    for (; l + kLanes<T> <= count; l += kLanes<T>)
      wide.add(dt + l, a + n, b + n, r[n], rho[n], poles, load(x + l), load(y + l), count);
    for (; l < count; ++l) rest.add(dt + l, a + n, b + n, r[n], rho[n], poles, x[l], y[l], count);
    for (int j = 0; j < S; ++j) {
      da[j * poles + n] = total<T>(wide.da[j]) + rest.da[j];
      db[j * poles + n] = total<T>(wide.db[j]) + rest.db[j];
    }
    dr[n] = total<T>(wide.dr) + rest.dr, drho[n] = total<T>(wide.drho) + rest.drho;
  }
}

template <class T>
ResolventLoops<T> loops() {
  return {sums<T>, sums_backward<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<ResolventLoops>& table) { table = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA

}  // namespace cotangent::kernels
