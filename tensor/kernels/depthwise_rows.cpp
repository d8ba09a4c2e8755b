// Convolution with one channel a group where the channels of a pixel lie side by side: every lane of a vector is a
// channel, and nothing is shuffled. Taps that fall outside the image are left out by the caller.
#include <cotangent/tensor/kernels/lanes.hpp>
#include <cotangent/tensor/kernels/transpose.hpp>

namespace cotangent::kernels {
namespace {

/// Calls f(lanes, first channel) for vectors that cover the channels: whole ones, then of 16 bytes, then single ones.
template <class T, int L = kLanes<T>, class F>
void for_channels(int64_t first, int64_t n, F f) {
  for (; first + L <= n; first += L) f(std::integral_constant<int, L>(), first);
  if constexpr (L > 1) for_channels<T, (L * int(sizeof(T)) > 16 ? 16 / int(sizeof(T)) : 1)>(first, n, f);
}

/// Asks for the memory that will be needed soon, a little with each of so many steps. A vector of channels of many
/// pixels skips too much for the processor to guess what comes next.
class Ahead {
 public:
  Ahead(const DepthwiseRows& t, int64_t steps) {
    for (int i = 0; i < 2; ++i) {
      at_[i] = static_cast<const char*>(t.next[i].at);
      const int64_t bytes = t.next[i].bytes / steps;
      apart_[i] = bytes < 64 ? bytes : 64, each_[i] = bytes < 64 ? bytes : (bytes + 63) / 64 * 64;
    }
  }
  void step() {
    for (int i = 0; i < 2; ++i)
      for (const char* stop = at_[i] + each_[i]; at_[i] < stop; at_[i] += apart_[i]) __builtin_prefetch(at_[i]);
  }

 private:
  const char* at_[2];
  int64_t each_[2], apart_[2];
};
template <class T>
int64_t vectors(const DepthwiseRows& t) {
  return (t.channels + kLanes<T> - 1) / kLanes<T>;
}

// Neighbouring pixels, so that a vector of weights is read once for all of them.
template <class T, int L, int P>
void filter_block(const DepthwiseRows& t, Ahead& ahead, const T* x, const T* w, const T* start, T* y) {
  using V = Row<T, L>;
  V sum[P];
  COTANGENT_UNROLL for (int p = 0; p < P; ++p) sum[p] = start ? load_row<V>(start) : V{};
  for (int64_t k = 0; k < t.depth; ++k) {
    ahead.step();
    const V weight = load_row<V>(w + t.taps[k]);
    const T* from = x + t.offsets[k];
    COTANGENT_UNROLL for (int p = 0; p < P; ++p) sum[p] += weight * load_row<V>(from + p * t.x_pixel);
  }
  COTANGENT_UNROLL for (int p = 0; p < P; ++p) __builtin_memcpy(y + p * t.y_pixel, &sum[p], sizeof sum[p]);
}

template <class T>
void filter(const DepthwiseRows& t) {
  Ahead ahead(t, t.blocks * t.rows * ((t.pixels + 5) / 6) * vectors<T>(t) * (t.depth + (t.depth == 0)));
  for (int64_t b = 0; b < t.blocks; ++b)
    for (int64_t r = 0; r < t.rows; ++r) {
      const T *x = static_cast<const T*>(t.x) + b * t.x_block + r * t.x_row, *w = static_cast<const T*>(t.w),
              *start = static_cast<const T*>(t.start);
      T* y = static_cast<T*>(t.y) + b * t.y_block + r * t.y_row;
      int64_t left = t.pixels;
      const auto take = [&](auto pixels) {
        constexpr int P = pixels;
        for (; left >= P; left -= P, x += P * t.x_pixel, y += P * t.y_pixel)
          for_channels<T>(0, t.channels, [&](auto lanes, int64_t c) {
            filter_block<T, lanes, P>(t, ahead, x + c, w + c, start ? start + c : nullptr, y + c);
          });
      };
      take(std::integral_constant<int, 6>());
      take(std::integral_constant<int, 3>());
      take(std::integral_constant<int, 2>());
      take(std::integral_constant<int, 1>());
    }
}

// K of the taps: their sums stay in registers.
template <class T, int L, int K>
void correlate_block(const DepthwiseRows& t, Ahead& ahead, int64_t k0, int64_t c) {
  using V = Row<T, L>;
  T* sums = static_cast<T*>(t.w) + c;
  int64_t offsets[K];
  V sum[K];
  COTANGENT_UNROLL for (int k = 0; k < K; ++k) {
    offsets[k] = t.offsets[k0 + k];
    sum[k] = load_row<V>(sums + t.taps[k0 + k]);
  }
  for (int64_t b = 0; b < t.blocks; ++b)
    for (int64_t r = 0; r < t.rows; ++r) {
      ahead.step();
      const T* x = static_cast<const T*>(t.x) + b * t.x_block + r * t.x_row + c;
      const T* g = static_cast<const T*>(t.y) + b * t.y_block + r * t.y_row + c;
      for (int64_t p = 0; p < t.pixels; ++p, x += t.x_pixel, g += t.y_pixel) {
        const V gradient = load_row<V>(g);
        COTANGENT_UNROLL for (int k = 0; k < K; ++k) sum[k] += gradient * load_row<V>(x + offsets[k]);
      }
    }
  COTANGENT_UNROLL for (int k = 0; k < K; ++k) __builtin_memcpy(sums + t.taps[k0 + k], &sum[k], sizeof sum[k]);
}

template <class T>
void correlate(const DepthwiseRows& t) {
  Ahead ahead(t, t.blocks * t.rows * vectors<T>(t));
  for_channels<T>(0, t.channels, [&](auto lanes, int64_t c) {
    constexpr int L = lanes;
    int64_t k = 0;
    for (; k + 9 <= t.depth; k += 9) correlate_block<T, L, 9>(t, ahead, k, c);
    for (; k + 3 <= t.depth; k += 3) correlate_block<T, L, 3>(t, ahead, k, c);
    for (; k < t.depth; ++k) correlate_block<T, L, 1>(t, ahead, k, c);
  });
}

/// The three rows of pixels that a row of results reads.
template <class T>
struct ThreeRows {
  ThreeRows(const DepthwiseRows& t, int64_t block, int64_t row, int64_t c) {
    COTANGENT_UNROLL for (int j = 0; j < 3; ++j) {
      const int64_t at = row + j - 1;
      const bool inside = 0 <= t.first_row + at && t.first_row + at < t.height;
      x[j] =
          inside ? static_cast<const T*>(t.x) + block * t.x_block + at * t.x_row + c : static_cast<const T*>(t.zeros);
    }
  }
  const T* x[3];
};

// Walks along a row: a column of three pixels takes part in three results, and is read once.
template <class T>
void filter_3x3(const DepthwiseRows& t) {
  Ahead ahead(t, t.blocks * t.rows * t.pixels * vectors<T>(t));
  for (int64_t b = 0; b < t.blocks; ++b)
    for (int64_t r = 0; r < t.rows; ++r)
      for_channels<T>(0, t.channels, [&](auto lanes, int64_t c) {
        using V = Row<T, lanes>;
        V w[9];
        COTANGENT_UNROLL for (int k = 0; k < 9; ++k) w[k] = load_row<V>(static_cast<const T*>(t.w) + t.taps[k] + c);
        const V first = t.start ? load_row<V>(static_cast<const T*>(t.start) + c) : V{};
        const ThreeRows<T> rows(t, b, r, c);
        const T *above = rows.x[0], *here = rows.x[1], *below = rows.x[2];
        T* y = static_cast<T*>(t.y) + b * t.y_block + r * t.y_row + c;
        V before{}, now = first;  // the sums of the pixels p - 1 and p
        for (int64_t p = 0; p < t.pixels; ++p) {
          const V u = load_row<V>(above), v = load_row<V>(here), z = load_row<V>(below);
          ahead.step();
          above += t.x_pixel, here += t.x_pixel, below += t.x_pixel;
          if (p > 0) {
            before += w[2] * u, before += w[5] * v, before += w[8] * z;
            __builtin_memcpy(y, &before, sizeof before);
            y += t.y_pixel;
          }
          before = now, before += w[1] * u, before += w[4] * v, before += w[7] * z;
          now = first, now += w[0] * u, now += w[3] * v, now += w[6] * z;
        }
        __builtin_memcpy(y, &before, sizeof before);
      });
}

template <class T>
void correlate_3x3(const DepthwiseRows& t) {
  Ahead ahead(t, t.blocks * t.rows * vectors<T>(t));
  for (int64_t b = 0; b < t.blocks; ++b)
    for (int64_t r = 0; r < t.rows; ++r)
      for_channels<T>(0, t.channels, [&](auto lanes, int64_t c) {
        ahead.step();
        using V = Row<T, lanes>;
        T* sums = static_cast<T*>(t.w) + c;
        V sum[9];
        COTANGENT_UNROLL for (int k = 0; k < 9; ++k) sum[k] = load_row<V>(sums + t.taps[k]);
        const ThreeRows<T> rows(t, b, r, c);
        const T *above = rows.x[0], *here = rows.x[1], *below = rows.x[2];
        const T* g = static_cast<const T*>(t.y) + b * t.y_block + r * t.y_row + c;
        V before{}, now = load_row<V>(g);  // the gradients of the pixels p - 1 and p
        for (int64_t p = 0; p < t.pixels; ++p) {
          g += t.y_pixel;
          const V next = p + 1 < t.pixels ? load_row<V>(g) : V{};
          const V u = load_row<V>(above), v = load_row<V>(here), z = load_row<V>(below);
          above += t.x_pixel, here += t.x_pixel, below += t.x_pixel;
          sum[0] += next * u, sum[1] += now * u, sum[2] += before * u;
          sum[3] += next * v, sum[4] += now * v, sum[5] += before * v;
          sum[6] += next * z, sum[7] += now * z, sum[8] += before * z;
          before = now, now = next;
        }
        COTANGENT_UNROLL for (int k = 0; k < 9; ++k) __builtin_memcpy(sums + t.taps[k], &sum[k], sizeof sum[k]);
      });
}

template <class T>
DepthwiseRowsLoops loops() {
  return {
      .filter = filter<T>, .correlate = correlate<T>, .filter_3x3 = filter_3x3<T>, .correlate_3x3 = correlate_3x3<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill_depthwise_rows(Table& t) {
  t.depthwise_rows[0] = loops<float>();
  t.depthwise_rows[1] = loops<double>();
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
