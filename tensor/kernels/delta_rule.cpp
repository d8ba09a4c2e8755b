// Steps of a state that is a matrix, and is read before it is written. A step costs four or five operations for each of
// its numbers; products over chunks of the sequence would take more of them, the inverse of a triangle, and
// exponentials of sums.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/delta_rule.hpp>
#include <cotangent/tensor/kernels/lanes.hpp>

namespace cotangent::kernels {
namespace {

constexpr bool kManyRegisters = kVectorBytes == 64;
constexpr int kRows = kManyRegisters ? 8 : 4;  // of a tile of the adjoint

/// All rows of V vectors. One pass over them writes the state, reads y from it, and p of the next step.
template <class T, bool decays, bool reads, int V>
void scan_strip(const DeltaScan<T>& s, int64_t column) {
  constexpr int L = kLanes<T>;
  const int64_t rows = s.rows, columns = s.columns;
  T* const state = s.state + column;
  Vec<T> p[V] = {};
  for (int64_t i = 0; i < rows && s.steps > 0; ++i)
    COTANGENT_UNROLL for (int j = 0; j < V; ++j) p[j] += s.z[i] * load(state + i * columns + j * L);
  for (int64_t t = 0; t < s.steps; ++t) {
    const T *q = s.q + t * rows, *b = s.b + t * rows, *k = s.k + t * rows, *w = s.w + t * rows,
            *z = s.z + (t + 1 < s.steps ? t + 1 : t) * rows;
    Vec<T> v[V], y[V] = {}, next[V] = {};
    COTANGENT_UNROLL for (int j = 0; j < V; ++j) {
      v[j] = load(s.v + t * columns + column + j * L);
      store(s.p + t * columns + column + j * L, p[j]);
    }
    for (int64_t i = 0; i < rows; ++i) {
      COTANGENT_UNROLL for (int j = 0; j < V; ++j) {
        T* const place = state + i * columns + j * L;
        Vec<T> x = load(place);
        if constexpr (decays) x *= w[i];
        x += b[i] * p[j];
        x += k[i] * v[j];
        store(place, x);
        if constexpr (reads) y[j] += q[i] * x;
        next[j] += z[i] * x;
      }
    }
    COTANGENT_UNROLL for (int j = 0; j < V; ++j) {
      if constexpr (reads) store(s.y + t * columns + column + j * L, y[j]);
      p[j] = next[j];
    }
  }
}

template <class T, bool decays, bool reads>
void scan_strips(const DeltaScan<T>& s) {
  constexpr int L = kLanes<T>;
  int64_t column = 0;
  for (; column + 2 * L <= s.columns; column += 2 * L) scan_strip<T, decays, reads, 2>(s, column);
  for (; column < s.columns; column += L) scan_strip<T, decays, reads, 1>(s, column);
}

template <class T>
void scan(const DeltaScan<T>& s) {
  if (s.w)
    s.q ? scan_strips<T, true, true>(s) : scan_strips<T, true, false>(s);
  else
    s.q ? scan_strips<T, false, true>(s) : scan_strips<T, false, false>(s);
}

template <class T, int R, int V>
void adjoint_tile(const DeltaAdjoint<T>& s, int64_t row, int64_t column) {
  constexpr int L = kLanes<T>;
  const int64_t rows = s.rows, columns = s.columns, corner = row * columns + column;
  Vec<T> x[R][V];
  COTANGENT_UNROLL for (int i = 0; i < R; ++i) COTANGENT_UNROLL for (int j = 0; j < V; ++j) x[i][j] =
      load(s.state + corner + i * columns + j * L);
  T* kept = s.states;
  for (int64_t t = 0; t < s.steps; ++t, kept += R * V * L) {
    const T *v = s.v + t * rows + row, *p = s.p + t * rows + row;
    COTANGENT_UNROLL for (int j = 0; j < V; ++j) {
      const int64_t at = t * columns + column + j * L;
      const Vec<T> k = load(s.k + at), b = load(s.b + at), w = load(s.w + at);
      COTANGENT_UNROLL for (int i = 0; i < R; ++i) {
        store(kept + (i * V + j) * L, x[i][j]);
        x[i][j] = x[i][j] * w + p[i] * b + v[i] * k;
      }
    }
  }
  COTANGENT_UNROLL for (int i = 0; i < R; ++i)  // from here on the adjoint
      COTANGENT_UNROLL for (int j = 0; j < V; ++j) x[i][j] = load(s.adjoint + corner + i * columns + j * L);
  for (int64_t t = s.steps - 1; t >= 0; --t) {
    kept -= R * V * L;
    const int64_t from = t * rows + row;
    const T *v = s.v + from, *p = s.p + from, *dy = s.dy + from, *dp = s.dp + from;
    COTANGENT_UNROLL for (int j = 0; j < V; ++j) {
      const int64_t at = t * columns + column + j * L;
      const Vec<T> q = load(s.q + at), z = load(s.z + at), w = load(s.w + at);
      Vec<T> by_dy = load(s.by_dy + at), by_v = load(s.by_v + at), by_p = load(s.by_p + at), by_r = load(s.by_r + at),
             by_dp = load(s.by_dp + at);
      COTANGENT_UNROLL for (int i = 0; i < R; ++i) {
        const Vec<T> before = load(kept + (i * V + j) * L), r = x[i][j] + dy[i] * q;
        by_dy += dy[i] * before, by_v += v[i] * r, by_p += p[i] * r, by_r += before * r, by_dp += dp[i] * before;
        x[i][j] = r * w + dp[i] * z;
      }
      store(s.by_dy + at, by_dy), store(s.by_v + at, by_v), store(s.by_p + at, by_p), store(s.by_r + at, by_r);
      store(s.by_dp + at, by_dp);
    }
  }
  COTANGENT_UNROLL for (int i = 0; i < R; ++i) COTANGENT_UNROLL for (int j = 0; j < V; ++j)
      store(s.adjoint + corner + i * columns + j * L, x[i][j]);
}

template <class T>
void adjoint(const DeltaAdjoint<T>& s) {
  constexpr int L = kLanes<T>, V = kManyRegisters ? 2 : 1;
  const auto strip = [&](auto vectors, int64_t column) {
    int64_t row = 0;
    for (; row + kRows <= s.rows; row += kRows) adjoint_tile<T, kRows, vectors>(s, row, column);
    for (; row < s.rows; ++row) adjoint_tile<T, 1, vectors>(s, row, column);
  };
  int64_t column = 0;
  for (; column + V * L <= s.columns; column += V * L) strip(std::integral_constant<int, V>{}, column);
  for (; column < s.columns; column += L) strip(std::integral_constant<int, 1>{}, column);
}

template <class T>
DeltaRuleLoops<T> loops() {
  return {scan<T>, adjoint<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<DeltaRuleLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
