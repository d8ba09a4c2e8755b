// Stockham's transform: a stage takes n = R m numbers apart into m groups of R, each of which is transformed and
// turned, and leaves R transforms of m numbers, in order, for the next. It reads and writes rows of s neighbours, and
// needs no other order of the numbers before or after.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/fft.hpp>
#include <cotangent/tensor/kernels/lanes.hpp>
#include <cotangent/tensor/kernels/transpose.hpp>

namespace cotangent::kernels {
namespace {

/// A complex number of each lane.
template <class T, bool wide>
struct Number {
  using V = typename LanesOf<T, wide>::V;
  V re, im;

  Number operator+(const Number& b) const { return {re + b.re, im + b.im}; }
  Number operator-(const Number& b) const { return {re - b.re, im - b.im}; }
  Number operator*(const Number& b) const { return {re * b.re - im * b.im, re * b.im + im * b.re}; }
  Number operator*(T factor) const { return {re * factor, im * factor}; }
  /// Times the same number in each lane.
  Number turned(const T* w) const { return {re * w[0] - im * w[1], re * w[1] + im * w[0]}; }
  Number conj() const { return {re, -im}; }
  Number real() const { return {re, V{}}; }
  Number by_i() const { return {-im, re}; }
  Number by_minus_i() const { return {im, -re}; }
};
template <bool wide, class T>
Number<T, wide>* numbers(T* x) {
  return reinterpret_cast<Number<T, wide>*>(x);
}
template <bool wide, class T>
const Number<T, wide>* numbers(const T* x) {
  return reinterpret_cast<const Number<T, wide>*>(x);
}

// The transforms of 2, 3, 4, 5 and 8 numbers, in place.
template <int R, class T>
struct Butterfly;
template <class T>
struct Butterfly<2, T> {
  template <class C>
  [[gnu::always_inline]] static void take(C* a) {
    const C b = a[0] - a[1];
    a[0] = a[0] + a[1], a[1] = b;
  }
};
template <class T>
struct Butterfly<3, T> {
  template <class C>
  [[gnu::always_inline]] static void take(C* a) {
    const C sum = a[1] + a[2], middle = a[0] - sum * T(0.5),
            side = (a[1] - a[2]).by_minus_i() * T(0.86602540378443864676);
    a[0] = a[0] + sum, a[1] = middle + side, a[2] = middle - side;
  }
};
template <class T>
struct Butterfly<4, T> {
  template <class C>
  [[gnu::always_inline]] static void take(C* a) {
    const C b = a[0] + a[2], c = a[0] - a[2], d = a[1] + a[3], e = (a[1] - a[3]).by_minus_i();
    a[0] = b + d, a[1] = c + e, a[2] = b - d, a[3] = c - e;
  }
};
template <class T>
struct Butterfly<5, T> {
  template <class C>
  [[gnu::always_inline]] static void take(C* a) {
    constexpr T c1 = T(0.30901699437494742410), c2 = T(-0.80901699437494742410), s1 = T(0.95105651629515357212),
                s2 = T(0.58778525229247312917);
    const C p = a[1] + a[4], q = a[2] + a[3], u = (a[1] - a[4]).by_minus_i(), v = (a[2] - a[3]).by_minus_i();
    const C middle1 = a[0] + p * c1 + q * c2, middle2 = a[0] + p * c2 + q * c1, side1 = u * s1 + v * s2,
            side2 = u * s2 - v * s1;
    a[0] = a[0] + p + q;
    a[1] = middle1 + side1, a[4] = middle1 - side1, a[2] = middle2 + side2, a[3] = middle2 - side2;
  }
};
template <class T>
struct Butterfly<8, T> {
  template <class C>
  [[gnu::always_inline]] static void take(C* a) {
    constexpr T half = T(0.70710678118654752440);
    C even[4] = {a[0], a[2], a[4], a[6]}, odd[4] = {a[1], a[3], a[5], a[7]};
    Butterfly<4, T>::take(even);
    Butterfly<4, T>::take(odd);
    odd[1] = C{odd[1].re + odd[1].im, odd[1].im - odd[1].re} * half;
    odd[2] = odd[2].by_minus_i();
    odd[3] = C{odd[3].im - odd[3].re, -odd[3].re - odd[3].im} * half;
    COTANGENT_UNROLL for (int j = 0; j < 4; ++j) a[j] = even[j] + odd[j], a[j + 4] = even[j] - odd[j];
  }
};

/// The last stage, of m = 1, has nothing to turn: it scales instead.
template <int R, class T, bool wide>
void stage(int64_t m, int64_t s, const T* roots, int64_t step, T scale, const Number<T, wide>* x, Number<T, wide>* y) {
  for (int64_t p = 0; p < m; ++p) {
    T w[2 * R];
    COTANGENT_UNROLL for (int j = 1; j < R; ++j) {
      w[2 * j] = roots[2 * p * j * step], w[2 * j + 1] = roots[2 * p * j * step + 1];
    }
    for (int64_t q = 0; q < s; ++q) {
      Number<T, wide> a[R];
      COTANGENT_UNROLL for (int j = 0; j < R; ++j) a[j] = x[q + s * (p + m * j)];
      Butterfly<R, T>::take(a);
      Number<T, wide>* to = y + q + s * R * p;
      if (m == 1) {
        COTANGENT_UNROLL for (int j = 0; j < R; ++j) to[s * j] = a[j] * scale;
      } else {
        to[0] = a[0];
        COTANGENT_UNROLL for (int j = 1; j < R; ++j) to[s * j] = a[j].turned(w + 2 * j);
      }
    }
  }
}

template <class T, bool wide>
T* transform(const FftPlan<T>& plan, T scale, T* x, T* y);

/// n numbers as a convolution with the chirp, through a transform of another length: j k = (j^2 + k^2 - (k - j)^2) / 2.
template <class T, bool wide>
T* by_chirp(const FftPlan<T>& plan, T scale, T* x, T* y) {
  const int64_t n = plan.n, m = plan.padded->n;
  using V = typename Number<T, wide>::V;
  auto* a = numbers<wide>(x);
  for (int64_t j = 0; j < n; ++j) a[j] = a[j].turned(plan.chirp + 2 * j);
  for (int64_t j = n; j < m; ++j) a[j] = {V{}, V{}};
  T* const found = transform<T, wide>(*plan.padded, T(1), x, y);
  T* const other = found == x ? y : x;
  const auto* from = numbers<wide>(found);
  auto* to = numbers<wide>(other);
  for (int64_t k = 0; k < m; ++k) to[k == 0 ? 0 : m - k] = from[k].turned(plan.chirp_transform + 2 * k);
  T* const result = transform<T, wide>(*plan.padded, scale, other, found);
  auto* z = numbers<wide>(result);
  for (int64_t j = 0; j < n; ++j) z[j] = z[j].turned(plan.chirp + 2 * j);
  return result;
}

template <class T, bool wide>
T* transform(const FftPlan<T>& plan, T scale, T* x, T* y) {
  if (plan.padded) return by_chirp<T, wide>(plan, scale, x, y);
  if (plan.n == 1) numbers<wide>(x)[0] = numbers<wide>(x)[0] * scale;
  int64_t left = plan.n, s = 1;
  for (int i = 0; i < plan.stages; ++i) {
    const int r = plan.radices[i];
    const int64_t step = plan.n / left, m = left / r;
    const auto run = [&](auto f) { f(m, s, plan.roots, step, scale, numbers<wide>(x), numbers<wide>(y)); };
    if (r == 8) run(stage<8, T, wide>);
    if (r == 5) run(stage<5, T, wide>);
    if (r == 4) run(stage<4, T, wide>);
    if (r == 3) run(stage<3, T, wide>);
    if (r == 2) run(stage<2, T, wide>);
    left = m, s *= r;
    T* const result = y;
    y = x, x = result;
  }
  return x;
}

template <class T, bool wide>
void reverse(int64_t n, T* x) {
  auto* z = numbers<wide>(x);
  for (int64_t j = 1; 2 * j < n; ++j) {
    const Number<T, wide> a = z[j];
    z[j] = z[n - j], z[n - j] = a;
  }
}

/// Twice X_k and X_(h-k) from Z_k and Z_(h-k); w = exp(-2 pi i k / n). Back it is the same with -w^*, but for a factor.
template <class C>
struct Two {
  C low, high;
};
template <class C, class T>
Two<C> split_two(const C& a, const C& b, const T* w) {
  const C even = a + b.conj(), odd = (a - b.conj()).by_minus_i().turned(w);
  return {even + odd, (even - odd).conj()};
}
template <class C, class T>
Two<C> join_two(const C& a, const C& b, const T* w) {
  const T back[2] = {w[0], -w[1]};
  const C even = a + b.conj(), odd = (a - b.conj()).by_i().turned(back);
  return {even + odd, (even - odd).conj()};
}

template <class T, bool wide>
void split(int64_t h, const T* turns, T scale, T inner, const T* z, T* spectrum) {
  const auto* from = numbers<wide>(z);
  auto* to = numbers<wide>(spectrum);
  for (int64_t k = 0; 2 * k <= h; ++k) {
    const auto [low, high] = split_two(from[k], from[k == 0 ? 0 : h - k], turns + 2 * k);
    const T factor = T(0.5) * (k == 0 ? scale : scale * inner);
    to[k] = low * factor, to[h - k] = high * factor;
  }
}

template <class T, bool wide>
void join(int64_t h, const T* turns, T scale, T inner, const T* spectrum, T* z) {
  const auto* from = numbers<wide>(spectrum);
  auto* to = numbers<wide>(z);
  to[0] = join_two(from[0].real(), from[h].real(), turns).low * scale;
  for (int64_t k = 1; 2 * k <= h; ++k) {
    const auto [low, high] = join_two(from[k], from[h - k], turns + 2 * k);
    to[h - k] = low * (scale * inner), to[k] = high * (scale * inner);
  }
}

template <class T, bool wide>
void multiply(int64_t h, const T* turns, T scale, const T* s_, bool conjugate, T* z_) {
  auto* z = numbers<wide>(z_);
  const auto* s = numbers<wide>(s_);
  const auto factor = [&](int64_t k) { return conjugate ? s[k].conj() : s[k]; };
  {
    const auto [low, high] = split_two(z[0], z[0], turns);
    z[0] = join_two((low * factor(0)).real(), (high * factor(h)).real(), turns).low * (T(0.5) * scale);
  }
  for (int64_t k = 1; 2 * k <= h; ++k) {
    const auto [low, high] = split_two(z[k], z[h - k], turns + 2 * k);
    const auto [a, b] = join_two(low * factor(k), high * factor(h - k), turns + 2 * k);
    z[h - k] = a * (T(0.5) * scale), z[k] = b * (T(0.5) * scale);
  }
}

template <class T, bool wide>
void correlate(int64_t h, const T* turns, const T* x_, const T* g_, bool conjugate, T* sum_) {
  const auto *x = numbers<wide>(x_), *g = numbers<wide>(g_);
  auto* sum = numbers<wide>(sum_);
  const auto add = [&](Number<T, wide>& to, const Number<T, wide>& a, const Number<T, wide>& b) {
    to = to + (conjugate ? a * b.conj() : a.conj() * b) * T(0.25);
  };
  for (int64_t k = 0; 2 * k <= h; ++k) {
    const int64_t other = k == 0 ? 0 : h - k;
    const auto a = split_two(x[k], x[other], turns + 2 * k), b = split_two(g[k], g[other], turns + 2 * k);
    add(sum[k], a.low, b.low);
    if (h - k != k) add(sum[h - k], a.high, b.high);
  }
}

template <class T, bool wide>
void widen(int64_t n, const T* x, T* z) {
  using V = typename Number<T, wide>::V;
  const V* from = reinterpret_cast<const V*>(x);
  for (int64_t j = 0; j < n; ++j) numbers<wide>(z)[j] = {from[j], V{}};
}
template <class T, bool wide>
void narrow(int64_t n, const T* z, T* x) {
  auto* to = reinterpret_cast<typename Number<T, wide>::V*>(x);
  for (int64_t j = 0; j < n; ++j) to[j] = numbers<wide>(z)[j].re;
}
template <class T, bool wide>
void scale_half(int64_t n, T scale, T inner, T* spectrum) {
  auto* x = numbers<wide>(spectrum);
  for (int64_t k = 0; 2 * k <= n; ++k) x[k] = x[k] * (k == 0 || 2 * k == n ? scale : scale * inner);
}
template <class T, bool wide>
void mirror(int64_t n, T inner, const T* spectrum, T* z) {
  const auto* from = numbers<wide>(spectrum);
  auto* to = numbers<wide>(z);
  to[0] = from[0].real();
  for (int64_t k = 1; 2 * k < n; ++k) {
    to[n - k] = from[k] * inner;
    to[k] = to[n - k].conj();
  }
}

/// Where the e-th element of a row lies.
int64_t place(const FftRows& rows, int64_t e) { return rows.pairs ? e / 2 * rows.step + e % 2 : e * rows.step; }
/// The distance of all rows from one another; -1 where it varies.
int64_t distance(const FftRows& rows) {
  const int64_t d = rows.count > 1 ? rows.at[1] - rows.at[0] : 0;
  for (int64_t i = 2; i < rows.count; ++i)
    if (rows.at[i] - rows.at[i - 1] != d) return -1;
  return d;
}
bool dense(const FftRows& rows) { return rows.step == (rows.pairs ? 2 : 1); }

template <class T, bool wide>
void gather(const T* x, const FftRows& rows, int64_t elements, T* block) {
  constexpr int L = LanesOf<T, wide>::count;
  const int64_t apart = distance(rows);
  if (L == 1 && dense(rows)) {
    __builtin_memcpy(block, x + rows.at[0], uint64_t(elements) * sizeof(T));
    return;
  }
  if (rows.count < L) __builtin_memset(block, 0, uint64_t(elements) * L * sizeof(T));
  if (apart == 1 && rows.count == L) {
    for (int64_t e = 0; e < elements; ++e)
      __builtin_memcpy(block + e * L, x + rows.at[0] + place(rows, e), L * sizeof(T));
  } else if (apart > 1 && dense(rows)) {
    transpose(x + rows.at[0], rows.count, elements, apart, block, L);
  } else {
    for (int64_t i = 0; i < rows.count; ++i)
      for (int64_t e = 0; e < elements; ++e) block[e * L + i] = x[rows.at[i] + place(rows, e)];
  }
}
template <class T, bool wide>
void scatter(const T* block, int64_t elements, T* y, const FftRows& rows) {
  constexpr int L = LanesOf<T, wide>::count;
  const int64_t apart = distance(rows);
  if (apart == 1 && rows.count == L) {
    for (int64_t e = 0; e < elements; ++e)
      __builtin_memcpy(y + rows.at[0] + place(rows, e), block + e * L, L * sizeof(T));
  } else if (apart > 1 && dense(rows)) {
    transpose(block, elements, rows.count, L, y + rows.at[0], apart);
  } else {
    for (int64_t i = 0; i < rows.count; ++i)
      for (int64_t e = 0; e < elements; ++e) y[rows.at[i] + place(rows, e)] = block[e * L + i];
  }
}

template <class T, bool wide>
FftBlocks<T> blocks() {
  return {LanesOf<T, wide>::count, gather<T, wide>, scatter<T, wide>,  transform<T, wide>, reverse<T, wide>,
          split<T, wide>,          join<T, wide>,   multiply<T, wide>, correlate<T, wide>, scale_half<T, wide>,
          widen<T, wide>,          narrow<T, wide>, mirror<T, wide>};
}
template <class T>
FftLoops<T> loops() {
  return {blocks<T, true>(), blocks<T, false>()};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<FftLoops>& table) { table = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA

}  // namespace cotangent::kernels
