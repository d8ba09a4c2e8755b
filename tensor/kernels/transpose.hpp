#pragma once
// Transposition of matrices of any elements, by size: 1, 2, 4 or 8 bytes. A block of vectors is transposed in
// registers: first within each 16 bytes, where a step interleaves the vectors of the first half of a group with those
// of the second, then the 16 bytes themselves change places.
#include <cstdint>
#include <utility>  // integer_sequence: no code

namespace cotangent::kernels {
namespace {

#define COTANGENT_UNROLL _Pragma("GCC unroll 16")

template <class T, int Lanes>
using Row [[gnu::vector_size(Lanes * int(sizeof(T)))]] = T;

template <class V>
V load_row(const void* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

/// The elements of a and b in turns, from the first or the second half of each run of `Run` elements.
template <class T, int Lanes, int Run, bool second, int... I>
Row<T, Lanes> interleave(Row<T, Lanes> a, Row<T, Lanes> b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, b, (I / Run * Run + I % Run / 2 + (second ? Run / 2 : 0) + (I & 1 ? Lanes : 0))...);
}
/// Swaps the lanes of a and b whose numbers differ in the bit `Step`.
template <class T, int Lanes, int Step, int... I>
void exchange(Row<T, Lanes>& a, Row<T, Lanes>& b, std::integer_sequence<int, I...>) {
  const Row<T, Lanes> low = __builtin_shufflevector(a, b, (I & Step ? Lanes + I - Step : I)...);
  b = __builtin_shufflevector(a, b, (I & Step ? Lanes + I : I + Step)...);
  a = low;
}
template <class T, int Lanes, int Step>
void exchange_all(Row<T, Lanes>* block) {
  if constexpr (Step < Lanes) {
    COTANGENT_UNROLL for (int i = 0; i < Lanes; ++i) {
      if (!(i & Step)) exchange<T, Lanes, Step>(block[i], block[i + Step], std::make_integer_sequence<int, Lanes>{});
    }
    exchange_all<T, Lanes, 2 * Step>(block);
  }
}

/// As many rows as there are lanes in a vector, in place: in registers, so inlined.
template <class T, int Lanes>
[[gnu::always_inline]] inline void transpose_rows(Row<T, Lanes>* block) {
  constexpr int K = 16 / int(sizeof(T));
  constexpr std::make_integer_sequence<int, Lanes> lanes;
  COTANGENT_UNROLL for (int step = 1; step < K; step *= 2) {
    COTANGENT_UNROLL for (int group = 0; group < Lanes; group += K) {
      Row<T, Lanes> turned[K];
      COTANGENT_UNROLL for (int i = 0; i < K / 2; ++i) {
        const Row<T, Lanes> a = block[group + i], b = block[group + i + K / 2];
        turned[2 * i] = interleave<T, Lanes, K, false>(a, b, lanes);
        turned[2 * i + 1] = interleave<T, Lanes, K, true>(a, b, lanes);
      }
      COTANGENT_UNROLL for (int i = 0; i < K; ++i) block[group + i] = turned[i];
    }
  }
  exchange_all<T, Lanes, K>(block);
}

/// At least `Lanes` rows and columns. The last blocks end with the matrix, and so overlap those before them.
template <class T, int Lanes>
void transpose_blocks(const T* x, int64_t rows, int64_t columns, int64_t x_stride, T* y, int64_t y_stride) {
  for (int64_t j = 0; j < columns; j += Lanes)
    for (int64_t r = 0; r < rows; r += Lanes) {
      const int64_t row = r + Lanes <= rows ? r : rows - Lanes, column = j + Lanes <= columns ? j : columns - Lanes;
      const T* from = x + row * x_stride + column;
      T* to = y + column * y_stride + row;
      Row<T, Lanes> block[Lanes];
      COTANGENT_UNROLL for (int i = 0; i < Lanes; ++i) block[i] = load_row<Row<T, Lanes>>(from + i * x_stride);
      transpose_rows<T, Lanes>(block);
      COTANGENT_UNROLL for (int i = 0; i < Lanes; ++i) __builtin_memcpy(to + i * y_stride, &block[i], sizeof block[i]);
    }
}

/// Fewer rows than a vector of 16 bytes has lanes.
template <class T>
void transpose_few_rows(const T* x, int64_t rows, int64_t columns, int64_t x_stride, T* y, int64_t y_stride) {
  constexpr int K = 16 / int(sizeof(T));
  for (int64_t j = 0; j < columns; j += K) {
    const int64_t column = j + K <= columns ? j : columns - K;
    Row<T, K> block[K];
    COTANGENT_UNROLL for (int i = 0; i < K; ++i) block[i] =
        load_row<Row<T, K>>(x + (i < rows ? i : 0) * x_stride + column);
    transpose_rows<T, K>(block);
    COTANGENT_UNROLL for (int i = 0; i < K; ++i) {
      const char* from = reinterpret_cast<const char*>(&block[i]);
      T* to = y + (column + i) * y_stride;
      COTANGENT_UNROLL for (int part = K / 2; part > 0; part /= 2) {
        if (!(rows & part)) continue;
        __builtin_memcpy(to, from, uint64_t(part) * sizeof(T));
        from += uint64_t(part) * sizeof(T), to += part;
      }
    }
  }
}
/// Fewer columns. What is read beyond them lies before the matrix ends.
template <class T>
void transpose_few_columns(const T* x, int64_t rows, int64_t columns, int64_t x_stride, T* y, int64_t y_stride) {
  constexpr int K = 16 / int(sizeof(T));
  int64_t r = 0;
  for (; r + K <= rows && (r + K - 1) * x_stride + K <= (rows - 1) * x_stride + columns; r += K) {
    Row<T, K> block[K];
    COTANGENT_UNROLL for (int i = 0; i < K; ++i) block[i] = load_row<Row<T, K>>(x + (r + i) * x_stride);
    transpose_rows<T, K>(block);
    COTANGENT_UNROLL for (int i = 0; i < K; ++i) {
      if (i < columns) __builtin_memcpy(y + i * y_stride + r, &block[i], sizeof block[i]);
    }
  }
  for (; r < rows; ++r)
    for (int64_t j = 0; j < columns; ++j) y[j * y_stride + r] = x[r * x_stride + j];
}

/// Two rows of at least `Lanes` columns, into columns that lie one after another: y[2 i] = a[i], y[2 i + 1] = b[i].
template <class T, int Lanes>
void interleave_two(const T* a, const T* b, int64_t columns, T* y) {
  constexpr std::make_integer_sequence<int, Lanes> lanes;
  for (int64_t j = 0; j < columns; j += Lanes) {
    const int64_t i = j + Lanes <= columns ? j : columns - Lanes;
    const auto va = load_row<Row<T, Lanes>>(a + i), vb = load_row<Row<T, Lanes>>(b + i);
    const auto low = interleave<T, Lanes, Lanes, false>(va, vb, lanes),
               high = interleave<T, Lanes, Lanes, true>(va, vb, lanes);
    __builtin_memcpy(y + 2 * i, &low, sizeof low);
    __builtin_memcpy(y + 2 * i + Lanes, &high, sizeof high);
  }
}
template <class T, int Lanes, int First, int... I>
Row<T, Lanes> every_second(Row<T, Lanes> low, Row<T, Lanes> high, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(low, high, (2 * I + First)...);
}
/// Back: a[i] = x[2 i], b[i] = x[2 i + 1], for at least `Lanes` rows of two.
template <class T, int Lanes>
void deinterleave_two(const T* x, int64_t rows, T* a, T* b) {
  constexpr std::make_integer_sequence<int, Lanes> lanes;
  for (int64_t r = 0; r < rows; r += Lanes) {
    const int64_t i = r + Lanes <= rows ? r : rows - Lanes;
    const auto low = load_row<Row<T, Lanes>>(x + 2 * i), high = load_row<Row<T, Lanes>>(x + 2 * i + Lanes);
    const auto even = every_second<T, Lanes, 0>(low, high, lanes), odd = every_second<T, Lanes, 1>(low, high, lanes);
    __builtin_memcpy(a + i, &even, sizeof even);
    __builtin_memcpy(b + i, &odd, sizeof odd);
  }
}

#ifdef __AVX__
template <class T>
constexpr int kTransposed = sizeof(T) < 4 ? 16 / sizeof(T) : 32 / sizeof(T);  // more rows would not fit into registers
#else
template <class T>
constexpr int kTransposed = 16 / sizeof(T);
#endif

/// y[j * y_stride + r] = x[r * x_stride + j]
template <class T>
void transpose(const T* x, int64_t rows, int64_t columns, int64_t x_stride, T* y, int64_t y_stride) {
  constexpr int L = kTransposed<T>, K = 16 / int(sizeof(T));
  if (rows == 0 || columns == 0) return;
  if (rows >= L && columns >= L)
    transpose_blocks<T, L>(x, rows, columns, x_stride, y, y_stride);
  else if (rows >= K && columns >= K)
    transpose_blocks<T, K>(x, rows, columns, x_stride, y, y_stride);
  else if (rows == 2 && y_stride == 2 && columns >= L)
    interleave_two<T, L>(x, x + x_stride, columns, y);
  else if (rows == 2 && y_stride == 2 && columns >= K)
    interleave_two<T, K>(x, x + x_stride, columns, y);
  else if (columns == 2 && x_stride == 2 && rows >= L)
    deinterleave_two<T, L>(x, rows, y, y + y_stride);
  else if (columns == 2 && x_stride == 2 && rows >= K)
    deinterleave_two<T, K>(x, rows, y, y + y_stride);
  else if (columns >= K)
    transpose_few_rows(x, rows, columns, x_stride, y, y_stride);
  else
    transpose_few_columns(x, rows, columns, x_stride, y, y_stride);
}

}  // namespace
}  // namespace cotangent::kernels
