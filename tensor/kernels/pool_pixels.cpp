// Pooling where pixels are rows of channels: window by window, vectors of channels of its pixels.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/pool.hpp>
#include <cotangent/tensor/kernels/transpose.hpp>
#include <cotangent/tensor/kernels/vector.hpp>

namespace cotangent::kernels {
namespace {

template <class T>
constexpr int kLanes = kVectorBytes / int(sizeof(T));

/// Calls f<lanes, vectors>(channel) for all channels from c to before `end`, each once.
template <class T, int L = kLanes<T>, class F>
[[gnu::always_inline]] inline void for_channels(int64_t c, int64_t end, F f) {
  if constexpr (L == kLanes<T>)
    for (; c + 4 * L <= end; c += 4 * L) f.template operator()<L, 4>(c);
  for (; c + L <= end; c += L) f.template operator()<L, 1>(c);
  if constexpr (L > 1) for_channels<T, L / 2>(c, end, f);
}
/// Calls f(pixel) for the pixels of a window, row by row.
template <class F>
[[gnu::always_inline]] inline void for_pixels(const PoolSpan& rows, const PoolSpan& columns, int64_t width, F f) {
  for (int64_t i = rows.first; i < rows.last; i += rows.step)
    for (int64_t j = columns.first; j < columns.last; j += columns.step) f(i * width + j);
}
/// So many vectors that lie one after another.
template <int V, class Vec, class T>
[[gnu::always_inline]] inline void load(const T* from, Vec* to) {
  COTANGENT_UNROLL for (int v = 0; v < V; ++v)
      __builtin_memcpy(to + v, from + v * int(sizeof(Vec) / sizeof(T)), sizeof(Vec));
}
template <int V, class Vec, class T>
[[gnu::always_inline]] inline void store(const Vec* from, T* to) {
  COTANGENT_UNROLL for (int v = 0; v < V; ++v)
      __builtin_memcpy(to + v * int(sizeof(Vec) / sizeof(T)), from + v, sizeof(Vec));
}

template <class T>
void max_pool(const PoolPixels& p, const T* x, T* y, PoolIndex<T>* index, int64_t first, int64_t last) {
  using Index = PoolIndex<T>;
  for (int64_t o = first * p.out_width; o < last * p.out_width; ++o) {
    const PoolSpan &rows = p.rows[o / p.out_width], &columns = p.columns[o % p.out_width];
    for_channels<T>(0, p.channels, [&]<int L, int V>(int64_t c) {
      Row<T, L> best[V];
      Row<Index, L> at[V];
      const Index start = static_cast<Index>(rows.first * p.width + columns.first);
      for (int v = 0; v < V; ++v)
        best[v] = Row<T, L>{} - static_cast<T>(__builtin_inff()), at[v] = Row<Index, L>{} + start;
      for_pixels(rows, columns, p.width, [&](int64_t pixel) {
        const Row<Index, L> cell = Row<Index, L>{} + static_cast<Index>(pixel);
        COTANGENT_UNROLL for (int v = 0; v < V; ++v) {
          const auto value = load_row<Row<T, L>>(x + pixel * p.channels + c + v * L);
          const auto take = (value > best[v]) | (value != value);
          best[v] = take ? value : best[v];
          at[v] = take ? cell : at[v];
        }
      });
      store<V>(best, y + o * p.channels + c);
      store<V>(at, index + o * p.channels + c);
    });
  }
}

/// Each pixel's gradient is what f<L>(window, channel, pixel) gives for the windows that reach it.
template <class T, class F>
[[gnu::always_inline]] inline void spread(const PoolPixels& p, T* dx, int64_t first, int64_t last, F f) {
  if (!p.tiled)
    for (int64_t i = 0; i < p.pixels; ++i)
      __builtin_memset(dx + i * p.channels + first, 0, static_cast<uint64_t>(last - first) * sizeof(T));
  for (int64_t o = 0; o < p.out_height * p.out_width; ++o) {
    const PoolSpan &rows = p.rows[o / p.out_width], &columns = p.columns[o % p.out_width];
    for_channels<T>(first, last, [&]<int L, int V>(int64_t c) {
      const auto share = f.template operator()<L, V>(o, c);
      for_pixels(rows, columns, p.width, [&](int64_t pixel) {
        T* const to = dx + pixel * p.channels + c;
        COTANGENT_UNROLL for (int v = 0; v < V; ++v) {
          Row<T, L> sum = share(v, pixel);
          if (!p.tiled) sum += load_row<Row<T, L>>(to + v * L);
          __builtin_memcpy(to + v * L, &sum, sizeof sum);
        }
      });
    });
  }
}
template <class T>
void max_pool_backward(const PoolPixels& p, const T* g, const PoolIndex<T>* index, T* dx, int64_t first, int64_t last) {
  using Index = PoolIndex<T>;
  spread(p, dx, first, last, [&]<int L, int V>(int64_t o, int64_t c) {
    struct {
      Row<T, L> gradient[V];
      Row<Index, L> at[V];
      Row<T, L> operator()(int v, int64_t pixel) const {
        return at[v] == static_cast<Index>(pixel) ? gradient[v] : Row<T, L>{};
      }
    } share;
    load<V>(g + o * p.channels + c, share.gradient);
    load<V>(index + o * p.channels + c, share.at);
    return share;
  });
}

template <class T>
T cells(const PoolPixels& p, int64_t o) {
  return static_cast<T>(p.rows[o / p.out_width].cells * p.columns[o % p.out_width].cells);
}
template <class T>
void avg_pool(const PoolPixels& p, const T* x, T* y, int64_t first, int64_t last) {
  for (int64_t o = first * p.out_width; o < last * p.out_width; ++o) {
    const PoolSpan &rows = p.rows[o / p.out_width], &columns = p.columns[o % p.out_width];
    const T count = cells<T>(p, o);
    for_channels<T>(0, p.channels, [&]<int L, int V>(int64_t c) {
      Row<T, L> sum[V] = {};
      for_pixels(rows, columns, p.width, [&](int64_t pixel) {
        COTANGENT_UNROLL for (int v = 0; v < V; ++v) sum[v] += load_row<Row<T, L>>(x + pixel * p.channels + c + v * L);
      });
      for (int v = 0; v < V; ++v) sum[v] /= count;
      store<V>(sum, y + o * p.channels + c);
    });
  }
}
template <class T>
void avg_pool_backward(const PoolPixels& p, const T* g, T* dx, int64_t first, int64_t last) {
  spread(p, dx, first, last, [&]<int L, int V>(int64_t o, int64_t c) {
    struct {
      Row<T, L> gradient[V];
      Row<T, L> operator()(int v, int64_t) const { return gradient[v]; }
    } share;
    load<V>(g + o * p.channels + c, share.gradient);
    const T count = cells<T>(p, o);
    for (int v = 0; v < V; ++v) share.gradient[v] /= count;
    return share;
  });
}

template <class T>
PoolPixelsLoops<T> loops() {
  return {max_pool<T>, max_pool_backward<T>, avg_pool<T>, avg_pool_backward<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<PoolPixelsLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
