// Convolution with one channel a group where the channels of a pixel lie side by side: every lane of a vector is a
// channel, and nothing is shuffled. Taps that fall outside the image are left out by the caller.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/depthwise.hpp>
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
  template <class T>
  Ahead(const DepthwiseRows<T>& t, int64_t steps) {
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
int64_t vectors(const DepthwiseRows<T>& t) {
  return (t.channels + kLanes<T> - 1) / kLanes<T>;
}

// Neighbouring pixels, so that a vector of weights is read once for all of them.
template <class T, int L, int P>
void filter_block(const DepthwiseRows<T>& t, Ahead& ahead, const T* x, const T* w, const T* start, T* y) {
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
void filter(const DepthwiseRows<T>& t) {
  Ahead ahead(t, t.blocks * t.rows * ((t.pixels + 5) / 6) * vectors<T>(t) * (t.depth + (t.depth == 0)));
  for (int64_t b = 0; b < t.blocks; ++b)
    for (int64_t r = 0; r < t.rows; ++r) {
      const T *x = t.x + b * t.x_block + r * t.x_row, *w = t.w, *start = t.start;
      T* y = t.y + b * t.y_block + r * t.y_row;
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
void correlate_block(const DepthwiseRows<T>& t, Ahead& ahead, int64_t k0, int64_t c) {
  using V = Row<T, L>;
  T* sums = t.dw + c;
  int64_t offsets[K];
  V sum[K];
  COTANGENT_UNROLL for (int k = 0; k < K; ++k) {
    offsets[k] = t.offsets[k0 + k];
    sum[k] = load_row<V>(sums + t.taps[k0 + k]);
  }
  for (int64_t b = 0; b < t.blocks; ++b)
    for (int64_t r = 0; r < t.rows; ++r) {
      ahead.step();
      const T* x = t.x + b * t.x_block + r * t.x_row + c;
      const T* g = t.y + b * t.y_block + r * t.y_row + c;
      for (int64_t p = 0; p < t.pixels; ++p, x += t.x_pixel, g += t.y_pixel) {
        const V gradient = load_row<V>(g);
        COTANGENT_UNROLL for (int k = 0; k < K; ++k) sum[k] += gradient * load_row<V>(x + offsets[k]);
      }
    }
  COTANGENT_UNROLL for (int k = 0; k < K; ++k) __builtin_memcpy(sums + t.taps[k0 + k], &sum[k], sizeof sum[k]);
}

template <class T>
void correlate(const DepthwiseRows<T>& t) {
  Ahead ahead(t, t.blocks * t.rows * vectors<T>(t));
  for_channels<T>(0, t.channels, [&](auto lanes, int64_t c) {
    constexpr int L = lanes;
    int64_t k = 0;
    for (; k + 9 <= t.depth; k += 9) correlate_block<T, L, 9>(t, ahead, k, c);
    for (; k + 3 <= t.depth; k += 3) correlate_block<T, L, 3>(t, ahead, k, c);
    for (; k < t.depth; ++k) correlate_block<T, L, 1>(t, ahead, k, c);
  });
}

/// The rows from the one before `row` to the one after it, of `height` rows that lie `step` apart; zeros outside.
template <class T>
struct ThreeRows {
  ThreeRows(const DepthwiseRows<T>& t, const T* first, int64_t row, int64_t height, int64_t step) {
    COTANGENT_UNROLL for (int j = 0; j < 3; ++j) {
      const int64_t at = row + j - 1;
      rows[j] = 0 <= at && at < height ? first + at * step : t.zeros;
    }
  }
  const T* rows[3];
};

template <class V, class T>
void load_column(const ThreeRows<T>& of, int64_t at, V (&column)[3]) {
  COTANGENT_UNROLL for (int j = 0; j < 3; ++j) column[j] = load_row<V>(of.rows[j] + at);
}
/// The taps of column j times a column of three pixels.
template <class V>
void add_column(V& sum, const V (&w)[9], int j, const V (&column)[3]) {
  COTANGENT_UNROLL for (int i = 0; i < 3; ++i) sum += w[3 * i + j] * column[i];
}

// Walks along a row: a column of three pixels takes part in three results (or one or two with a stride of two), and is
// read once.
template <class T, int kStride>
void filter_3x3(const DepthwiseRows<T>& t) {
  Ahead ahead(t, t.blocks * t.rows * t.pixels * vectors<T>(t));
  for (int64_t b = 0; b < t.blocks; ++b)
    for (int64_t r = 0; r < t.rows; ++r)
      for_channels<T>(0, t.channels, [&](auto lanes, int64_t c) {
        using V = Row<T, lanes>;
        V w[9], column[3];
        COTANGENT_UNROLL for (int k = 0; k < 9; ++k) w[k] = load_row<V>(t.w + t.taps[k] + c);
        const V start = t.start ? load_row<V>(t.start + c) : V{};
        const int64_t row = t.first_row + r;
        const ThreeRows<T> x(t, t.x + b * t.x_block + c, row * kStride, t.height, t.x_row);
        T* y = t.y + b * t.y_block + row * t.y_row + c;
        V sum = start;
        if constexpr (kStride == 1) {
          V next{};  // the sum of the pixel after that of `sum`
          for (int64_t p = 0, at = 0; p < t.pixels; ++p, at += t.x_pixel) {
            ahead.step();
            load_column(x, at, column);
            if (p > 0) {
              add_column(sum, w, 2, column);
              __builtin_memcpy(y, &sum, sizeof sum);
              y += t.y_pixel, sum = next;
            }
            add_column(sum, w, 1, column);
            next = start, add_column(next, w, 0, column);
          }
          __builtin_memcpy(y, &sum, sizeof sum);
        } else {
          for (int64_t p = 0, at = 0; p < t.pixels; ++p, at += 2 * t.x_pixel, y += t.y_pixel) {
            ahead.step();
            load_column(x, at, column);
            V now = sum;
            add_column(now, w, 1, column);
            if (2 * p + 1 < t.width) {
              load_column(x, at + t.x_pixel, column);
              add_column(now, w, 2, column);
              sum = start, add_column(sum, w, 0, column);
            }
            __builtin_memcpy(y, &now, sizeof now);
          }
        }
      });
}

// Both gradients of a pixel read the same results' gradients, up to nine of them, of which most were read for the pixel
// before. With a stride of two, a result stands for the four pixels from its centre on.
template <class T, int kStride>
void gradients_3x3(const DepthwiseRows<T>& t) {
  Ahead ahead(t, t.blocks * t.rows * t.pixels * vectors<T>(t));
  for (int64_t b = 0; b < t.blocks; ++b)
    for (int64_t r = 0; r < t.rows; ++r)
      for_channels<T>(0, t.channels, [&](auto lanes, int64_t c) {
        using V = Row<T, lanes>;
        const int64_t row = t.first_row + r, first = b * t.x_block + row * kStride * t.x_row + c;
        const T* const x = t.x + first;
        T *const dx = t.dx + first, *const dw = t.dw + c;
        const bool wants_x = t.dx, wants_w = t.dw;
        V w[9] = {}, sum[9] = {};
        COTANGENT_UNROLL for (int k = 0; k < 9; ++k) {
          if (wants_x) w[k] = load_row<V>(t.w + t.taps[k] + c);
          if (wants_w) sum[k] = load_row<V>(dw + t.taps[k]);
        }
        const V start = t.start ? load_row<V>(t.start + c) : V{};
        const ThreeRows<T> g(t, t.y + b * t.y_block + c, row, (t.height - 1) / kStride + 1, t.y_row);
        V near[3][3] = {};  // columns of g: before p, at p, after it
        load_column(g, 0, near[1]);
        // the pixel of x that lies `down` and `right` of the centre of p
        const auto pixel = [&](int64_t at, auto down, auto right) {
          constexpr int kDown = down + 1, kRight = right + 1;
          const V value = wants_w ? load_row<V>(x + at) : V{};
          V total = start;
          COTANGENT_UNROLL for (int i = kDown % kStride; i < 3; i += kStride)
              COTANGENT_UNROLL for (int j = kRight % kStride; j < 3; j += kStride) {
            const V& from = near[1 + (kRight - j) / kStride][1 + (kDown - i) / kStride];
            if (wants_w) sum[3 * i + j] += value * from;
            if (wants_x) total += w[3 * i + j] * from;
          }
          if (wants_x) __builtin_memcpy(dx + at, &total, sizeof total);
        };
        constexpr std::integral_constant<int, 0> zero{};
        constexpr std::integral_constant<int, 1> one{};
        const bool below = kStride * row + 1 < t.height;
        const int64_t width = t.width, x_pixel = t.x_pixel, x_row = t.x_row, y_pixel = t.y_pixel, pixels = t.pixels;
        for (int64_t p = 0, at = 0; p < pixels; ++p, at += kStride * x_pixel) {
          ahead.step();
          if (p + 1 < pixels)
            load_column(g, (p + 1) * y_pixel, near[2]);
          else
            COTANGENT_UNROLL for (int j = 0; j < 3; ++j) near[2][j] = V{};
          pixel(at, zero, zero);
          if constexpr (kStride == 2) {
            const bool right = 2 * p + 1 < width;
            if (right) pixel(at + x_pixel, zero, one);
            if (below) pixel(at + x_row, one, zero);
            if (right && below) pixel(at + x_row + x_pixel, one, one);
          }
          COTANGENT_UNROLL for (int j = 0; j < 3; ++j) near[0][j] = near[1][j], near[1][j] = near[2][j];
        }
        if (wants_w)
          COTANGENT_UNROLL for (int k = 0; k < 9; ++k) __builtin_memcpy(dw + t.taps[k], &sum[k], sizeof sum[k]);
      });
}

template <class T>
DepthwiseRowsLoops<T> loops() {
  return {.filter = filter<T>,
          .correlate = correlate<T>,
          .filter_3x3 = {filter_3x3<T, 1>, filter_3x3<T, 2>},
          .gradients_3x3 = {gradients_3x3<T, 1>, gradients_3x3<T, 2>}};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<DepthwiseRowsLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
