// Convolution with one channel a group (depthwise), and others of few channels: nothing is shared between channels, so
// rows are read where they lie. Loops over vectors: as long as a row fills, and the last one overlaps the one before
// it.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/depthwise.hpp>
#include <cotangent/tensor/kernels/lanes.hpp>
#include <cotangent/tensor/kernels/transpose.hpp>

namespace cotangent::kernels {
namespace {

template <class T>
void spread(const T* x, int64_t x_stride, T* y, int64_t y_stride, int64_t rows, int64_t n) {
  with_lanes<T>(n, [&](auto count) {
    constexpr int L = count;
    constexpr std::make_integer_sequence<int, L> lanes;
    for (int64_t r = 0; r < rows; ++r, x += x_stride, y += y_stride) {
      if (n < L) {
        for (int64_t i = 0; i < n; ++i) y[2 * i] = x[i], y[2 * i + 1] = 0;
        continue;
      }
      for (int64_t i = 0; i < n; i += L) {
        const int64_t at = i + L <= n ? i : n - L;
        const auto v = load_row<Row<T, L>>(x + at);
        const auto low = interleave<T, L, L, false>(v, Row<T, L>{}, lanes),
                   high = interleave<T, L, L, true>(v, Row<T, L>{}, lanes);
        __builtin_memcpy(y + 2 * at, &low, sizeof low);
        __builtin_memcpy(y + 2 * at + L, &high, sizeof high);
      }
    }
  });
}

// The first n < L lanes.
template <class T, int L>
void store_few(T* y, Row<T, L> v, int64_t n) {
  T few[L];
  __builtin_memcpy(few, &v, sizeof v);
  copy_few<T, L>(few, y, n);
}

template <class T, int L, int V>
void filter_block(int64_t depth, const T* weights, const T* x, const int64_t* offsets, T start, T* y, int64_t n) {
  // the last vector ends with the row, and so overlaps the one before it
  int64_t at[V];
  COTANGENT_UNROLL for (int v = 0; v < V; ++v) at[v] = v * L + L <= n || n < L ? v * L : n - L;
  Row<T, L> sum[V];
  COTANGENT_UNROLL for (int v = 0; v < V; ++v) sum[v] = Row<T, L>{} + start;
  for (int64_t k = 0; k < depth; ++k) {
    const T* from = x + offsets[k];
    COTANGENT_UNROLL for (int v = 0; v < V; ++v) sum[v] += weights[k] * load_row<Row<T, L>>(from + at[v]);
  }
  if (n < L)
    store_few<T, L>(y, sum[0], n);
  else
    COTANGENT_UNROLL for (int v = 0; v < V; ++v) __builtin_memcpy(y + at[v], &sum[v], sizeof sum[v]);
}

template <class T>
void filter(int64_t depth, const T* w, const T* x, const int64_t* offsets, const T* start, T* y, int64_t n) {
  const T s = *start;
  with_lanes<T>(n, [&](auto lanes) {
    constexpr int L = lanes;
    for (; n > 6 * L; n -= 4 * L, x += 4 * L, y += 4 * L) filter_block<T, L, 4>(depth, w, x, offsets, s, y, 4 * L);
    if (n > 4 * L)
      filter_block<T, L, 6>(depth, w, x, offsets, s, y, n);
    else if (n > 2 * L)
      filter_block<T, L, 4>(depth, w, x, offsets, s, y, n);
    else if (n > L)
      filter_block<T, L, 2>(depth, w, x, offsets, s, y, n);
    else
      filter_block<T, L, 1>(depth, w, x, offsets, s, y, n);
  });
}

/// Calls f(at, keep, load) for vectors that together cover a row of n elements: the one at `at`, of which keep(v)
/// leaves what no vector before it covers, and load(p) reads that without reading beyond the row.
template <class T, int L, class F>
void for_vectors(int64_t n, F f) {
  using V = Row<T, L>;
  const auto all = [](V v) { return v; };
  int64_t at = 0;
  for (; at + L <= n; at += L) f(at, all, load_row<V>);
  if (at == n) return;
  Row<typename Simd<T>::Lane, L> inside{};
  for (int i = 0; i < L; ++i) inside[i] = n < L ? -(i < n) : -(i >= L - n % L);
  const auto keep = [&](V v) { return inside ? v : V{}; };
  if (n >= L)
    f(n - L, keep, [&](const T* p) { return keep(load_row<V>(p)); });
  else
    f(0, keep, [&](const T* p) {
      T few[L] = {};
      copy_few<T, L>(p, few, n);
      return load_row<V>(few);
    });
}
template <class T, int L, int K>
void add_totals(const Row<T, L> (&sum)[K], T* sums) {
  COTANGENT_UNROLL for (int k = 0; k < K; ++k) {
    T total = 0;
    for (int i = 0; i < L; ++i) total += sum[k][i];
    sums[k] += total;
  }
}
/// The same, compiled once for loops of many kinds.
template <class T, int L, int K>
[[gnu::noinline]] void add_stored_totals(const Row<T, L> (&sum)[K], T* sums) {
  for (int k = 0; k < K; ++k) {
    T total = 0;
    for (int i = 0; i < L; ++i) total += sum[k][i];
    sums[k] += total;
  }
}

// K products of g with the source at K offsets, each summed over rows of n pixels.
template <class T, int K>
void correlate_block(const T* px, int64_t x_stride, const int64_t* offsets, const T* pg, int64_t g_stride, int64_t rows,
                     int64_t n, T* sums) {
  with_lanes<T>(n, [&](auto lanes) {
    constexpr int L = lanes;
    Row<T, L> sum[K] = {};
    for_vectors<T, L>(n, [&](int64_t at, auto keep, auto load) {
      const T *x = px + at, *g = pg + at;
      for (int64_t r = 0; r < rows; ++r, x += x_stride, g += g_stride) {
        const Row<T, L> gradient = load(g);
        COTANGENT_UNROLL for (int k = 0; k < K; ++k) sum[k] += gradient * keep(load_row<Row<T, L>>(x + offsets[k]));
      }
    });
    add_totals<T, L>(sum, sums);
  });
}

template <class T>
void correlate(int64_t depth, const T* x, int64_t x_stride, const int64_t* offsets, const T* g, int64_t g_stride,
               int64_t rows, int64_t n, T* sums) {
  int64_t k = 0;
  for (; k + 9 <= depth; k += 9) correlate_block<T, 9>(x, x_stride, offsets + k, g, g_stride, rows, n, sums + k);
  for (; k + 3 <= depth; k += 3) correlate_block<T, 3>(x, x_stride, offsets + k, g, g_stride, rows, n, sums + k);
  for (; k < depth; ++k) correlate_block<T, 1>(x, x_stride, offsets + k, g, g_stride, rows, n, sums + k);
}

// Walks down columns of vectors: a row of the source takes part in three rows of the result, and is read once.
template <class T>
void filter_3x3(const T* weights, const T* px, int64_t x_stride, const T* start, T* py, int64_t y_stride, int64_t rows,
                int64_t n) {
  with_lanes<T>(n, [&](auto lanes) {
    constexpr int L = lanes;
    using V = Row<T, L>;
    V w[9];
    COTANGENT_UNROLL for (int k = 0; k < 9; ++k) w[k] = V{} + weights[k];
    const V first = V{} + *start;
    for (int64_t block = 0; block < n; block += L) {
      const int64_t at = block + L <= n || n < L ? block : n - L;  // the last vector overlaps the one before it
      const T* x = px + at;
      T* y = py + at;
      V now{}, next{};  // the sums of the rows r - 2 and r - 1
      for (int64_t r = 0; r < rows + 2; ++r, x += x_stride) {
        const V a = load_row<V>(x), b = load_row<V>(x + 1), c = load_row<V>(x + 2);
        now += w[6] * a, now += w[7] * b, now += w[8] * c;
        if (r >= 2) {
          if (n < L)
            store_few<T, L>(y, now, n);
          else
            __builtin_memcpy(y, &now, sizeof now);
          y += y_stride;
        }
        now = next, now += w[3] * a, now += w[4] * b, now += w[5] * c;
        next = first, next += w[0] * a, next += w[1] * b, next += w[2] * c;
      }
    }
  });
}

template <class T>
void correlate_3x3(const T* px, int64_t x_stride, const T* pg, int64_t g_stride, int64_t rows, int64_t n, T* sums) {
  with_lanes<T>(n, [&](auto lanes) {
    constexpr int L = lanes;
    using V = Row<T, L>;
    V sum[9] = {};
    for_vectors<T, L>(n, [&](int64_t at, auto keep, auto load) {
      const T *x = px + at, *g = pg + at;
      V before{}, last{};  // rows r - 2 and r - 1 of the gradient
      for (int64_t r = 0; r < rows + 2; ++r, x += x_stride, g += g_stride) {
        const V a = keep(load_row<V>(x)), b = keep(load_row<V>(x + 1)), c = keep(load_row<V>(x + 2));
        const V now = r < rows ? load(g) : V{};
        sum[0] += now * a, sum[1] += now * b, sum[2] += now * c;
        sum[3] += last * a, sum[4] += last * b, sum[5] += last * c;
        sum[6] += before * a, sum[7] += before * b, sum[8] += before * c;
        before = last, last = now;
      }
    });
    add_totals<T, L>(sum, sums);
  });
}

template <int by, class T, int L, int... I>
Row<T, L> moved(Row<T, L> v, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(v, Row<T, L>{}, (I + by < 0 ? L : I + by)...);
}
/// The lanes of v one place up or down, with a zero in the one that gets free.
template <int by, class T, int L>
Row<T, L> moved(Row<T, L> v) {
  return moved<by, T, L>(v, std::make_integer_sequence<int, L>{});
}

/// A vector of a row of pixels (b) and those one to the left and to the right of it, where zeros lie beyond the row's
/// ends. Of a row of zeros, without x.
template <class T, int L, bool starts, bool ends>
struct Neighbours {
  using V = Row<T, L>;
  Neighbours() = default;
  explicit Neighbours(const T* x) : b(load_row<V>(x)) {
    if constexpr (starts)
      a = moved<-1, T, L>(b);
    else
      a = load_row<V>(x - 1);
    if constexpr (ends)
      c = moved<1, T, L>(b);
    else
      c = load_row<V>(x + 1);
  }
  V a{}, b{}, c{};
};

/// The same for every second pixel. A row of an odd number `ends` with the last of them.
template <class T, int L, bool starts, bool ends>
struct EverySecond {
  using V = Row<T, L>;
  EverySecond() = default;
  explicit EverySecond(const T* x) {
    constexpr std::make_integer_sequence<int, L> lanes;
    const V low = load_row<V>(x), high = load_row<V>(x + L - ends);
    b = picked<0>(low, high, lanes), c = picked<1>(low, high, lanes);
    if constexpr (starts)
      a = moved<-1, T, L>(c);
    else
      a = every_second<T, L, 0>(load_row<V>(x - 1), load_row<V>(x - 1 + L), lanes);
    if constexpr (ends) c = moved<1, T, L>(moved<-1, T, L>(c));
  }
  template <int first, int... I>
  static V picked(V low, V high, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(low, high, lane(2 * I + first)...);
  }
  static constexpr int lane(int i) { return i < L ? i : i + ends < 2 * L ? i + ends : 2 * L - 1; }
  V a{}, b{}, c{};
};
template <class T, int L, bool ends, int... I>
void store_pairs(T* y, Row<T, L> even, Row<T, L> odd, std::integer_sequence<int, I...> lanes) {
  const Row<T, L> low = interleave<T, L, L, false>(even, odd, lanes),
                  high = interleave<T, L, L, true>(even, odd, lanes),
                  last = ends ? __builtin_shufflevector(low, high, (I + L - 1)...) : high;
  __builtin_memcpy(y, &low, sizeof low);
  __builtin_memcpy(y + L - ends, &last, sizeof last);
}

/// Calls f<starts, ends>(at) for vectors that cover a row of n >= L pixels, of which the last one ends with the row.
template <int L, class F>
void for_columns(int64_t n, F f) {
  using std::bool_constant;
  if (n == L) return f(int64_t{0}, bool_constant<true>(), bool_constant<true>());
  f(int64_t{0}, bool_constant<true>(), bool_constant<false>());
  int64_t at = L;
  for (; at + L < n; at += L) f(at, bool_constant<false>(), bool_constant<false>());
  f(n - L, bool_constant<false>(), bool_constant<true>());
}

template <class T>
void filter_plane(const T* weights, const T* px, const T* start, T* py, int64_t rows, int64_t n) {
  with_lanes<T>(n, [&](auto lanes) {
    constexpr int L = lanes;
    using V = Row<T, L>;
    V w[9];
    COTANGENT_UNROLL for (int k = 0; k < 9; ++k) w[k] = V{} + weights[k];
    const V first = V{} + *start;
    for_columns<L>(n, [&](int64_t at, auto starts, auto ends) {
      const T* x = px + at;
      T* y = py + at;
      V now{}, next = first;  // the sums of the rows r - 1 and r
      for (int64_t r = 0; r < rows; ++r, x += n) {
        const Neighbours<T, L, starts, ends> v(x);
        now += w[6] * v.a, now += w[7] * v.b, now += w[8] * v.c;
        if (r > 0) __builtin_memcpy(y + (r - 1) * n, &now, sizeof now);
        now = next, now += w[3] * v.a, now += w[4] * v.b, now += w[5] * v.c;
        next = first, next += w[0] * v.a, next += w[1] * v.b, next += w[2] * v.c;
      }
      __builtin_memcpy(y + (rows - 1) * n, &now, sizeof now);
    });
  });
}

template <class T>
void correlate_planes(const T* px, int64_t x_stride, const T* pg, int64_t g_stride, int64_t planes, int64_t rows,
                      int64_t n, T* sums) {
  with_lanes<T>(n, [&](auto lanes) {
    constexpr int L = lanes;
    using V = Row<T, L>;
    V sum[9] = {};
    Row<typename Simd<T>::Lane, L> fresh;  // lanes of a last vector that the one before it does not cover
    for (int i = 0; i < L; ++i) fresh[i] = -(n % L == 0 || i >= L - n % L);
    for (int64_t p = 0; p < planes; ++p)
      for_columns<L>(n, [&](int64_t at, auto starts, auto ends) {
        const T *x = px + p * x_stride + at, *g = pg + p * g_stride + at;
        const auto keep = [&](V v) { return ends ? (fresh ? v : V{}) : v; };
        V before{}, now = keep(load_row<V>(g));  // the rows r - 1 and r of the gradient
        for (int64_t r = 0; r < rows; ++r, x += n) {
          const Neighbours<T, L, starts, ends> v(x);
          const V a = keep(v.a), b = keep(v.b), c = keep(v.c);
          g += n;
          const V next = r + 1 < rows ? keep(load_row<V>(g)) : V{};
          sum[0] += next * a, sum[1] += next * b, sum[2] += next * c;
          sum[3] += now * a, sum[4] += now * b, sum[5] += now * c;
          sum[6] += before * a, sum[7] += before * b, sum[8] += before * c;
          before = now, now = next;
        }
      });
    add_totals<T, L>(sum, sums);
  });
}

// ---- planes with a stride of two ----

/// Calls f(lanes, at, starts, ends, ends and n is odd) for vectors that cover the (n + 1) / 2 results of a row.
template <class T, class F>
void for_halves(int64_t n, F f) {
  with_lanes<T>((n + 1) / 2, [&](auto lanes) {
    for_columns<lanes>((n + 1) / 2, [&](int64_t at, auto starts, auto ends) {
      if (n % 2 == 1)
        f(lanes, at, starts, ends, ends);
      else
        f(lanes, at, starts, ends, std::bool_constant<false>());
    });
  });
}

template <class T, int L, bool starts, bool odd_end>
void filter_halved_columns(const T* w, const T* x, T first, T* y, int64_t rows, int64_t n) {
  using V = Row<T, L>;
  using Pixels = EverySecond<T, L, starts, odd_end>;
  Pixels above;
  for (int64_t r = 0; r < rows; r += 2, x += 2 * n, y += (n + 1) / 2) {
    const Pixels here(x), below = r + 1 < rows ? Pixels(x + n) : Pixels();
    V sum = V{} + first;
    sum += w[0] * above.a, sum += w[1] * above.b, sum += w[2] * above.c;
    sum += w[3] * here.a, sum += w[4] * here.b, sum += w[5] * here.c;
    sum += w[6] * below.a, sum += w[7] * below.b, sum += w[8] * below.c;
    __builtin_memcpy(y, &sum, sizeof sum);
    above = below;
  }
}
template <class T>
void filter_halved(const T* w, const T* x, const T* start, T* y, int64_t rows, int64_t n) {
  for_halves<T>(n, [&](auto lanes, int64_t at, auto starts, auto, auto odd_end) {
    filter_halved_columns<T, lanes, starts, odd_end>(w, x + 2 * at, *start, y + at, rows, n);
  });
}

template <class T, int L, bool ends, bool odd_end>
void filter_doubled_columns(const T* w, const T* g, T first, T* x, int64_t rows, int64_t n) {
  using V = Row<T, L>;
  using Pixels = Neighbours<T, L, true, ends>;  // whose left ones are not used
  Pixels here(g);
  for (int64_t r = 0; r < rows; r += 2, x += 2 * n) {
    g += (n + 1) / 2;
    const Pixels below = r + 2 < rows ? Pixels(g) : Pixels();
    const auto store = [&](T* to, V even, V odd) {
      store_pairs<T, L, odd_end>(to, even + first, odd + first, std::make_integer_sequence<int, L>{});
    };
    store(x, w[4] * here.b, w[5] * here.b + w[3] * here.c);
    if (r + 1 < rows)
      store(x + n, w[7] * here.b + w[1] * below.b, w[8] * here.b + w[6] * here.c + w[2] * below.b + w[0] * below.c);
    here = below;
  }
}
template <class T>
void filter_doubled(const T* w, const T* g, const T* start, T* x, int64_t rows, int64_t n) {
  for_halves<T>(n, [&](auto lanes, int64_t at, auto, auto ends, auto odd_end) {
    filter_doubled_columns<T, lanes, ends, odd_end>(w, g + at, *start, x + 2 * at, rows, n);
  });
}

template <class T>
void correlate_halved(const T* px, int64_t x_stride, const T* pg, int64_t g_stride, int64_t planes, int64_t rows,
                      int64_t n, T* sums) {
  for_halves<T>(n, [&](auto lanes, int64_t at, auto starts, auto ends, auto odd_end) {
    constexpr int L = lanes;
    using V = Row<T, L>;
    using Pixels = EverySecond<T, L, starts, odd_end>;
    const int64_t width = (n + 1) / 2;
    Row<typename Simd<T>::Lane, L> fresh;
    for (int i = 0; i < L; ++i) fresh[i] = -(width % L == 0 || i >= L - width % L);
    const auto keep = [&](V v) { return ends ? (fresh ? v : V{}) : v; };
    V sum[9] = {};
    for (int64_t p = 0; p < planes; ++p) {
      const T *x = px + p * x_stride + 2 * at, *g = pg + p * g_stride + at;
      Pixels above;
      for (int64_t r = 0; r < rows; r += 2, x += 2 * n, g += width) {
        const Pixels here(x), below = r + 1 < rows ? Pixels(x + n) : Pixels();
        const V gradient = keep(load_row<V>(g));
        sum[0] += gradient * keep(above.a), sum[1] += gradient * keep(above.b), sum[2] += gradient * keep(above.c);
        sum[3] += gradient * keep(here.a), sum[4] += gradient * keep(here.b), sum[5] += gradient * keep(here.c);
        sum[6] += gradient * keep(below.a), sum[7] += gradient * keep(below.b), sum[8] += gradient * keep(below.c);
        above = below;
      }
    }
    V stored[9];  // a copy, so that the loop keeps its own in registers
    COTANGENT_UNROLL for (int k = 0; k < 9; ++k) stored[k] = sum[k];
    add_stored_totals<T, L>(stored, sums);
  });
}

template <class T>
DepthwiseLoops<T> loops() {
  return {.spread = spread<T>,
          .filter = filter<T>,
          .correlate = correlate<T>,
          .filter_3x3 = filter_3x3<T>,
          .correlate_3x3 = correlate_3x3<T>,
          .filter_plane = filter_plane<T>,
          .correlate_planes = correlate_planes<T>,
          .filter_halved = filter_halved<T>,
          .filter_doubled = filter_doubled<T>,
          .correlate_halved = correlate_halved<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<DepthwiseLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
