// Pooling, a row of results at a time. What its windows reach is laid out in a panel, whose rows hold the columns of
// one remainder by the stride: so a tap of neighbouring windows is a run of neighbours, for any stride. Padding is in
// the panel.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/pool.hpp>
#include <cotangent/tensor/kernels/transpose.hpp>
#include <cotangent/tensor/kernels/vector.hpp>

namespace cotangent::kernels {
namespace {

template <class T>
constexpr int kLanes = kVectorBytes / int(sizeof(T));
template <class T>
using Lane = PoolIndex<T>;

// The first n lanes.
template <class To, class V>
void store_some(To* p, V v, int64_t n) {
  if (n * int64_t(sizeof(To)) >= int64_t(sizeof v))
    __builtin_memcpy(p, &v, sizeof v);
  else
    for (int64_t i = 0; i < n; ++i) p[i] = v[i];
}
// Of the v-th vector of a block of results: the last one ends with the row, and so overlaps the one before it.
template <int L>
int64_t place(int64_t first, int v, int64_t out) {
  const int64_t at = first + v * L;
  return at + L <= out || out < L ? at : out - L;
}

template <class T>
void to_panel(const PoolColumns<T>& c, const T* row, T* panel) {
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
void from_panel(const PoolColumns<T>& c, const T* panel, T* row) {
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

template <class T>
bool has_nan(const T* x, int64_t n) {
  int nan = 0;
#pragma omp simd reduction(| : nan)
  for (int64_t i = 0; i < n; ++i) nan |= x[i] != x[i];
  return nan != 0;
}

// The maxima of V vectors of windows, whose rows start at `starts` and stand in the panels of the numbers `slots`.
template <class T, int L, int V, bool nan>
void max_block(const PoolColumns<T>& c, const int64_t* starts, const int64_t* slots, int64_t rows, const T* panels,
               int64_t first, T* y, Lane<T>* index) {
  using Lanes = Row<Lane<T>, L>;
  Row<T, L> best[V];
  Lanes at[V];  // from the window's beginning in the first row of the plane
  int64_t to[V];
  COTANGENT_UNROLL for (int v = 0; v < V; ++v) {
    to[v] = place<L>(first, v, c.out);
    best[v] = Row<T, L>{} - static_cast<T>(__builtin_inff());
    at[v] = load_row<Lanes>(c.first + to[v]) + static_cast<Lane<T>>(starts[0]);
  }
  for (int64_t r = 0; r < rows; ++r) {
    const T* panel = panels + slots[r] * c.stride * c.length;
    for (int64_t k = 0; k < c.kernel; ++k) {
      const Lanes cell = Lanes{} + static_cast<Lane<T>>(starts[r] + k * c.dilation);
      COTANGENT_UNROLL for (int v = 0; v < V; ++v) {
        const auto x = load_row<Row<T, L>>(panel + c.taps[k] + to[v]);
        if constexpr (nan) {
          const auto take = (x > best[v]) | (x != x);
          best[v] = take ? x : best[v];
          at[v] = take ? cell : at[v];
        } else {  // the comparisons differ so that the second one is a maximum, which waits for nothing but the last
                  // one
          at[v] = x <= best[v] ? at[v] : cell;
          best[v] = x > best[v] ? x : best[v];
        }
      }
    }
  }
  COTANGENT_UNROLL for (int v = 0; v < V; ++v) {
    store_some(y + to[v], best[v], c.out);
    store_some(index + to[v], at[v] + load_row<Lanes>(c.begin + to[v]), c.out);
  }
}

// Windows of 2 x 2 side by side need no panel.
template <class T, int L>
void max_quarters(const PoolColumns<T>& c, const T* x, int64_t top, int64_t bottom, T* y, Lane<T>* index) {
  using Lanes = Row<Lane<T>, L>;
  constexpr std::make_integer_sequence<int, L> lanes;
  for (int64_t first = 0; first < c.out; first += L) {
    const int64_t to = place<L>(first, 0, c.out);
    const auto load = [&](int64_t at) { return load_row<Row<T, L>>(x + at + 2 * to); };
    const Row<T, L> a = load(top), b = load(top + L), d = load(bottom), e = load(bottom + L);
    Row<T, L> best = every_second<T, L, 0>(a, b, lanes);
    Lanes at = Lanes{} + static_cast<Lane<T>>(top);
    const auto consider = [&](Row<T, L> v, int64_t cell) {
      const auto take = (v > best) | (v != v);
      best = take ? v : best;
      at = take ? Lanes{} + static_cast<Lane<T>>(cell) : at;
    };
    consider(every_second<T, L, 1>(a, b, lanes), top + 1);
    consider(every_second<T, L, 0>(d, e, lanes), bottom);
    consider(every_second<T, L, 1>(d, e, lanes), bottom + 1);
    at += load_row<Lanes>(c.begin + to);
    __builtin_memcpy(y + to, &best, sizeof best);
    __builtin_memcpy(index + to, &at, sizeof at);
  }
}
template <class T, int L>
void store_interleaved(T* y, Row<T, L> even, Row<T, L> odd) {
  constexpr std::make_integer_sequence<int, L> lanes;
  const auto low = interleave<T, L, L, false>(even, odd, lanes), high = interleave<T, L, L, true>(even, odd, lanes);
  __builtin_memcpy(y, &low, sizeof low);
  __builtin_memcpy(y + L, &high, sizeof high);
}
template <class T, int L>
void max_quarters_backward(const PoolColumns<T>& c, const T* g, const Lane<T>* index, int64_t top, int64_t bottom,
                           T* x) {
  using Lanes = Row<Lane<T>, L>;
  for (int64_t first = 0; first < c.out; first += L) {
    const int64_t from = place<L>(first, 0, c.out);
    const auto gradient = load_row<Row<T, L>>(g + from);
    const Lanes at = load_row<Lanes>(index + from) - load_row<Lanes>(c.begin + from);
    const auto of_cell = [&](int64_t cell) { return at == static_cast<Lane<T>>(cell) ? gradient : Row<T, L>{}; };
    store_interleaved<T, L>(x + top + 2 * from, of_cell(top), of_cell(top + 1));
    store_interleaved<T, L>(x + bottom + 2 * from, of_cell(bottom), of_cell(bottom + 1));
  }
}

// Each of these works on a block of rows step by step: what is stored by one step has then left the processor's store
// buffer when the next one loads it, from other places than it was stored to.

template <class T, int L, bool nan>
void max_pool_rows(const PoolColumns<T>& c, const PoolRows& rows, const T* x, T* y, Lane<T>* index, T* panels) {
  for (int64_t begin = 0; begin < rows.out; begin += rows.block) {
    const int64_t end = begin + rows.block < rows.out ? begin + rows.block : rows.out;
    for (int64_t i = rows.first[begin], made = 0; i < rows.first[end]; ++i)
      if (rows.slots[i] == made) to_panel(c, x + rows.starts[i], panels + made++ * c.stride * c.length);
    for (int64_t o = begin; o < end; ++o, y += c.out, index += c.out) {
      const int64_t i = rows.first[o], count = rows.first[o + 1] - i;
      for (int64_t first = 0; first < c.out; first += 2 * L) {
        if (c.out - first > L)
          max_block<T, L, 2, nan>(c, rows.starts + i, rows.slots + i, count, panels, first, y, index);
        else
          max_block<T, L, 1, nan>(c, rows.starts + i, rows.slots + i, count, panels, first, y, index);
      }
    }
  }
}
template <class T>
void max_pool(const PoolColumns<T>& c, const PoolRows& rows, const T* x, T* y, Lane<T>* index, T* space) {
  with_lanes<T>(c.out, [&](auto lanes) {
    constexpr int L = lanes;
    if (rows.quarters && c.out >= L)
      for (int64_t o = 0; o < rows.out; ++o)
        max_quarters<T, L>(c, x, rows.starts[2 * o], rows.starts[2 * o + 1], y + o * c.out, index + o * c.out);
    else if (has_nan(x, rows.in))
      max_pool_rows<T, L, true>(c, rows, x, y, index, space);
    else
      max_pool_rows<T, L, false>(c, rows, x, y, index, space);
  });
}

template <class T>
void max_pool_backward(const PoolColumns<T>& c, const PoolRows& rows, const T* g, const Lane<T>* index, T* x) {
  with_lanes<T>(c.out, [&](auto lanes) {
    constexpr int L = lanes;
    const bool quarters = rows.quarters && c.out >= L;
    if (!quarters || rows.in != 4 * rows.out * c.out)
      for (int64_t i = 0; i < rows.in; ++i) x[i] = 0;
    if (quarters)
      for (int64_t o = 0; o < rows.out; ++o, g += c.out, index += c.out)
        max_quarters_backward<T, L>(c, g, index, rows.starts[2 * o], rows.starts[2 * o + 1], x);
    else
      for (int64_t i = 0; i < rows.out * c.out; ++i) x[index[i]] += g[i];
  });
}

// How many results choose the vectors of means: those of 2 x 2 windows lie inside of a row; others may reach beyond a
// row that does not fill one, as the next row is stored later.
template <class T>
int64_t lanes_for(const PoolColumns<T>& c, const PoolRows& rows) {
  return rows.quarters ? c.out : 2 * c.out - 1;
}

template <class T, int L>
void avg_quarters(const PoolColumns<T>& c, const T* top, const T* bottom, T row_cells, T* y) {
  constexpr std::make_integer_sequence<int, L> lanes;
  for (int64_t first = 0; first < c.out; first += L) {
    const int64_t to = place<L>(first, 0, c.out);
    const auto load = [&](const T* p) { return load_row<Row<T, L>>(p + 2 * to); };
    const Row<T, L> low = load(top) + load(bottom), high = load(top + L) + load(bottom + L);
    const auto cells = row_cells * load_row<Row<T, L>>(c.cells + to);
    const Row<T, L> mean = (every_second<T, L, 0>(low, high, lanes) + every_second<T, L, 1>(low, high, lanes)) / cells;
    __builtin_memcpy(y + to, &mean, sizeof mean);
  }
}

// The sums of the columns of some rows.
template <class T, int L>
void sum_rows(const T* x, const int64_t* starts, int64_t rows, int64_t n, T* line) {
  if (n < L) {
    for (int64_t i = 0; i < n; ++i) {
      line[i] = 0;
      for (int64_t r = 0; r < rows; ++r) line[i] += x[starts[r] + i];
    }
    return;
  }
  for (int64_t first = 0; first < n; first += L) {
    const int64_t at = place<L>(first, 0, n);
    Row<T, L> sum{};
    for (int64_t r = 0; r < rows; ++r) sum += load_row<Row<T, L>>(x + starts[r] + at);
    __builtin_memcpy(line + at, &sum, sizeof sum);
  }
}
template <class T, int L>
void copy_to_rows(const T* line, int64_t n, const int64_t* starts, int64_t rows, T* x) {
  if (n < L) {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < n; ++i) x[starts[r] + i] = line[i];
    return;
  }
  for (int64_t first = 0; first < n; first += L) {
    const int64_t at = place<L>(first, 0, n);
    const auto v = load_row<Row<T, L>>(line + at);
    for (int64_t r = 0; r < rows; ++r) __builtin_memcpy(x + starts[r] + at, &v, sizeof v);
  }
}

// Whether the windows are of 2, 4, 8 .. columns, and side by side: then neighbours are added, and neighbours of these.
template <class T>
bool are_halved(const PoolColumns<T>& c) {
  return c.kernel > 1 && (c.kernel & (c.kernel - 1)) == 0 && c.stride == c.kernel && c.head == 0 &&
         c.in == c.kernel * c.out;
}
template <class T, int L>
void halve(const PoolColumns<T>& c, const T* line, T* sums) {
  constexpr std::make_integer_sequence<int, L> lanes;
  for (int64_t width = c.kernel / 2; width > 0; width /= 2, line = sums)
    for (int64_t i = 0; i < width * c.out; i += L) {
      const auto low = load_row<Row<T, L>>(line + 2 * i), high = load_row<Row<T, L>>(line + 2 * i + L);
      const Row<T, L> sum = every_second<T, L, 0>(low, high, lanes) + every_second<T, L, 1>(low, high, lanes);
      __builtin_memcpy(sums + i, &sum, sizeof sum);
    }
}
// Back: from the end, since it doubles in place.
template <class T, int L>
void twice(const PoolColumns<T>& c, const T* shares, T* line) {
  for (int64_t width = 1; width < c.kernel; width *= 2, shares = line)
    for (int64_t i = (width * c.out - 1) / L * L; i >= 0; i -= L) {
      const auto share = load_row<Row<T, L>>(shares + i);
      store_interleaved<T, L>(line + 2 * i, share, share);
    }
}

template <class T, int L>
void avg_pool_rows(const PoolColumns<T>& c, const PoolRows& rows, const T* x, T* y, T* lines) {
  const T* cells = c.cells;
  const int64_t size = c.stride * c.length;
  const bool along = c.stride == 0 || c.out == 1;                                 // windows are summed one by one
  const bool halved = !along && are_halved(c), direct = !along && c.stride == 1;  // to the panel
  const int64_t used = direct ? c.groups : c.in, taps = halved ? 1 : c.kernel;
  T* panels = lines + rows.block * c.in;
  if (rows.quarters && c.out >= L) {
    for (int64_t o = 0; o < rows.out; ++o)
      avg_quarters<T, L>(c, x + rows.starts[2 * o], x + rows.starts[2 * o + 1], static_cast<T>(rows.cells[o]),
                         y + o * c.out);
    return;
  }
  for (int64_t begin = 0; begin < rows.out; begin += rows.block) {
    const int64_t count = begin + rows.block < rows.out ? rows.block : rows.out - begin;
    for (int64_t r = 0; r < count; ++r) {
      const int64_t begins = rows.first[begin + r], ends = rows.first[begin + r + 1];
      T* line = direct ? panels + r * size + c.at : lines + r * c.in;
      with_lanes<T>(used, [&](auto n) { sum_rows<T, n>(x, rows.starts + begins, ends - begins, used, line); });
    }
    if (halved)
      for (int64_t r = 0; r < count; ++r) halve<T, L>(c, lines + r * c.in, panels + r * size);
    else if (!along && !direct)
      for (int64_t r = 0; r < count; ++r) to_panel(c, lines + r * c.in, panels + r * size);
    for (int64_t r = 0; r < count; ++r, y += c.out) {
      const T row_cells = static_cast<T>(rows.cells[begin + r]);
      const T *line = lines + r * c.in, *panel = panels + r * size;
      if (along) {
        for (int64_t j = 0; j < c.out; ++j) {
          T sum = 0;
#pragma omp simd reduction(+ : sum)
          for (int64_t i = c.from[j]; i < c.to[j]; ++i) sum += line[i];
          y[j] = sum / (row_cells * cells[j]);
        }
        continue;
      }
      for (int64_t first = 0; first < c.out; first += L) {
        const int64_t at = place<L>(first, 0, c.out);
        Row<T, L> sum{};
        for (int64_t k = 0; k < taps; ++k) sum += load_row<Row<T, L>>(panel + c.taps[k] + at);
        store_some(y + at, sum / (row_cells * load_row<Row<T, L>>(cells + at)), (rows.out - begin - r) * c.out);
      }
    }
  }
}

template <class T>
void avg_pool(const PoolColumns<T>& c, const PoolRows& rows, const T* x, T* y, T* space) {
  with_lanes<T>(lanes_for(c, rows), [&](auto lanes) { avg_pool_rows<T, lanes>(c, rows, x, y, space); });
}

template <class T, int L>
void avg_quarters_backward(const PoolColumns<T>& c, const T* g, T row_cells, T* top, T* bottom) {
  for (int64_t first = 0; first < c.out; first += L) {
    const int64_t from = place<L>(first, 0, c.out);
    const auto share = load_row<Row<T, L>>(g + from) / (row_cells * load_row<Row<T, L>>(c.cells + from));
    store_interleaved<T, L>(top + 2 * from, share, share);
    store_interleaved<T, L>(bottom + 2 * from, share, share);
  }
}

template <class T, int L>
void avg_pool_rows_backward(const PoolColumns<T>& c, const PoolRows& rows, const T* g, T* x, T* lines) {
  const T* cells = c.cells;
  // the shares of a row's windows have zeros on either side, so that all phases of the panel are sums of runs of them
  const int64_t size = c.stride * c.length, reach = c.stride > 0 ? (c.kernel - 1) / c.stride : 0,
                share_size = reach + c.length;
  const bool along = c.stride == 0 || c.out == 1, halved = !along && are_halved(c);
  const bool direct = !along && c.stride == 1 && c.groups == c.in;  // from the panel
  T *panels = lines + rows.block * c.in, *shares = panels + rows.block * size;
  const bool quarters = rows.quarters && c.out >= L;
  if (quarters ? rows.in != 4 * rows.out * c.out : !rows.tiled)
    for (int64_t i = 0; i < rows.in; ++i) x[i] = 0;
  if (quarters) {
    for (int64_t o = 0; o < rows.out; ++o)
      avg_quarters_backward<T, L>(c, g + o * c.out, static_cast<T>(rows.cells[o]), x + rows.starts[2 * o],
                                  x + rows.starts[2 * o + 1]);
    return;
  }
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
      if (along) {
        for (int64_t i = 0; i < c.in; ++i) line[i] = 0;
        for (int64_t j = 0; j < c.out; ++j)
          for (int64_t i = c.from[j]; i < c.to[j]; ++i) line[i] += share[j];
        continue;
      }
      if (halved) {
        twice<T, L>(c, share, panel);
        continue;
      }
      for (int64_t phase = 0; phase < c.stride && phase < c.kernel; ++phase)
        for (int64_t j = 0; j < c.out + reach; j += L) {
          Row<T, L> sum{};
          for (int64_t k = phase, shift = 0; k < c.kernel; k += c.stride, ++shift)
            sum += load_row<Row<T, L>>(share + j - shift);
          __builtin_memcpy(panel + phase * c.length + j, &sum, sizeof sum);
        }
    }
    if (!along && !halved && !direct)
      for (int64_t r = 0; r < count; ++r) from_panel(c, panels + r * size, lines + r * c.in);
    for (int64_t r = 0; r < count; ++r) {
      const T* line = halved ? panels + r * size : direct ? panels + r * size + c.at : lines + r * c.in;
      const int64_t begins = rows.first[begin + r], ends = rows.first[begin + r + 1];
      if (rows.tiled)
        with_lanes<T>(c.in, [&](auto n) { copy_to_rows<T, n>(line, c.in, rows.starts + begins, ends - begins, x); });
      else
        for (int64_t i = begins; i < ends; ++i) {
          T* to = x + rows.starts[i];
#pragma omp simd
          for (int64_t k = 0; k < c.in; ++k) to[k] += line[k];
        }
    }
  }
}

template <class T>
void avg_pool_backward(const PoolColumns<T>& c, const PoolRows& rows, const T* g, T* x, T* space) {
  with_lanes<T>(lanes_for(c, rows), [&](auto lanes) { avg_pool_rows_backward<T, lanes>(c, rows, g, x, space); });
}

template <class T>
PoolLoops<T> loops() {
  return {max_pool<T>, max_pool_backward<T>, avg_pool<T>, avg_pool_backward<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<PoolLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
