// Convolution over panels: the source pixels that a block of results reads, packed so that it becomes a matrix product
// whose tile of results stays in registers.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/conv.hpp>
#include <cotangent/tensor/kernels/lanes.hpp>
#include <cotangent/tensor/kernels/transpose.hpp>

namespace cotangent::kernels {
namespace {

#if defined(__AVX512F__)
constexpr int kRows = 8, kVectors = 3, kOuterRows = 8, kOuterVectors = 4;  // of 32 registers
#elif defined(__AVX__)
constexpr int kRows = 4, kVectors = 3, kOuterRows = 6, kOuterVectors = 2;  // of 16 registers
#else
constexpr int kRows = 4, kVectors = 3, kOuterRows = 6, kOuterVectors = 2;
#endif

template <class T>
void pack(const T* x, const int64_t* offsets, int64_t depth, const PixelRun* runs, int64_t run_count, T* panel,
          int64_t width) {
  if (run_count == 1 && runs[0].count == kVectors * kLanes<T>) {  // the most frequent: whole panels of one run
    for (int64_t k = 0; k < depth; ++k, panel += width) {
      const T* from = x + offsets[k] + runs[0].from;
      COTANGENT_UNROLL for (int v = 0; v < kVectors; ++v) store(panel + v * kLanes<T>, load(from + v * kLanes<T>));
    }
    return;
  }
  for (int64_t k = 0; k < depth; ++k, panel += width)
    for (int64_t j = 0; j < run_count; ++j) copy_row(x + offsets[k] + runs[j].from, panel + runs[j].to, runs[j].count);
}

template <class T, int L, int... I>
Row<T, L> even_then_odd(Row<T, L> low, Row<T, L> high, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(low, high, (2 * I + (I < L / 2 ? 0 : 1))...);
}

// y[i] = x[2 i]. No element beyond the last one is read, therefore `high` starts at an odd place. The last vector ends
// with the row, and so overlaps the one before it; rows shorter than a vector take a shorter one.
template <class T, int L>
void every_second_of(const T* x, T* y, int64_t n) {
  if constexpr (L == 2) {
    for (int64_t i = 0; i < n; ++i) y[i] = x[2 * i];
  } else {
    if (n < L) return every_second_of<T, L / 2>(x, y, n);
    for (int64_t i = 0; i < n; i += L) {
      const int64_t at = i + L <= n ? i : n - L;
      const auto low = load_row<Row<T, L>>(x + 2 * at), high = load_row<Row<T, L>>(x + 2 * at + L - 1);
      const Row<T, L> even = even_then_odd<T, L>(low, high, std::make_integer_sequence<int, L>{});
      __builtin_memcpy(y + at, &even, sizeof even);
    }
  }
}

template <class T>
void copy(const T* x, int64_t x_stride, int64_t step, T* y, int64_t y_stride, int64_t rows, int64_t n) {
  for (int64_t r = 0; r < rows; ++r, x += x_stride, y += y_stride) {
    if (step == 1) {
      copy_row(x, y, n);
    } else if (step == 2) {
      every_second_of<T, kLanes<T>>(x, y, n);
    } else {
      for (int64_t i = 0; i < n; ++i) y[i] = x[i * step];
    }
  }
}

template <class T, int V>
void product_tile(const ConvTile<T>& t) {
  const T *weights = t.weights, *start = t.start;
  const T* x[V];
  Vec<T> sum[kRows][V];
  COTANGENT_UNROLL for (int v = 0; v < V; ++v) x[v] = t.x + t.from[v];
  COTANGENT_UNROLL for (int r = 0; r < kRows; ++r) {
    COTANGENT_UNROLL for (int v = 0; v < V; ++v) sum[r][v] = Vec<T>{} + start[r];
  }
  for (int64_t k = 0; k < t.depth; ++k, weights += kRows) {
    const int64_t offset = t.offsets[k];
    Vec<T> pixels[V];
    COTANGENT_UNROLL for (int v = 0; v < V; ++v) pixels[v] = load(x[v] + offset);
    COTANGENT_UNROLL for (int r = 0; r < kRows; ++r) {
      COTANGENT_UNROLL for (int v = 0; v < V; ++v) sum[r][v] += weights[r] * pixels[v];
    }
  }
  T* y = t.y;
  COTANGENT_UNROLL for (int r = 0; r < kRows; ++r, y += t.row_stride) {
    COTANGENT_UNROLL for (int v = 0; v < V; ++v) store(y + t.place[v], sum[r][v]);
  }
}

template <class T>
void product(const ConvTile<T>& t) {
  if (t.vectors == 3)
    product_tile<T, 3>(t);
  else if (t.vectors == 2)
    product_tile<T, 2>(t);
  else
    product_tile<T, 1>(t);
}

/// Of rows [first, first + R).
template <class T, int R, int V>
void outer_tile(const ConvOuter<T>& t, int first) {
  constexpr int L = kLanes<T>;
  T* const sums = t.sums + first * t.sums_stride;
  const T* g = t.g;
  const T* block = t.x;
  int64_t offsets[R];
  Vec<T> sum[R][V];
  COTANGENT_UNROLL for (int r = 0; r < R; ++r) {
    offsets[r] = t.offsets[first + r];
    COTANGENT_UNROLL for (int v = 0; v < V; ++v) sum[r][v] = load(sums + r * t.sums_stride + v * L);
  }
  for (int64_t b = 0; b < t.blocks; ++b, block += t.block_stride) {
    const T* row = block;
    for (int64_t y = 0; y < t.rows; ++y, row += t.row_stride)
      for (const T *x = row, *end = row + t.pixels; x < end; ++x, g += t.g_stride) {
        Vec<T> channels[V];
        COTANGENT_UNROLL for (int v = 0; v < V; ++v) channels[v] = load(g + v * L);
        COTANGENT_UNROLL for (int r = 0; r < R; ++r) {
          COTANGENT_UNROLL for (int v = 0; v < V; ++v) sum[r][v] += x[offsets[r]] * channels[v];
        }
      }
  }
  COTANGENT_UNROLL for (int r = 0; r < R; ++r) {
    COTANGENT_UNROLL for (int v = 0; v < V; ++v) store(sums + r * t.sums_stride + v * L, sum[r][v]);
  }
}

template <class T>
void outer(const ConvOuter<T>& t) {
  constexpr int L = kLanes<T>;
  if (t.channels <= L) return outer_tile<T, kOuterRows, 1>(t, 0);
  if (t.channels <= 2 * L) return outer_tile<T, kOuterRows, 2>(t, 0);
  if constexpr (kOuterVectors == 4) {
    if (t.channels <= 3 * L) return outer_tile<T, kOuterRows, 3>(t, 0);
    for (int r = 0; r < kOuterRows; r += 4) outer_tile<T, 4, 4>(t, r);
  }
}

template <class T>
ConvLoops<T> loops() {
  return {.lanes = kLanes<T>,
          .rows = kRows,
          .vectors = kVectors,
          .outer_rows = kOuterRows,
          .outer_vectors = kOuterVectors,
          .product = product<T>,
          .outer = outer<T>,
          .pack = pack<T>,
          .copy = copy<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<ConvLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
