// The maps of Winograd's convolution (see tensor/conv/winograd.cpp), each of which is a small matrix applied to the
// rows and to the columns of a square of vectors. They need additions only, apart from halves.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/lanes.hpp>
#include <cotangent/tensor/kernels/transpose.hpp>
#include <cotangent/tensor/kernels/winograd.hpp>

namespace cotangent::kernels {
namespace {

// Each map takes `from` elements at x[0], x[step], ... to `to` elements of y, likewise.
struct Source {
  static constexpr int from = 4, to = 4;
  template <class V>
  static void map(const V* x, int n, V* y, int m) {
    y[0] = x[0] - x[2 * n], y[m] = x[n] + x[2 * n], y[2 * m] = x[2 * n] - x[n], y[3 * m] = x[n] - x[3 * n];
  }
};
struct FromThree {
  static constexpr int from = 3, to = 4;
  template <class V>
  static void map(const V* x, int n, V* y, int m) {
    const V even = x[0] + x[2 * n];
    y[0] = x[0], y[m] = (even + x[n]) / 2, y[2 * m] = (even - x[n]) / 2, y[3 * m] = x[2 * n];
  }
};
struct FromTwo {
  static constexpr int from = 2, to = 4;
  template <class V>
  static void map(const V* x, int n, V* y, int m) {
    y[0] = x[0], y[m] = x[0] + x[n], y[2 * m] = x[0] - x[n], y[3 * m] = -x[n];
  }
};
// The adjoints of these.
struct ToThree {
  static constexpr int from = 4, to = 3;
  template <class V>
  static void map(const V* x, int n, V* y, int m) {
    const V sum = (x[n] + x[2 * n]) / 2;
    y[0] = x[0] + sum, y[m] = (x[n] - x[2 * n]) / 2, y[2 * m] = sum + x[3 * n];
  }
};
struct ToTwo {
  static constexpr int from = 4, to = 2;
  template <class V>
  static void map(const V* x, int n, V* y, int m) {
    y[0] = x[0] + x[n] + x[2 * n], y[m] = x[n] - x[2 * n] - x[3 * n];
  }
};

template <class Map, class V>
[[gnu::always_inline]] inline void both_ways(const V (&x)[Map::from * Map::from], V (&y)[Map::to * Map::to]) {
  V half[Map::to * Map::from];
  COTANGENT_UNROLL for (int i = 0; i < Map::from; ++i) Map::map(x + i, Map::from, half + i, Map::from);
  COTANGENT_UNROLL for (int i = 0; i < Map::to; ++i) Map::map(half + i * Map::from, 1, y + i * Map::to, 1);
}

template <class T, class Map, int L>
[[gnu::always_inline]] inline void transform_run(const WinogradMap<T>& t, const T* from, T* to) {
  Row<T, L> x[Map::from * Map::from], y[Map::to * Map::to];
  COTANGENT_UNROLL for (int i = 0; i < Map::from * Map::from; ++i) x[i] = load_row<Row<T, L>>(from + t.offsets[i]);
  both_ways<Map>(x, y);
  COTANGENT_UNROLL for (int i = 0; i < Map::to; ++i, to += t.y_line) {
    COTANGENT_UNROLL for (int k = 0; k < Map::to; ++k)
        __builtin_memcpy(to + k * t.y_plane, y + i * Map::to + k, sizeof *y);
  }
}

template <class T, class Map>
void transform(const WinogradMap<T>& t) {
  constexpr int L = kLanes<T>;
  for (int64_t r = 0; r < t.rows; ++r)
    for (int64_t j = 0; j < t.run_count; ++j) {
      const T* from = t.x + r * t.x_row + t.runs[j].from;
      T* to = t.y + r * t.y_row + t.runs[j].to;
      if (2 * t.runs[j].count <= L)  // half a vector takes half as long
        transform_run<T, Map, L / 2>(t, from, to);
      else
        transform_run<T, Map, L>(t, from, to);
    }
}

// Vector Q of those that hold a[0], b[0], c[0], a[1], ..., where each is `Unit` neighbours.
template <class T, int Q, int Unit, int... I>
[[gnu::always_inline]] inline Vec<T> of_three(const Vec<T>* x, std::integer_sequence<int, I...>) {
  constexpr int L = kLanes<T>, first = Q * L / Unit;
  constexpr auto lane = [](int i) { return (first + i / Unit) / 3 * Unit + i % Unit; };
  const Vec<T> two = __builtin_shufflevector(x[0], x[1], (lane(I) + ((first + I / Unit) % 3 == 1 ? L : 0))...);
  return __builtin_shufflevector(two, x[2], ((first + I / Unit) % 3 == 2 ? L + lane(I) : I)...);
}

template <class T, int Unit>
[[gnu::always_inline]] inline void store_three(T* to, const Vec<T>* x) {
  constexpr int L = kLanes<T>;
  constexpr std::make_integer_sequence<int, L> lanes;
  store(to, of_three<T, 0, Unit>(x, lanes));
  store(to + L, of_three<T, 1, Unit>(x, lanes));
  store(to + 2 * L, of_three<T, 2, Unit>(x, lanes));
}

// x[0][0], x[1][0], ..., x[0][1], ...
template <class T>
[[gnu::always_inline]] inline void store_between(T* to, const Vec<T> (&x)[2]) {
  constexpr int L = kLanes<T>;
  constexpr std::make_integer_sequence<int, L> lanes;
  store(to, Vec<T>(interleave<T, L, L, false>(x[0], x[1], lanes)));
  store(to + L, Vec<T>(interleave<T, L, L, true>(x[0], x[1], lanes)));
}
template <class T>
[[gnu::always_inline]] inline void store_between(T* to, const Vec<T> (&x)[3]) {
  store_three<T, 1>(to, x);
}
template <class T>
[[gnu::always_inline]] inline void store_between(T* to, const Vec<T> (&x)[6]) {
  constexpr int L = kLanes<T>;
  constexpr std::make_integer_sequence<int, L> lanes;
  Vec<T> low[3], high[3];
  COTANGENT_UNROLL for (int i = 0; i < 3; ++i) {
    low[i] = interleave<T, L, L, false>(x[2 * i], x[2 * i + 1], lanes);
    high[i] = interleave<T, L, L, true>(x[2 * i], x[2 * i + 1], lanes);
  }
  store_three<T, 2>(to, low);
  store_three<T, 2>(to + 3 * L, high);
}

template <class T, class Map, int Phases>
void result(const WinogradResult<T>& t) {
  constexpr int L = kLanes<T>, side = Map::to, all = side * Phases;
  const T* m = t.products;
  T* y = t.y;
  T pixels[all][kWinogradVectors * all * L];
  for (int64_t r = 0; r < t.rows; ++r, m += t.row_stride, y += t.y_channel) {
    for (int64_t v = 0; v < t.vectors; ++v)
      for (int a = 0; a < Phases; ++a) {
        Vec<T> square[Phases][side * side];
        COTANGENT_UNROLL for (int b = 0; b < Phases; ++b) {
          const T* from = m + (a * Phases + b) * t.phase + v * L;
          Vec<T> x[16];
          COTANGENT_UNROLL for (int i = 0; i < 16; ++i) x[i] = load(from + i * t.plane);
          both_ways<Map>(x, square[b]);
        }
        COTANGENT_UNROLL for (int i = 0; i < side; ++i) {
          Vec<T> row[all];
          COTANGENT_UNROLL for (int j = 0; j < all; ++j) row[j] = square[j % Phases][side * i + j / Phases];
          store_between<T>(pixels[i * Phases + a] + all * v * L, row);
        }
      }
    for (int64_t j = 0; j < t.line_count; ++j) {
      const WinogradLine& line = t.lines[j];
      const int64_t from = all * line.tile + line.first_column, to = line.place + line.first_column;
      for (int64_t i = line.first_row; i < line.rows; ++i)
        copy_row(pixels[i] + from, y + to + i * t.y_row, line.columns - line.first_column);
    }
  }
}

template <class T>
WinogradLoops<T> loops() {
  return {.source = transform<T, Source>,
          .from_three = transform<T, FromThree>,
          .from_two = transform<T, FromTwo>,
          .to_three = transform<T, ToThree>,
          .to_two = transform<T, ToTwo>,
          .two_results = result<T, ToTwo, 1>,
          .three_results = result<T, ToThree, 1>,
          .six_results = result<T, ToThree, 2>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<WinogradLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
