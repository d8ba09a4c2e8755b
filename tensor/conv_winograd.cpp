// Convolution with 3 x 3 taps side by side by Winograd's minimal filtering (Lavin and Gray 2016): 2 x 2 neighbouring
// results of a channel read 4 x 4 pixels. Linear maps of both the pixels and the taps to 4 x 4 turn their convolution
// into 16 multiplications, where the definition takes 36, and another map turns the sums over all channels into
// results:
//   y = A' [sum over channels of (G w G') * (B' x B)] A
// The gradient of the weights is the adjoint: G' [sum over tiles of (A dy A') * (B' x B)] G.
// With A and G' in each other's place the same tile gives 3 x 3 results of 2 x 2 taps: a stride of two over 4 x 4 taps.
#include <cotangent/tensor/conv_loops_internal.hpp>

namespace cotangent::raw {
namespace {

using kernels::ConvLoops;
using kernels::PixelRun;
using kernels::WinogradLine;

constexpr int64_t kSquare = 16;         // elements of a tile
constexpr int64_t kGradientPanels = 2;  // of tiles that a weight gradient sums at once

/// How many results a dimension a tile gives, from how many taps. With a stride, pixels and taps alike are sorted by
/// their remainder: each kind counts as channels of its own, whose convolution has no stride. In the adjoint of that,
/// results and taps are: each phase of the results has taps of its own, and all of them read the same tile.
struct Tiling {
  int64_t stride, spread, results, taps;

  explicit Tiling(const ConvSource& s)
      : stride(s.axes[2].step),
        spread(s.axes[2].spread),
        results(5 - s.axes[2].taps / stride / spread),
        taps(5 - results) {}
  int64_t kinds() const { return stride * stride; }
  int64_t phases() const { return spread * spread; }
  /// Pixels of the result a dimension, and how many of them lie before the first one.
  int64_t side() const { return results * spread; }
  int64_t skipped(const ConvAxis& a) const { return spread > 1 ? a.shift % spread : 0; }
  int64_t count(const ConvAxis& a) const { return (a.positions + skipped(a) + side() - 1) / side(); }
};

/// The same source, in tiles instead of positions of one result.
ConvSource tile_source(const ConvSource& s, const Tiling& t) {
  ConvAxis axes[3] = {s.axes[0], s.axes[1], s.axes[2]};
  for (int d = 1; d < 3; ++d) {
    ConvAxis& a = axes[d];
    a.shift = t.spread > 1 ? a.shift / t.spread - 1 : a.low(), a.shift_step = 1;
    a.positions = t.count(s.axes[d]);
    a.step = t.results * t.stride, a.spread = 1;
    a.place = -t.skipped(s.axes[d]), a.place_step = t.side();
    a.taps = 4 * t.stride;
  }
  return ConvSource(axes, s.images, s.channels, s.image_stride / s.channel_stride,
                    s.result_image_stride / s.result_channel_stride, true);
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
  s.for_lines(u, [&](const ConvSource::Line& at) {
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
  });
  if (panel.tiles > 0) f(static_cast<const Panel&>(panel));
}

/// Where the elements of a tile of each kind lie, from that tile's own place in its channel.
PooledVector<int64_t> square_offsets(const ConvSource& tiles, const Tiling& t) {
  PooledVector<int64_t> pixels(static_cast<size_t>(tiles.depth())), squares;
  tiles.offsets(pixels.data());
  for (int64_t p = 0; p < t.kinds(); ++p)
    for (int64_t i = p / t.stride; i < 4 * t.stride; i += t.stride)
      for (int64_t j = p % t.stride; j < 4 * t.stride; j += t.stride)
        squares.push_back(pixels[static_cast<size_t>(i * 4 * t.stride + j)]);
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
const kernels::WinogradLoops& maps() {
  return kernels::kernels().winograd[sizeof(T) == 4 ? 0 : 1];
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
                      .x_row = tiles.plane,
                      .offsets = squares.data() + p * kSquare,
                      .y = to + p * tiles.channels * width,
                      .y_row = width,
                      .y_line = 4 * plane,
                      .y_plane = plane,
                      .runs = panel.runs,
                      .run_count = panel.pieces});
}

}  // namespace

bool winograd_pays(const ConvSource& s, int64_t rows) {
  const ConvAxis &y = s.axes[1], &x = s.axes[2];
  if (s.axes[0].taps != 1 || s.axes[0].place_step != 1 || s.axes[0].spread != 1 || s.channels < 16 || rows < 16)
    return false;
  // 3 x 3 taps, or 4 x 4 ones with a stride, or the adjoint of these: where tiles from 2 x 2 taps share the pixels
  for (const ConvAxis* a : {&y, &x}) {
    const bool strided = a->step == 2 && a->spread == 1 && a->shift_step == 1;
    const bool adjoint = a->step == 1 && a->spread == 2 && a->shift_step == -1;
    const bool plain = a->step == 1 && a->spread == 1 && std::abs(a->shift_step) == 1;
    if (a->step != x.step || a->spread != x.spread || a->place_step != 1 ||
        !(a->taps == 3 ? plain : a->taps == 4 && (strided || adjoint)))
      return false;
  }
  const Tiling t(s);
  return 3 * kSquare * t.phases() * t.count(y) * t.count(x) <= 2 * t.taps * t.taps * y.positions * x.positions;
}

template <class T>
void convolve_winograd(const ConvSource& s, int64_t groups, int64_t rows, const T* x, const T* w, WeightStrides strides,
                       const T* bias, T* y) {
  const ConvLoops& loop = loops<T>();
  const Tiling tiling(s);
  const ConvSource tiles = tile_source(s, tiling);
  const int64_t kinds = tiling.kinds(), phases = tiling.phases(), channels = s.channels, depth = kinds * channels,
                block = loop.rows, blocks = (rows + block - 1) / block, all_blocks = groups * blocks;
  const int64_t width = loop.vectors * loop.lanes;
  // A vector more a plane: maps write beyond what they should, and planes would compete for places in the cache.
  const int64_t weight_depth = depth * block, weight_plane = weight_depth + loop.lanes;
  const int64_t source_plane = depth * width + loop.lanes, phase_rows = blocks * block * width,
                result_plane = phases * phase_rows + loop.lanes;

  const Tensor packed = make_tensor({all_blocks * s.depth() * block + loop.lanes}, dtype_of<T>);
  pack_weights(s, groups, rows, block, w, strides, packed.data<T>());
  const Tensor weights = make_tensor({phases * all_blocks * kSquare * weight_plane}, dtype_of<T>);
  const PooledVector<int64_t> squares = square_offsets(tiles, tiling);
  PooledVector<int64_t> taps;
  const int64_t step = tiling.stride * tiling.spread;
  const auto tap = [&](const ConvAxis& a, int64_t first, int64_t i) {
    return first + (a.shift_step < 0 ? tiling.taps - 1 - i : i) * step;
  };
  for (int64_t p = 0; p < kinds * phases; ++p)
    for (int64_t i = 0; i < tiling.taps; ++i)
      for (int64_t j = 0; j < tiling.taps; ++j)
        taps.push_back((tap(s.axes[1], p / step, i) * s.axes[2].taps + tap(s.axes[2], p % step, j)) * block);
  const bool three = tiling.results == 3;
  const auto weight_map = three ? maps<T>().from_two : maps<T>().from_three;
  const auto result_map = phases > 1 ? maps<T>().six_results : three ? maps<T>().three_results : maps<T>().two_results;
  const Vectors columns(loop.lanes, block);
  parallel_for(0, all_blocks, std::max<int64_t>(1, 4096 / (phases * weight_depth)), [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b)
      for (int64_t p = 0; p < kinds * phases; ++p)
        weight_map({.rows = channels,
                    .x = packed.data<T>() + b * s.depth() * block,
                    .x_row = s.taps() * block,
                    .offsets = taps.data() + p * tiling.taps * tiling.taps,
                    .y = weights.data<T>() + (p % phases * all_blocks + b) * kSquare * weight_plane +
                         p / phases * channels * block,
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

  const int64_t tasks = tiles.units * groups;
  const double work = double(s.images) * double(s.result_channel_stride) * double(groups * rows * s.depth());
  const int64_t copy = round_up(tiles.size() + loop.lanes, 64), size = copy + kSquare * (source_plane + result_plane);
  for_tasks<T>(tasks, work, size, copy, [&](T* space, int64_t task) {
    T *const source = space + copy, *const sums = source + kSquare * source_plane;
    const int64_t g = task % groups;
    const ConvSource::Unit u = tiles.unit(task / groups);
    const T* in = tiles.load(u, x + g * channels * s.channel_stride, space);
    for_panels(tiles, u, tiling.side(), loop.lanes, width, [&](const Panel& panel) {
      map_source<T>(tiles, panel, squares, in, width, source_plane, source);
      int64_t from[kernels::kWinogradVectors];
      for (int64_t v = 0; v < loop.vectors; ++v) from[v] = v * loop.lanes;
      const int64_t count = (panel.tiles + loop.lanes - 1) / loop.lanes;
      for (int64_t i = 0; i < kSquare; ++i)
        for (int64_t b = 0; b < phases * blocks; ++b) {
          const int64_t of_group = g * blocks + b % blocks;
          loop.product(
              {.depth = depth,
               .vectors = count,
               .weights = weights.data<T>() + ((b / blocks * all_blocks + of_group) * kSquare + i) * weight_plane,
               .start = i == 5 ? starts.data<T>() + of_group * block : zeros,
               .x = source + i * source_plane,
               .offsets = panel_offsets.data(),
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
                  .y = y + g * rows * s.result_channel_stride,
                  .y_channel = s.result_channel_stride,
                  .y_row = s.axes[2].result});
    });
  });
}

template <class T>
void correlate_winograd(const ConvSource& s, int64_t groups, int64_t rows, const T* x, const T* g, T* dw) {
  const ConvLoops& loop = loops<T>();
  const auto transpose = kernels::kernels().transpose[sizeof(T) == 8 ? 3 : 2];
  const Tiling tiling(s);
  const ConvSource tiles = tile_source(s, tiling);
  const int64_t kinds = tiling.kinds(), channels = s.channels, depth = kinds * channels, side = tiling.results,
                taps = s.taps();
  const int64_t height = round_up(depth, loop.outer_rows), line = round_up(rows, loop.lanes);
  // the tiles of a unit in equal panels
  const int64_t most = kGradientPanels * loop.vectors * loop.lanes + loop.lanes,
                unit = tiles.unit_images * tiles.band * tiles.axes[2].positions, panels = (unit + most - 1) / most;
  const int64_t width = round_up((unit + panels - 1) / panels, loop.lanes);
  const int64_t source_plane = depth * width + loop.lanes, gradient_plane = width * line + loop.lanes,
                sum_plane = height * line + loop.lanes, turned_row = side * width * line;
  const int64_t each = taps * channels * line, chunks = chunk_count(tiles, groups * each), tasks = chunks * groups;

  const PooledVector<int64_t> squares = square_offsets(tiles, tiling);
  PooledVector<int64_t> panel_offsets, pixel_offsets, sum_offsets;
  for (int64_t k = 0; k < height; ++k) panel_offsets.push_back(std::min(k, depth - 1) * width);
  for (int64_t i = 0; i < side * side; ++i) pixel_offsets.push_back(i / side * turned_row + i % side * line);
  for (int64_t i = 0; i < kSquare; ++i) sum_offsets.push_back(i * sum_plane);
  const bool three = side == 3;
  const auto gradient_map = three ? maps<T>().from_three : maps<T>().from_two;
  const auto weight_map = three ? maps<T>().to_two : maps<T>().to_three;
  const Vectors vectors(loop.lanes, line);

  const double work = double(s.images) * double(s.result_channel_stride) * double(groups * rows * s.depth());
  const int64_t copy = round_up(tiles.size() + loop.lanes, 64), cleared = copy + side * turned_row,
                size = cleared + kSquare * (source_plane + gradient_plane + sum_plane);
  const Tensor partial = make_tensor({tasks * each}, dtype_of<T>);
  for_tasks<T>(tasks, work, size, cleared, [&](T* space, int64_t task) {
    T *const turned = space + copy, *const source = space + cleared, *const gradient = source + kSquare * source_plane,
             *const sums = gradient + kSquare * gradient_plane;
    const int64_t group = task % groups, chunk = task / groups;
    std::memset(sums, 0, static_cast<size_t>(kSquare * sum_plane) * sizeof(T));
    for (int64_t i = tiles.units * chunk / chunks; i < tiles.units * (chunk + 1) / chunks; ++i) {
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
              transpose(g + group * rows * s.result_channel_stride + at.place + j * s.axes[2].result, rows, columns,
                        s.result_channel_stride, to, line);
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
        for (int64_t j = 0; j < kSquare; ++j)
          for (int64_t column = 0; column < line; column += loop.outer_vectors * loop.lanes)
            for (int64_t k = 0; k < height; k += loop.outer_rows)
              loop.outer({.pixels = panel.tiles,
                          .x = source + j * source_plane,
                          .offsets = panel_offsets.data() + k,
                          .g = gradient + j * gradient_plane + column,
                          .g_stride = line,
                          .channels = std::min(loop.outer_vectors * loop.lanes, line - column),
                          .sums = sums + j * sum_plane + k * line + column,
                          .sums_stride = line});
      });
    }
    const int64_t step = tiling.stride;
    for (int64_t p = 0; p < kinds; ++p)
      weight_map({.rows = channels,
                  .x = sums + p * channels * line,
                  .x_row = line,
                  .offsets = sum_offsets.data(),
                  .y = partial.data<T>() + task * each + (p / step * s.axes[2].taps + p % step) * line,
                  .y_row = taps * line,
                  .y_line = step * s.axes[2].taps * line,
                  .y_plane = step * line,
                  .runs = vectors.data(),
                  .run_count = vectors.count});
  });
  sum_chunks(partial.data<T>(), chunks, groups, each, taps * channels, rows, line, dw);
}

template void convolve_winograd(const ConvSource&, int64_t, int64_t, const float*, const float*, WeightStrides,
                                const float*, float*);
template void convolve_winograd(const ConvSource&, int64_t, int64_t, const double*, const double*, WeightStrides,
                                const double*, double*);
template void correlate_winograd(const ConvSource&, int64_t, int64_t, const float*, const float*, float*);
template void correlate_winograd(const ConvSource&, int64_t, int64_t, const double*, const double*, double*);

}  // namespace cotangent::raw
