// Convolution with 3 x 3 taps side by side by Winograd's minimal filtering (Lavin and Gray 2016): 2 x 2 neighbouring
// results of a channel read 4 x 4 pixels. Linear maps of both the pixels and the taps to 4 x 4 turn their convolution
// into 16 multiplications, where the definition takes 36, and another map turns the sums over all channels into
// results:
//   y = A' [sum over channels of (G w G') * (B' x B)] A
// The gradient of the weights is the adjoint: G' [sum over tiles of (A dy A') * (B' x B)] G.
// With A and G' in each other's place the same tile gives 3 x 3 results of 2 x 2 taps: a stride of two over 4 x 4 taps.
// Larger kernels are cut into pieces, which count as channels of their own. A piece of fewer taps is filled with zeros,
// whose maps have a row or a column of zeros: the products with these are left out.
#include <array>

#include <cotangent/tensor/conv/loops_internal.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>

namespace cotangent::raw {
namespace {

using kernels::ConvLoops;
using kernels::PixelRun;
using kernels::WinogradLine;

constexpr int64_t kSquare = 16;         // elements of a tile
constexpr int64_t kGradientPanels = 2;  // of tiles that a weight gradient sums at once, on all machines

/// How many results a dimension a tile gives, from how many taps. The taps of a dimension come in sorts: pieces side by
/// side, or, with a stride, those of one remainder by it, for which pixels are sorted alike. Either way each sort
/// counts as channels of its own, whose convolution has no stride. In the adjoint of a stride results and taps are
/// sorted: each phase of the results has taps of its own, and all of them read the same tile.
struct Tiling {
  struct Sort {
    int64_t first, pixel;  ///< tap, and where its tile begins in that of all sorts
    bool is_short;         ///< of a dimension whose last taps are missing
  };
  int64_t stride, spread, results, taps, step;
  bool backwards;    ///< the first tap reads the last pixel
  int64_t real[3];   ///< taps
  ConvAxis axes[3];  ///< with zeros for missing taps

  explicit Tiling(const ConvGroup& s)
      : stride(s.axes[2].step),
        spread(s.axes[2].spread),
        results(stride * spread > 1 ? 3 : 2),
        taps(5 - results),
        step(stride * spread),
        backwards(s.axes[2].shift_step < 0),
        real{s.axes[0].taps, s.axes[1].taps, s.axes[2].taps},
        axes{s.axes[0], s.axes[1], s.axes[2]} {
    for (int d = 1; d < 3; ++d) axes[d].taps = sorts(d) * taps;
  }
  int64_t sorts(int d) const { return step > 1 ? step : (real[d] + taps - 1) / taps; }
  Sort sort(int d, int64_t i) const {
    const int64_t first = step > 1 ? i : i * taps, last = axes[d].taps - taps;
    return {first, spread > 1 ? 0 : backwards ? last - first : first, i + 1 == sorts(d) && real[d] < axes[d].taps};
  }
  /// The row (or column) of the tile that is zero where taps are missing.
  int64_t zero() const { return backwards ? 0 : 3; }
  /// Multiplications for a row of a tile.
  int64_t products(int d) const { return 4 * sorts(d) - (real[d] < axes[d].taps ? 1 : 0); }
  int64_t phases() const { return spread * spread; }
  /// Pixels of the result a dimension, and how many of them lie before the first one.
  int64_t side() const { return results * spread; }
  int64_t skipped(const ConvAxis& a) const { return spread > 1 ? a.shift % spread : 0; }
  int64_t count(int d) const { return (axes[d].positions + skipped(axes[d]) + side() - 1) / side(); }
};

/// Taps that are mapped together: of a sort of rows and one of columns, in a slice. They belong to one phase of the
/// results, and have a place in its sums.
struct Kind {
  Tiling::Sort row, column;
  int64_t slice, phase, place;
};

/// All kinds of taps. In a phase, those whose rows are complete come first, and of these those whose columns are not;
/// then the other way round. So those that have products in an element of the tile follow one another.
PooledVector<Kind> kinds_of(const Tiling& t) {
  PooledVector<Kind> kinds;
  for (const bool short_row : {false, true})
    for (const bool short_column : {!short_row, short_row})
      for (int64_t i = 0; i < t.sorts(1); ++i)
        for (int64_t j = 0; j < t.sorts(2); ++j)
          for (int64_t k = 0; k < t.axes[0].taps; ++k) {
            const Tiling::Sort row = t.sort(1, i), column = t.sort(2, j);
            if (row.is_short != short_row || column.is_short != short_column) continue;
            if (t.spread > 1)
              kinds.push_back({row, column, k, i * t.spread + j, k});
            else
              kinds.push_back({row, column, k, 0, static_cast<int64_t>(kinds.size())});
          }
  return kinds;
}
/// The places of a phase's kinds from the first to before the last one that has products in element i of the tile.
std::array<int64_t, 2> used_places(const Tiling& t, const PooledVector<Kind>& kinds, int64_t phase, int64_t i) {
  int64_t first = 0, last = 0;
  for (const Kind& kind : kinds) {
    const bool zero = (kind.row.is_short && i / 4 == t.zero()) || (kind.column.is_short && i % 4 == t.zero());
    if (kind.phase != phase || zero) continue;
    if (last == 0) first = kind.place;
    last = kind.place + 1;
  }
  return {first, last};
}

/// The same source, in tiles instead of positions of one result.
ConvSource tile_source(const ConvGroup& s, const Tiling& t) {
  ConvAxis axes[3] = {t.axes[0], t.axes[1], t.axes[2]};
  for (int d = 1; d < 3; ++d) {
    ConvAxis& a = axes[d];
    a.shift = t.spread > 1 ? a.shift / t.spread - 1 : a.low(), a.shift_step = 1;
    a.positions = t.count(d);
    a.step = t.results * t.stride, a.spread = 1;
    a.place = -t.skipped(t.axes[d]), a.place_step = t.side();
    a.taps = t.spread > 1 ? 4 : t.axes[d].taps + t.stride * (4 - t.taps);
  }
  return ConvSource({axes, s.images, s.channels, s.all_channels, s.result_channels, s.format}, true);
}

/// Neighbouring tiles, no more than a vector of them a piece: where they lie in the source and in the result.
struct Panel {
  static constexpr int64_t kMax = 128;
  int64_t tiles = 0, pieces = 0;
  PixelRun runs[kMax];
  WinogradLine lines[kMax];
};

/// Cuts the tiles of a unit into panels of `width` and calls f(panel) for each.
template <class F>
void for_panels(const ConvSource& s, const ConvSource::Unit& u, int64_t side, int64_t lanes, int64_t width, F&& f) {
  const ConvAxis &y = s.axes[1], &x = s.axes[2];
  Panel panel;
  for (int64_t i = 0; i < s.lines(u); ++i) {
    const ConvSource::Line at = s.line(u, i);
    const int64_t row = u.first_row + u.rows - at.pixels_left / x.positions;
    const int64_t top = y.place + side * row;
    for (int64_t first = 0; first < x.positions;) {
      const int64_t count = std::min({x.positions - first, lanes, width - panel.tiles});
      panel.runs[panel.pieces] = {at.source + first, panel.tiles, count};
      const int64_t left = x.place + side * first;
      panel.lines[panel.pieces++] = {panel.tiles,
                                     at.result + side * first,
                                     std::max<int64_t>(-top, 0),
                                     std::max<int64_t>(-left, 0),
                                     std::min(side, y.result - top),
                                     std::min(side * count, x.result - left)};
      first += count, panel.tiles += count;
      if (panel.tiles < width) continue;
      f(static_cast<const Panel&>(panel));
      panel.tiles = panel.pieces = 0;
    }
  }
  if (panel.tiles > 0) f(static_cast<const Panel&>(panel));
}

/// Where the elements of a tile of each kind lie, from that tile's own place in its channel.
PooledVector<int64_t> square_offsets(const ConvSource& tiles, const Tiling& t, const PooledVector<Kind>& kinds) {
  PooledVector<int64_t> pixels(static_cast<size_t>(tiles.depth())), squares;
  tiles.offsets(pixels.data());
  for (const Kind& kind : kinds)
    for (int64_t i = 0; i < 4 && kind.phase == 0; ++i)
      for (int64_t j = 0; j < 4; ++j) {
        const int64_t row = kind.slice * tiles.axes[1].taps + kind.row.pixel + i * t.stride;
        squares.push_back(pixels[static_cast<size_t>(row * tiles.axes[2].taps + kind.column.pixel + j * t.stride)]);
      }
  return squares;
}

/// Vectors side by side that cover n elements.
struct Vectors {
  Vectors(int64_t lanes, int64_t n) : runs(make_tensor({3 * n}, int64)) {
    for (int64_t i = 0; i < n; i += lanes) data()[count++] = {i, i, lanes};
  }
  PixelRun* data() const { return reinterpret_cast<PixelRun*>(runs.data<int64_t>()); }
  Tensor runs;
  int64_t count = 0;
};

template <class T>
const kernels::WinogradLoops<T>& maps() {
  return kernels::kernels().winograd.of<T>();
}

/// The 16 elements that the tiles of a panel are mapped to, kind by kind and channel by channel: each in a plane of its
/// own, `plane` apart, in rows of `width`.
template <class T>
void map_source(const ConvSource& tiles, const Panel& panel, const PooledVector<int64_t>& squares, const T* x,
                int64_t width, int64_t plane, T* to) {
  const int64_t kinds = static_cast<int64_t>(squares.size()) / kSquare;
  for (int64_t p = 0; p < kinds; ++p)
    maps<T>().source({.rows = tiles.channels,
                      .x = x,
                      .x_row = tiles.plane(),
                      .offsets = squares.data() + p * kSquare,
                      .y = to + p * tiles.channels * width,
                      .y_row = width,
                      .y_line = 4 * plane,
                      .y_plane = plane,
                      .runs = panel.runs,
                      .run_count = panel.pieces});
}

}  // namespace

bool winograd_pays(const ConvGroup& s, int64_t rows) {
  const ConvAxis &z = s.axes[0], &y = s.axes[1], &x = s.axes[2];
  if (z.place_step != 1 || z.spread != 1 || s.channels < 16 || rows < 16) return false;
  for (const ConvAxis* a : {&y, &x}) {
    const bool strided = a->step == 2 && a->spread == 1 && a->shift_step == 1;
    const bool adjoint = a->step == 1 && a->spread == 2 && a->shift_step == -1;
    const bool plain = a->step == 1 && a->spread == 1 && std::abs(a->shift_step) == 1;
    if (a->step != x.step || a->spread != x.spread || a->shift_step != x.shift_step || a->place_step != 1 ||
        !(plain || ((a->taps == 3 || a->taps == 4) && (strided || adjoint))))
      return false;
  }
  const Tiling t(s);
  const int64_t products = t.products(1) * t.products(2) * t.count(1) * t.count(2);
  return 3 * products <= 2 * y.taps * x.taps * y.positions * x.positions;
}

template <class T>
void convolve_winograd(const ConvSource& s, int64_t groups, int64_t rows, const T* x, const T* w, WeightStrides strides,
                       const T* bias, T* y) {
  const ConvLoops<T>& loop = loops<T>();
  const Tiling tiling(s);
  const ConvSource tiles = tile_source(s, tiling);
  const PooledVector<Kind> kinds = kinds_of(tiling);
  const int64_t phases = tiling.phases(), channels = s.channels,
                depth = static_cast<int64_t>(kinds.size()) / phases * channels, block = loop.rows,
                blocks = (rows + block - 1) / block, all_blocks = groups * blocks;
  const int64_t width = loop.vectors * loop.lanes;
  // A vector more a plane: maps write beyond what they should, and planes would compete for places in the cache.
  const int64_t weight_depth = depth * block, weight_plane = weight_depth + loop.lanes;
  const int64_t source_plane = depth * width + loop.lanes, phase_rows = blocks * block * width,
                result_plane = phases * phase_rows + loop.lanes;

  ConvGroup whole = s;  // with the missing taps
  std::copy_n(tiling.axes, 3, whole.axes);
  const Tensor packed = make_tensor({all_blocks * whole.depth() * block + loop.lanes}, dtype_of<T>);
  pack_weights(whole, groups, rows, block, w, strides, packed.data<T>());
  const Tensor weights = make_tensor({phases * all_blocks * kSquare * weight_plane}, dtype_of<T>);
  const PooledVector<int64_t> squares = square_offsets(tiles, tiling, kinds);
  PooledVector<int64_t> taps;
  const auto tap = [&](const Tiling::Sort& sort, int64_t i) {
    return sort.first + (tiling.backwards ? tiling.taps - 1 - i : i) * tiling.step;
  };
  for (const Kind& kind : kinds)
    for (int64_t i = 0; i < tiling.taps; ++i)
      for (int64_t j = 0; j < tiling.taps; ++j) {
        const int64_t row = kind.slice * whole.axes[1].taps + tap(kind.row, i);
        taps.push_back((row * whole.axes[2].taps + tap(kind.column, j)) * block);
      }
  const bool three = tiling.results == 3;
  const auto weight_map = three ? maps<T>().from_two : maps<T>().from_three;
  const auto result_map = phases > 1 ? maps<T>().six_results : three ? maps<T>().three_results : maps<T>().two_results;
  const Vectors columns(loop.lanes, block);
  parallel_for(0, all_blocks, std::max<int64_t>(1, 4096 / (phases * weight_depth)), [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b)
      for (size_t k = 0; k < kinds.size(); ++k)
        weight_map({.rows = channels,
                    .x = packed.data<T>() + b * whole.depth() * block,
                    .x_row = whole.taps() * block,
                    .offsets = taps.data() + static_cast<int64_t>(k) * tiling.taps * tiling.taps,
                    .y = weights.data<T>() + (kinds[k].phase * all_blocks + b) * kSquare * weight_plane +
                         kinds[k].place * channels * block,
                    .y_row = block,
                    .y_line = 4 * weight_plane,
                    .y_plane = weight_plane,
                    .runs = columns.data(),
                    .run_count = columns.count});
  });
  // The element in the middle of the sums takes part in all results alike, by a quarter of it in nine.
  const Tensor starts = make_tensor({(all_blocks + 1) * block}, dtype_of<T>);
  T* const zeros = starts.data<T>() + all_blocks * block;
  std::fill_n(starts.data<T>(), starts.numel(), T(0));
  for (int64_t i = 0; i < groups * rows && bias; ++i)
    starts.data<T>()[i / rows * blocks * block + i % rows] = three ? 4 * bias[i] : bias[i];
  PooledVector<int64_t> panel_offsets(static_cast<size_t>(depth));
  for (int64_t k = 0; k < depth; ++k) panel_offsets[static_cast<size_t>(k)] = k * width;
  PooledVector<std::array<int64_t, 2>> used;
  for (int64_t i = 0; i < kSquare * phases; ++i) used.push_back(used_places(tiling, kinds, i % phases, i / phases));

  const int64_t tasks = tiles.units() * groups;
  const double work = double(s.images) * double(s.result_plane()) * double(groups * rows * s.depth());
  const ResultRows<T> result(tiles, rows, tiling.side());
  const int64_t copy = round_up(tiles.size() + loop.lanes, 64), size = copy + kSquare * (source_plane + result_plane);
  for_tasks<T>(tasks, work, size + result.size(), copy, [&](T* space, int64_t task) {
    T *const source = space + copy, *const sums = source + kSquare * source_plane;
    const int64_t g = task % groups;
    const ConvSource::Unit u = tiles.unit(task / groups);
    const T* in = tiles.load(u, x + g * channels * s.channel_stride, space);
    T* const out = result.begin(u, y + g * rows * s.result_channel_stride, space + size);
    for_panels(tiles, u, tiling.side(), loop.lanes, width, [&](const Panel& panel) {
      map_source<T>(tiles, panel, squares, in, width, source_plane, source);
      int64_t from[kernels::kWinogradVectors];
      for (int64_t v = 0; v < loop.vectors; ++v) from[v] = v * loop.lanes;
      const int64_t count = (panel.tiles + loop.lanes - 1) / loop.lanes;
      for (int64_t i = 0; i < kSquare; ++i)
        for (int64_t b = 0; b < phases * blocks; ++b) {
          const int64_t of_group = g * blocks + b % blocks, phase = b / blocks;
          const auto [first, last] = used[static_cast<size_t>(i * phases + phase)];
          loop.product({.depth = (last - first) * channels,
                        .vectors = count,
                        .weights = weights.data<T>() + ((phase * all_blocks + of_group) * kSquare + i) * weight_plane +
                                   first * channels * block,
                        .start = i == 5 ? starts.data<T>() + of_group * block : zeros,
                        .x = source + i * source_plane,
                        .offsets = panel_offsets.data() + first * channels,
                        .from = from,
                        .place = from,
                        .y = sums + i * result_plane + b * block * width,
                        .row_stride = width});
        }
      result_map({.rows = rows,
                  .vectors = count,
                  .products = sums,
                  .row_stride = width,
                  .plane = result_plane,
                  .phase = phase_rows,
                  .lines = panel.lines,
                  .line_count = panel.pieces,
                  .y = out,
                  .y_channel = result.channel_stride(),
                  .y_row = s.axes[2].result});
    });
    result.finish(u, y + g * rows * s.result_channel_stride, space + size);
  });
}

template <class T>
void correlate_winograd(const ConvSource& s, int64_t groups, int64_t rows, const T* x, const T* g, T* dw) {
  const ConvLoops<T>& loop = loops<T>();
  const Tiling tiling(s);
  const ConvSource tiles = tile_source(s, tiling);
  const PooledVector<Kind> kinds = kinds_of(tiling);
  const int64_t channels = s.channels, depth = static_cast<int64_t>(kinds.size()) * channels, side = tiling.results,
                whole_row = tiling.axes[2].taps, whole_plane = tiling.axes[1].taps * whole_row,
                taps = s.axes[0].taps * whole_plane;
  const int64_t height = round_up(depth, loop.outer_rows), line = round_up(rows, loop.lanes);
  // the tiles of a unit in equal panels
  const ConvSource::Unit largest = tiles.unit(0);
  const int64_t most = kGradientPanels * loop.vectors * loop.lanes + loop.lanes,
                unit = largest.images * tiles.axes[0].positions * largest.rows * tiles.axes[2].positions,
                panels = (unit + most - 1) / most;
  const int64_t width = round_up((unit + panels - 1) / panels, loop.lanes);
  const int64_t source_plane = depth * width + loop.lanes, gradient_plane = width * line + loop.lanes,
                sum_plane = height * line + loop.lanes, turned_row = side * width * line;
  const int64_t each = taps * channels * line, chunks = chunk_count(tiles, groups * each), tasks = chunks * groups;

  const PooledVector<int64_t> squares = square_offsets(tiles, tiling, kinds);
  PooledVector<int64_t> panel_offsets, pixel_offsets, sum_offsets;
  for (int64_t k = 0; k < height; ++k) panel_offsets.push_back(std::min(k, depth - 1) * width);
  for (int64_t i = 0; i < side * side; ++i) pixel_offsets.push_back(i / side * turned_row + i % side * line);
  for (int64_t i = 0; i < kSquare; ++i) sum_offsets.push_back(i * sum_plane);
  const bool three = side == 3;
  const auto gradient_map = three ? maps<T>().from_three : maps<T>().from_two;
  const auto weight_map = three ? maps<T>().to_two : maps<T>().to_three;
  const Vectors vectors(loop.lanes, line);
  PooledVector<std::array<int64_t, 2>> used;
  for (int64_t i = 0; i < kSquare; ++i) used.push_back(used_places(tiling, kinds, 0, i));

  const double work = double(s.images) * double(s.result_plane()) * double(groups * rows * s.depth());
  const int64_t copy = round_up(tiles.size() + loop.lanes, 64), cleared = copy + side * turned_row,
                size = cleared + kSquare * (source_plane + gradient_plane + sum_plane);
  const Tensor partial = make_tensor({tasks * each}, dtype_of<T>);
  for_tasks<T>(tasks, work, size, cleared, [&](T* space, int64_t task) {
    T *const turned = space + copy, *const source = space + cleared, *const gradient = source + kSquare * source_plane,
             *const sums = gradient + kSquare * gradient_plane;
    const int64_t group = task % groups, chunk = task / groups;
    std::memset(sums, 0, static_cast<size_t>(kSquare * sum_plane) * sizeof(T));
    for (int64_t i = tiles.units() * chunk / chunks; i < tiles.units() * (chunk + 1) / chunks; ++i) {
      const ConvSource::Unit u = tiles.unit(i);
      const T* in = tiles.load(u, x + group * channels * s.channel_stride, space);
      for_panels(tiles, u, side, loop.lanes, width, [&](const Panel& panel) {
        map_source<T>(tiles, panel, squares, in, width, source_plane, source);
        for (int64_t p = 0; p < panel.pieces; ++p)
          for (int64_t j = 0; j < side; ++j) {
            const WinogradLine& at = panel.lines[p];
            T* const to = turned + j * turned_row + side * at.tile * line;
            const int64_t columns = j < at.rows ? at.columns : 0;
            if (columns > 0)
              gather_gradient(s, g + group * rows * s.result_channel_stride, at.place + j * s.axes[2].result, rows,
                              columns, to, line);
            std::memset(to + columns * line, 0,
                        static_cast<size_t>((side * panel.runs[p].count - columns) * line) * sizeof(T));
          }
        gradient_map({.rows = panel.tiles,
                      .x = turned,
                      .x_row = side * line,
                      .offsets = pixel_offsets.data(),
                      .y = gradient,
                      .y_row = line,
                      .y_line = 4 * gradient_plane,
                      .y_plane = gradient_plane,
                      .runs = vectors.data(),
                      .run_count = vectors.count});
        for (int64_t j = 0; j < kSquare; ++j) {
          const auto [first, last] = used[static_cast<size_t>(j)];
          for (int64_t column = 0; column < line; column += loop.outer_vectors * loop.lanes)
            for (int64_t k = first * channels / loop.outer_rows * loop.outer_rows; k < last * channels;
                 k += loop.outer_rows)
              loop.outer({.pixels = panel.tiles,
                          .x = source + j * source_plane,
                          .offsets = panel_offsets.data() + k,
                          .g = gradient + j * gradient_plane + column,
                          .g_stride = line,
                          .channels = std::min(loop.outer_vectors * loop.lanes, line - column),
                          .sums = sums + j * sum_plane + k * line + column,
                          .sums_stride = line});
        }
      });
    }
    for (const Kind& kind : kinds)
      weight_map({.rows = channels,
                  .x = sums + kind.place * channels * line,
                  .x_row = line,
                  .offsets = sum_offsets.data(),
                  .y = partial.data<T>() + task * each +
                       (kind.slice * whole_plane + kind.row.first * whole_row + kind.column.first) * line,
                  .y_row = taps * line,
                  .y_line = tiling.step * whole_row * line,
                  .y_plane = tiling.step * line,
                  .runs = vectors.data(),
                  .run_count = vectors.count});
  });
  if (taps == s.taps()) return sum_chunks(partial.data<T>(), chunks, groups, each, taps * channels, rows, line, dw);
  const Tensor all =
      make_tensor({groups * rows * channels * s.axes[0].taps, tiling.axes[1].taps, whole_row}, dtype_of<T>);
  sum_chunks(partial.data<T>(), chunks, groups, each, taps * channels, rows, line, all.data<T>());
  for (int64_t i = 0; i < all.shape()[0]; ++i)
    for (int64_t j = 0; j < s.axes[1].taps; ++j, dw += s.axes[2].taps)
      std::copy_n(all.data<T>() + i * whole_plane + j * whole_row, s.axes[2].taps, dw);
}

template void convolve_winograd(const ConvSource&, int64_t, int64_t, const float*, const float*, WeightStrides,
                                const float*, float*);
template void convolve_winograd(const ConvSource&, int64_t, int64_t, const double*, const double*, WeightStrides,
                                const double*, double*);
template void correlate_winograd(const ConvSource&, int64_t, int64_t, const float*, const float*, float*);
template void correlate_winograd(const ConvSource&, int64_t, int64_t, const double*, const double*, double*);

}  // namespace cotangent::raw
