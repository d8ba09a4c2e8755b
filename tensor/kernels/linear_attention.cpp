// Steps of a state that is a matrix. A tile of the state stays in registers for many steps, so that each of its numbers
// costs two or three operations a step and no memory; products over chunks of the sequence would take more of them, and
// exponentials of sums.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/lanes.hpp>
#include <cotangent/tensor/kernels/linear_attention.hpp>

namespace cotangent::kernels {
namespace {

constexpr bool kManyRegisters = kVectorBytes == 64;
constexpr int kRows = kManyRegisters ? 8 : 4;  // of a tile

/// Calls f with the sizes of each tile, as constants, and where it begins.
template <class T, int V, class F>
void for_tiles(int64_t rows, int64_t columns, F f) {
  constexpr int L = kLanes<T>;
  const auto strip = [&](auto vectors, int64_t column) {
    int64_t row = 0;
    for (; row + kRows <= rows; row += kRows) f(std::integral_constant<int, kRows>{}, vectors, row, column);
    for (; row < rows; ++row) f(std::integral_constant<int, 1>{}, vectors, row, column);
  };
  int64_t column = 0;
  for (; column + V * L <= columns; column += V * L) strip(std::integral_constant<int, V>{}, column);
  for (; column < columns; column += L) strip(std::integral_constant<int, 1>{}, column);
}

/// A tile of R rows by V vectors.
template <class T, StateDecay decay, bool reads, int R, int V>
void scan_tile(const StateScan<T>& s, int64_t row, int64_t column) {
  constexpr int L = kLanes<T>;
  const T *q = s.q + row, *k = s.k + row, *v = s.v + column;
  const T* d = s.decay + (decay == StateDecay::rows ? row : column);
  T *y = s.y + column, *place = s.state + row * s.columns + column;
  Vec<T> state[R][V];
  COTANGENT_UNROLL for (int i = 0; i < R; ++i) COTANGENT_UNROLL for (int j = 0; j < V; ++j) state[i][j] =
      load(place + i * s.columns + j * L);
  const auto let_decay = [&] {
    COTANGENT_UNROLL for (int j = 0; j < V; ++j) {
      if constexpr (decay == StateDecay::columns) {
        const Vec<T> by = load(d + j * L);
        COTANGENT_UNROLL for (int i = 0; i < R; ++i) state[i][j] *= by;
      }
      if constexpr (decay == StateDecay::rows) COTANGENT_UNROLL for (int i = 0; i < R; ++i) state[i][j] *= d[i];
    }
  };
  for (int64_t t = 0; t < s.steps; ++t) {
    if (!s.late) let_decay();
    COTANGENT_UNROLL for (int j = 0; j < V; ++j) {
      const Vec<T> value = load(v + j * L);
      COTANGENT_UNROLL for (int i = 0; i < R; ++i) state[i][j] += k[i] * value;
      if constexpr (reads) {
        Vec<T> sum = load(y + j * L);
        COTANGENT_UNROLL for (int i = 0; i < R; ++i) sum += q[i] * state[i][j];
        store(y + j * L, sum);
      }
    }
    if (s.late) let_decay();
    q += s.rows, k += s.rows, v += s.columns, y += s.columns;
    d += decay == StateDecay::rows ? s.rows : s.columns;
  }
  COTANGENT_UNROLL for (int i = 0; i < R; ++i) COTANGENT_UNROLL for (int j = 0; j < V; ++j)
      store(place + i * s.columns + j * L, state[i][j]);
}

template <class T, StateDecay decay, bool reads>
void scan_tiles(const StateScan<T>& s) {
  for_tiles<T, 2>(s.rows, s.columns, [&](auto rows, auto vectors, int64_t row, int64_t column) {
    scan_tile<T, decay, reads, rows, vectors>(s, row, column);
  });
}

template <class T, StateDecay decay>
void scan(const StateScan<T>& s) {
  if (s.q)
    scan_tiles<T, decay, true>(s);
  else
    scan_tiles<T, decay, false>(s);
}

template <class T, int R, int V>
void adjoint_tile(const StateAdjoint<T>& s, int64_t row, int64_t column) {
  constexpr int L = kLanes<T>;
  const int64_t rows = s.rows, columns = s.columns;
  const int64_t at = row * columns + column;
  Vec<T> state[R][V];
  COTANGENT_UNROLL for (int i = 0; i < R; ++i) COTANGENT_UNROLL for (int j = 0; j < V; ++j) state[i][j] =
      load(s.state + at + i * columns + j * L);
  T* kept = s.states;
  for (int64_t t = 0; t < s.steps; ++t, kept += R * V * L) {
    const T* v = s.v + t * rows + row;
    COTANGENT_UNROLL for (int j = 0; j < V; ++j) {
      const Vec<T> key = load(s.k + t * columns + column + j * L), by = load(s.decay + t * columns + column + j * L);
      COTANGENT_UNROLL for (int i = 0; i < R; ++i) {
        store(kept + (i * V + j) * L, state[i][j]);
        state[i][j] = state[i][j] * by + v[i] * key;
      }
    }
  }
  COTANGENT_UNROLL for (int i = 0; i < R; ++i)  // from here on the adjoint
      COTANGENT_UNROLL for (int j = 0; j < V; ++j) state[i][j] = load(s.adjoint + at + i * columns + j * L);
  for (int64_t t = s.steps - 1; t >= 0; --t) {
    kept -= R * V * L;
    const T *v = s.v + t * rows + row, *dy = s.dy + t * rows + row;
    COTANGENT_UNROLL for (int j = 0; j < V; ++j) {
      const int64_t to = t * columns + column + j * L;
      const Vec<T> query = load(s.q + to), by = load(s.decay + to);
      Vec<T> by_dy = load(s.by_dy + to), by_v = load(s.by_v + to), by_r = load(s.by_r + to);
      COTANGENT_UNROLL for (int i = 0; i < R; ++i) {
        const Vec<T> before = load(kept + (i * V + j) * L);
        Vec<T>& r = state[i][j];
        r += dy[i] * query;
        by_dy += dy[i] * before, by_v += v[i] * r, by_r += before * r;
        r *= by;
      }
      store(s.by_dy + to, by_dy), store(s.by_v + to, by_v), store(s.by_r + to, by_r);
    }
  }
  COTANGENT_UNROLL for (int i = 0; i < R; ++i) COTANGENT_UNROLL for (int j = 0; j < V; ++j)
      store(s.adjoint + at + i * columns + j * L, state[i][j]);
}

template <class T>
void adjoint(const StateAdjoint<T>& s) {
  for_tiles<T, kManyRegisters ? 2 : 1>(s.rows, s.columns, [&](auto rows, auto vectors, int64_t row, int64_t column) {
    adjoint_tile<T, rows, vectors>(s, row, column);
  });
}

template <class T>
LinearAttentionLoops<T> loops() {
  return {{scan<T, StateDecay::none>, scan<T, StateDecay::rows>, scan<T, StateDecay::columns>}, adjoint<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<LinearAttentionLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
