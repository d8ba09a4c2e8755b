// Pooling, a row of results at a time. What its windows reach is laid out in a panel, whose rows hold the columns of
// one remainder by the stride: so a tap of neighbouring windows is a run of neighbours, for any stride. Padding is in
// the panel.
#include <cotangent/tensor/kernels/transpose.hpp>
#include <cotangent/tensor/kernels/vector.hpp>

namespace cotangent::kernels {
namespace {

template <class T>
struct Simd;
template <>
struct Simd<float> {
  using Lane = int32_t;
};
template <>
struct Simd<double> {
  using Lane = int64_t;
};
template <class T>
constexpr int kLanes = kVectorBytes / int(sizeof(T));
template <class T>
using Vec = Row<T, kLanes<T>>;
template <class T>
using Lane = typename Simd<T>::Lane;

template <class T, int L, int... I>
void store_as_int64(int64_t* p, Row<T, L> v, std::integer_sequence<int, I...>) {
  const auto low = __builtin_convertvector(__builtin_shufflevector(v, v, I...), Row<int64_t, L / 2>),
             high = __builtin_convertvector(__builtin_shufflevector(v, v, (I + L / 2)...), Row<int64_t, L / 2>);
  __builtin_memcpy(p, &low, sizeof low);
  __builtin_memcpy(p + L / 2, &high, sizeof high);
}
// The first n lanes.
template <class To, class V>
void store_some(To* p, V v, int64_t n) {
  if (n * int64_t(sizeof(To)) >= int64_t(sizeof v))
    __builtin_memcpy(p, &v, sizeof v);
  else
    __builtin_memcpy(p, &v, static_cast<uint64_t>(n) * sizeof(To));
}
// Of the v-th vector of a block of results: the last one ends with the row, and so overlaps the one before it.
template <int L>
int64_t place(int64_t first, int v, int64_t out) {
  const int64_t at = first + v * L;
  return at + L <= out || out < L ? at : out - L;
}

template <class T>
void to_panel(const PoolColumns& c, const T* row, T* panel) {
  for (int64_t i = 0; i < c.head; ++i) panel[c.head_at + i * c.length] = row[i];
  row += c.head, panel += c.at;
  if (c.stride == 1)
    for (int64_t i = 0; i < c.groups; ++i) panel[i] = row[i];
  else if (c.stride == 2 && c.groups >= kTransposed<T>)
    deinterleave_two<T, kTransposed<T>>(row, c.groups, panel, panel + c.length);
  else
    transpose(row, c.groups, c.stride, c.stride, panel, c.length);
  for (int64_t i = 0; i < c.tail; ++i) panel[i * c.length + c.groups] = row[c.groups * c.stride + i];
}
template <class T>
void from_panel(const PoolColumns& c, const T* panel, T* row) {
  for (int64_t i = 0; i < c.head; ++i) row[i] = panel[c.head_at + i * c.length];
  row += c.head, panel += c.at;
  if (c.stride == 1)
    for (int64_t i = 0; i < c.groups; ++i) row[i] = panel[i];
  else if (c.stride == 2 && c.groups >= kTransposed<T>)
    interleave_two<T, kTransposed<T>>(panel, panel + c.length, c.groups, row);
  else
    transpose(panel, c.stride, c.groups, c.length, row, c.stride);
  for (int64_t i = 0; i < c.tail; ++i) row[c.groups * c.stride + i] = panel[i * c.length + c.groups];
}

template <class T, int V>
void max_block(const PoolColumns& c, const int64_t* starts, int64_t rows, const T* panel, int64_t first, T* y,
               int64_t* index) {
  constexpr int L = kLanes<T>;
  using Lanes = Row<Lane<T>, L>;
  const Lane<T>* earliest = static_cast<const Lane<T>*>(c.first);
  Vec<T> best[V];
  Lanes at[V], column[V];  // of the best, and of a tap at the start of the row
  int64_t to[V];
  COTANGENT_UNROLL for (int v = 0; v < V; ++v) {
    to[v] = place<L>(first, v, c.out);
    best[v] = Vec<T>{} - static_cast<T>(__builtin_inff());
    at[v] = load_row<Lanes>(earliest + to[v]) + static_cast<Lane<T>>(starts[0]);
    column[v] = load_row<Lanes>(static_cast<const Lane<T>*>(c.begin) + to[v]);
  }
  for (int64_t r = 0; r < rows; ++r, panel += c.stride * c.length)
    for (int64_t k = 0; k < c.kernel; ++k) {
      const T* from = panel + c.taps[k];
      const Lane<T> base = static_cast<Lane<T>>(starts[r] + k * c.dilation);
      COTANGENT_UNROLL for (int v = 0; v < V; ++v) {
        const auto x = load_row<Vec<T>>(from + to[v]);
        const auto take = (x > best[v]) | (x != x);
        best[v] = take ? x : best[v];
        at[v] = take ? column[v] + base : at[v];
      }
    }
  COTANGENT_UNROLL for (int v = 0; v < V; ++v) {
    store_some(y + to[v], best[v], c.out);
    constexpr std::make_integer_sequence<int, L / 2> half;
    if (c.out >= L) {
      store_as_int64<Lane<T>, L>(index + to[v], at[v], half);
    } else {
      int64_t few[L];
      store_as_int64<Lane<T>, L>(few, at[v], half);
      for (int64_t i = 0; i < c.out; ++i) index[i] = few[i];
    }
  }
}

// Windows of 2 x 2 side by side, which need no panel: at least a vector of them in a row.
template <class T>
void max_quarters(const PoolColumns& c, const T* top, const T* bottom, int64_t start, int64_t bottom_start, T* y,
                  int64_t* index) {
  constexpr int L = kLanes<T>;
  using Lanes = Row<Lane<T>, L>;
  constexpr std::make_integer_sequence<int, L> lanes;
  constexpr std::make_integer_sequence<int, L / 2> half;
  for (int64_t first = 0; first < c.out; first += L) {
    const int64_t to = place<L>(first, 0, c.out);
    const auto a = load_row<Vec<T>>(top + 2 * to), b = load_row<Vec<T>>(top + 2 * to + L),
               d = load_row<Vec<T>>(bottom + 2 * to), e = load_row<Vec<T>>(bottom + 2 * to + L);
    const auto column = load_row<Lanes>(static_cast<const Lane<T>*>(c.begin) + to);
    Vec<T> best = every_second<T, L, 0>(a, b, lanes);
    Lanes at = column + static_cast<Lane<T>>(start);
    const auto consider = [&](Vec<T> x, int64_t offset) {
      const auto take = (x > best) | (x != x);
      best = take ? x : best;
      at = take ? column + static_cast<Lane<T>>(offset) : at;
    };
    consider(every_second<T, L, 1>(a, b, lanes), start + 1);
    consider(every_second<T, L, 0>(d, e, lanes), bottom_start);
    consider(every_second<T, L, 1>(d, e, lanes), bottom_start + 1);
    __builtin_memcpy(y + to, &best, sizeof best);
    store_as_int64<Lane<T>, L>(index + to, at, half);
  }
}

// Each of these works on a block of rows step by step: what is stored by one step has then left the processor's store
// buffer when the next one loads it, from other places than it was stored to.

template <class T>
void max_pool(const PoolColumns& c, const PoolRows& rows, const void* px, void* py, int64_t* index, void* space) {
  constexpr int L = kLanes<T>;
  const T* x = static_cast<const T*>(px);
  T *y = static_cast<T*>(py), *panels = static_cast<T*>(space);
  if (rows.quarters && c.out >= L) {
    for (int64_t o = 0; o < rows.out; ++o) {
      const int64_t* start = rows.starts + 2 * o;
      max_quarters(c, x + start[0], x + start[1], start[0], start[1], y + o * c.out, index + o * c.out);
    }
    return;
  }
  const int64_t size = c.stride * c.length;
  for (int64_t begin = 0; begin < rows.out; begin += rows.block) {
    const int64_t end = begin + rows.block < rows.out ? begin + rows.block : rows.out;
    T* panel = panels;
    for (int64_t i = rows.first[begin]; i < rows.first[end]; ++i, panel += size) to_panel(c, x + rows.starts[i], panel);
    panel = panels;
    for (int64_t o = begin; o < end; ++o, y += c.out, index += c.out) {
      const int64_t* starts = rows.starts + rows.first[o];
      const int64_t count = rows.first[o + 1] - rows.first[o];
      for (int64_t first = 0; first < c.out; first += 2 * L) {
        if (c.out - first > L)
          max_block<T, 2>(c, starts, count, panel, first, y, index);
        else
          max_block<T, 1>(c, starts, count, panel, first, y, index);
      }
      panel += count * size;
    }
  }
}

template <class T>
void avg_pool(const PoolColumns& c, const PoolRows& rows, const void* px, void* py, void* space) {
  constexpr int L = kLanes<T>;
  const T *x = static_cast<const T*>(px), *cells = static_cast<const T*>(c.cells);
  const int64_t size = c.stride * c.length;
  T *y = static_cast<T*>(py), *lines = static_cast<T*>(space), *panels = lines + rows.block * c.in;
  for (int64_t begin = 0; begin < rows.out; begin += rows.block) {
    const int64_t count = begin + rows.block < rows.out ? rows.block : rows.out - begin;
    for (int64_t r = 0; r < count; ++r) {
      const int64_t *start = rows.starts + rows.first[begin + r], *end = rows.starts + rows.first[begin + r + 1];
      T* line = lines + r * c.in;
      const T *first = x + *start++, *second = start < end ? x + *start++ : nullptr;
      if (second) {
#pragma omp simd
        for (int64_t i = 0; i < c.in; ++i) line[i] = first[i] + second[i];
      } else {
        for (int64_t i = 0; i < c.in; ++i) line[i] = first[i];
      }
      for (; start < end; ++start) {
#pragma omp simd
        for (int64_t i = 0; i < c.in; ++i) line[i] += x[*start + i];
      }
    }
    if (c.stride > 0)
      for (int64_t r = 0; r < count; ++r) to_panel(c, lines + r * c.in, panels + r * size);
    for (int64_t r = 0; r < count; ++r, y += c.out) {
      const T row_cells = static_cast<T>(rows.cells[begin + r]);
      const T *line = lines + r * c.in, *panel = panels + r * size;
      if (c.stride == 0) {
        for (int64_t j = 0; j < c.out; ++j) {
          T sum = 0;
          for (int64_t i = c.from[j]; i < c.to[j]; ++i) sum += line[i];
          y[j] = sum / (row_cells * cells[j]);
        }
        continue;
      }
      for (int64_t first = 0; first < c.out; first += L) {
        const int64_t at = place<L>(first, 0, c.out);
        Vec<T> sum{};
        for (int64_t k = 0; k < c.kernel; ++k) sum += load_row<Vec<T>>(panel + c.taps[k] + at);
        store_some(y + at, sum / (row_cells * load_row<Vec<T>>(cells + at)), c.out);
      }
    }
  }
}

template <class T>
void avg_pool_backward(const PoolColumns& c, const PoolRows& rows, const void* pg, void* px, void* space) {
  constexpr int L = kLanes<T>;
  const T *g = static_cast<const T*>(pg), *cells = static_cast<const T*>(c.cells);
  // the shares of a row's windows have zeros on either side, so that all phases of the panel are sums of runs of them
  const int64_t size = c.stride * c.length, reach = c.stride > 0 ? (c.kernel - 1) / c.stride : 0,
                share_size = reach + c.length;
  T *x = static_cast<T*>(px), *lines = static_cast<T*>(space), *panels = lines + rows.block * c.in,
    *shares = panels + rows.block * size;
  if (!rows.tiled)
    for (int64_t i = 0; i < rows.in; ++i) x[i] = 0;
  for (int64_t begin = 0; begin < rows.out; begin += rows.block) {
    const int64_t count = begin + rows.block < rows.out ? rows.block : rows.out - begin;
    for (int64_t r = 0; r < count; ++r, g += c.out) {
      const T row_cells = static_cast<T>(rows.cells[begin + r]);
      T* share = shares + r * share_size + reach;
#pragma omp simd
      for (int64_t j = 0; j < c.out; ++j) share[j] = g[j] / (row_cells * cells[j]);
    }
    for (int64_t r = 0; r < count; ++r) {
      const T* share = shares + r * share_size + reach;
      T *panel = panels + r * size, *line = lines + r * c.in;
      if (c.stride == 0) {
        for (int64_t i = 0; i < c.in; ++i) line[i] = 0;
        for (int64_t j = 0; j < c.out; ++j)
          for (int64_t i = c.from[j]; i < c.to[j]; ++i) line[i] += share[j];
      }
      for (int64_t phase = 0; phase < c.stride && phase < c.kernel; ++phase)
        for (int64_t j = 0; j < c.out + reach; j += L) {
          Vec<T> sum{};
          for (int64_t k = phase, shift = 0; k < c.kernel; k += c.stride, ++shift)
            sum += load_row<Vec<T>>(share + j - shift);
          __builtin_memcpy(panel + phase * c.length + j, &sum, sizeof sum);
        }
    }
    if (c.stride > 0)
      for (int64_t r = 0; r < count; ++r) from_panel(c, panels + r * size, lines + r * c.in);
    for (int64_t r = 0; r < count; ++r) {
      const T* line = lines + r * c.in;
      for (int64_t i = rows.first[begin + r]; i < rows.first[begin + r + 1]; ++i) {
        T* to = x + rows.starts[i];
        if (rows.tiled) {
          for (int64_t k = 0; k < c.in; ++k) to[k] = line[k];
        } else {
#pragma omp simd
          for (int64_t k = 0; k < c.in; ++k) to[k] += line[k];
        }
      }
    }
  }
}

template <class T>
PoolLoops loops() {
  return {max_pool<T>, avg_pool<T>, avg_pool_backward<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill_pool(Table& t) {
  t.pool[0] = loops<float>();
  t.pool[1] = loops<double>();
}
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
