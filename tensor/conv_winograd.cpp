// Convolution with 3 x 3 taps side by side by Winograd's minimal filtering (Lavin and Gray 2016): 2 x 2 neighbouring
// results of a channel read 4 x 4 pixels. Linear maps of both the pixels and the taps to 4 x 4 turn their convolution
// into 16 multiplications, where the definition takes 36, and another map turns the sums over all channels into
// results:
//   y = A' [sum over channels of (G w G') * (B' x B)] A
// The gradient of the weights is the adjoint: G' [sum over tiles of (A dy A') * (B' x B)] G.
#include <cotangent/tensor/conv_loops_internal.hpp>

namespace cotangent::raw {
namespace {

using kernels::ConvLoops;
using kernels::PixelRun;
using kernels::WinogradLine;

constexpr int64_t kSquare = 16;         // elements of a tile
constexpr int64_t kGradientPanels = 2;  // of tiles that a weight gradient sums at once

/// The same source, in tiles of two results a dimension instead of positions of one.
ConvSource tile_source(const ConvSource& s) {
  ConvAxis axes[3] = {s.axes[0], s.axes[1], s.axes[2]};
  for (int d = 1; d < 3; ++d) {
    axes[d].shift = s.axes[d].low(), axes[d].shift_step = 1;
    axes[d].positions = (s.axes[d].positions + 1) / 2;
    axes[d].step = axes[d].place_step = 2;
    axes[d].taps = 4;
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
void for_panels(const ConvSource& s, const ConvSource::Unit& u, int64_t lanes, int64_t width, F&& f) {
  const ConvAxis &y = s.axes[1], &x = s.axes[2];
  Panel panel;
  s.for_lines(u, [&](const ConvSource::Line& at) {
    const bool last = at.pixels_left == x.positions && u.first_row + u.rows == y.positions;
    const int64_t rows = last && y.result % 2 != 0 ? 1 : 2;
    for (int64_t first = 0; first < x.positions;) {
      const int64_t count = std::min({x.positions - first, lanes, width - panel.tiles});
      panel.runs[panel.pieces] = {at.source + first, panel.tiles, count};
      panel.lines[panel.pieces++] = {panel.tiles, at.result + 2 * first, rows,
                                     std::min(2 * count, x.result - 2 * first)};
      first += count, panel.tiles += count;
      if (panel.tiles < width) continue;
      f(static_cast<const Panel&>(panel));
      panel.tiles = panel.pieces = 0;
    }
  });
  if (panel.tiles > 0) f(static_cast<const Panel&>(panel));
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

}  // namespace

bool winograd_pays(const ConvSource& s, int64_t rows) {
  const ConvAxis &y = s.axes[1], &x = s.axes[2];
  if (s.axes[0].taps != 1 || s.axes[0].place_step != 1 || s.channels < 16 || rows < 16) return false;
  for (const ConvAxis* a : {&y, &x})
    if (a->taps != 3 || a->step != 1 || a->place_step != 1 || a->spread != 1 || std::abs(a->shift_step) != 1)
      return false;
  const int64_t tiles = ((y.positions + 1) / 2) * ((x.positions + 1) / 2);
  return 3 * kSquare * tiles <= 2 * 9 * y.positions * x.positions;
}

template <class T>
void convolve_winograd(const ConvSource& s, int64_t groups, int64_t rows, const T* x, const T* w, WeightStrides strides,
                       const T* bias, T* y) {
  const ConvLoops& loop = loops<T>();
  const ConvSource tiles = tile_source(s);
  const int64_t channels = s.channels, block = loop.rows, blocks = (rows + block - 1) / block;
  const int64_t width = loop.vectors * loop.lanes;
  // A vector more a plane: maps write beyond what they should, and planes would compete for places in the cache.
  const int64_t weight_depth = channels * block, weight_plane = weight_depth + loop.lanes;
  const int64_t source_plane = channels * width + loop.lanes, result_plane = blocks * block * width + loop.lanes;

  const Tensor packed = make_tensor({groups * blocks * weight_depth * 9 + loop.lanes}, dtype_of<T>);
  pack_weights(s, groups, rows, block, w, strides, packed.data<T>());
  const Tensor weights = make_tensor({groups * blocks * kSquare * weight_plane}, dtype_of<T>);
  int64_t taps[9];
  for (int64_t i = 0; i < 3; ++i)
    for (int64_t j = 0; j < 3; ++j)
      taps[3 * i + j] = (3 * (s.axes[1].shift_step < 0 ? 2 - i : i) + (s.axes[2].shift_step < 0 ? 2 - j : j)) * block;
  const Vectors columns(loop.lanes, block);
  parallel_for(0, groups * blocks, std::max<int64_t>(1, 4096 / weight_depth), [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b)
      maps<T>().weight({.rows = channels,
                        .x = packed.data<T>() + b * weight_depth * 9,
                        .x_row = 9 * block,
                        .offsets = taps,
                        .y = weights.data<T>() + b * kSquare * weight_plane,
                        .y_row = block,
                        .y_plane = weight_plane,
                        .runs = columns.data(),
                        .run_count = columns.count});
  });
  // The element in the middle of the sums takes part in all four results alike.
  const Tensor starts = make_tensor({(groups * blocks + 1) * block}, dtype_of<T>);
  T* const zeros = starts.data<T>() + groups * blocks * block;
  std::fill_n(starts.data<T>(), starts.numel(), T(0));
  for (int64_t i = 0; i < groups * rows && bias; ++i) starts.data<T>()[i / rows * blocks * block + i % rows] = bias[i];
  const Tensor offsets = make_tensor({channels * (kSquare + 1)}, int64);
  int64_t* const panel_offsets = offsets.data<int64_t>() + channels * kSquare;
  tiles.offsets(offsets.data<int64_t>());
  for (int64_t k = 0; k < channels; ++k) panel_offsets[k] = k * width;

  const int64_t tasks = tiles.units * groups;
  const double work = double(s.images) * double(s.result_channel_stride) * double(groups * rows * s.depth());
  const int64_t workers = worker_count(tasks, work);
  const int64_t copy = round_up(tiles.size() + loop.lanes, 64);
  const Scratch<T> scratch(workers, copy + kSquare * (source_plane + result_plane));
  for (int64_t i = 0; i < workers; ++i) std::memset(scratch.of(i), 0, static_cast<size_t>(copy) * sizeof(T));
  for_workers(workers, tasks, [&](int64_t worker, int64_t task) {
    T *const space = scratch.of(worker), *const source = space + copy, *const sums = source + kSquare * source_plane;
    const int64_t g = task % groups;
    const ConvSource::Unit u = tiles.unit(task / groups);
    const T* in = tiles.load(u, x + g * channels * s.channel_stride, space);
    for_panels(tiles, u, loop.lanes, width, [&](const Panel& panel) {
      maps<T>().source({.rows = channels,
                        .x = in,
                        .x_row = tiles.plane,
                        .offsets = offsets.data<int64_t>(),
                        .y = source,
                        .y_row = width,
                        .y_plane = source_plane,
                        .runs = panel.runs,
                        .run_count = panel.pieces});
      int64_t from[kernels::kWinogradVectors];
      for (int64_t v = 0; v < loop.vectors; ++v) from[v] = v * loop.lanes;
      const int64_t count = (panel.tiles + loop.lanes - 1) / loop.lanes;
      for (int64_t i = 0; i < kSquare; ++i)
        for (int64_t b = 0; b < blocks; ++b)
          loop.product({.depth = channels,
                        .vectors = count,
                        .weights = weights.data<T>() + ((g * blocks + b) * kSquare + i) * weight_plane,
                        .start = i == 5 ? starts.data<T>() + (g * blocks + b) * block : zeros,
                        .x = source + i * source_plane,
                        .offsets = panel_offsets,
                        .from = from,
                        .place = from,
                        .y = sums + i * result_plane + b * block * width,
                        .row_stride = width});
      maps<T>().result({.rows = rows,
                        .vectors = count,
                        .products = sums,
                        .row_stride = width,
                        .plane = result_plane,
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
  const ConvSource tiles = tile_source(s);
  const int64_t channels = s.channels, height = round_up(channels, loop.outer_rows), line = round_up(rows, loop.lanes);
  const int64_t width = kGradientPanels * loop.vectors * loop.lanes;
  const int64_t source_plane = channels * width + loop.lanes, gradient_plane = width * line + loop.lanes,
                sum_plane = height * line + loop.lanes, turned_row = 2 * width * line;
  const int64_t each = 9 * channels * line, chunks = chunk_count(tiles, groups * each), tasks = chunks * groups;

  const Tensor offsets = make_tensor({channels * kSquare + height}, int64);
  int64_t* const panel_offsets = offsets.data<int64_t>() + channels * kSquare;
  tiles.offsets(offsets.data<int64_t>());
  for (int64_t k = 0; k < height; ++k) panel_offsets[k] = std::min(k, channels - 1) * width;
  const int64_t pixel_offsets[4] = {0, line, turned_row, turned_row + line};
  int64_t sum_offsets[kSquare];
  for (int64_t i = 0; i < kSquare; ++i) sum_offsets[i] = i * sum_plane;
  const Vectors vectors(loop.lanes, line);

  const double work = double(s.images) * double(s.result_channel_stride) * double(groups * rows * s.depth());
  const int64_t workers = worker_count(tasks, work);
  const int64_t copy = round_up(tiles.size() + loop.lanes, 64);
  const Scratch<T> scratch(workers, copy + kSquare * (source_plane + gradient_plane + sum_plane) + 2 * turned_row);
  std::memset(scratch.memory.raw_data(), 0, static_cast<size_t>(workers * scratch.each) * sizeof(T));
  const Tensor partial = make_tensor({tasks * each}, dtype_of<T>);
  for_workers(workers, tasks, [&](int64_t worker, int64_t task) {
    T *const space = scratch.of(worker), *const source = space + copy,
             *const gradient = source + kSquare * source_plane, *const sums = gradient + kSquare * gradient_plane,
             *const turned = sums + kSquare * sum_plane;
    const int64_t group = task % groups, chunk = task / groups;
    std::memset(sums, 0, static_cast<size_t>(kSquare * sum_plane) * sizeof(T));
    for (int64_t i = tiles.units * chunk / chunks; i < tiles.units * (chunk + 1) / chunks; ++i) {
      const ConvSource::Unit u = tiles.unit(i);
      const T* in = tiles.load(u, x + group * channels * s.channel_stride, space);
      for_panels(tiles, u, loop.lanes, width, [&](const Panel& panel) {
        maps<T>().source({.rows = channels,
                          .x = in,
                          .x_row = tiles.plane,
                          .offsets = offsets.data<int64_t>(),
                          .y = source,
                          .y_row = width,
                          .y_plane = source_plane,
                          .runs = panel.runs,
                          .run_count = panel.pieces});
        for (int64_t p = 0; p < panel.pieces; ++p)
          for (int64_t j = 0; j < 2; ++j) {
            const WinogradLine& at = panel.lines[p];
            T* const to = turned + j * turned_row + 2 * at.tile * line;
            const int64_t columns = j < at.rows ? at.columns : 0;
            if (columns > 0)
              transpose(g + group * rows * s.result_channel_stride + at.place + j * s.axes[2].result, rows, columns,
                        s.result_channel_stride, to, line);
            std::memset(to + columns * line, 0,
                        static_cast<size_t>((2 * panel.runs[p].count - columns) * line) * sizeof(T));
          }
        maps<T>().result_gradient({.rows = panel.tiles,
                                   .x = turned,
                                   .x_row = 2 * line,
                                   .offsets = pixel_offsets,
                                   .y = gradient,
                                   .y_row = line,
                                   .y_plane = gradient_plane,
                                   .runs = vectors.data(),
                                   .run_count = vectors.count});
        for (int64_t j = 0; j < kSquare; ++j)
          for (int64_t column = 0; column < line; column += loop.outer_vectors * loop.lanes)
            for (int64_t k = 0; k < height; k += loop.outer_rows)
              loop.outer({.pixels = panel.tiles,
                          .x = source + j * source_plane,
                          .offsets = panel_offsets + k,
                          .g = gradient + j * gradient_plane + column,
                          .g_stride = line,
                          .channels = std::min(loop.outer_vectors * loop.lanes, line - column),
                          .sums = sums + j * sum_plane + k * line + column,
                          .sums_stride = line});
      });
    }
    maps<T>().weight_gradient({.rows = channels,
                               .x = sums,
                               .x_row = line,
                               .offsets = sum_offsets,
                               .y = partial.data<T>() + task * each,
                               .y_row = 9 * line,
                               .y_plane = line,
                               .runs = vectors.data(),
                               .run_count = vectors.count});
  });
  sum_chunks(partial.data<T>(), chunks, groups, each, 9 * channels, rows, line, dw);
}

template void convolve_winograd(const ConvSource&, int64_t, int64_t, const float*, const float*, WeightStrides,
                                const float*, float*);
template void convolve_winograd(const ConvSource&, int64_t, int64_t, const double*, const double*, WeightStrides,
                                const double*, double*);
template void correlate_winograd(const ConvSource&, int64_t, int64_t, const float*, const float*, float*);
template void correlate_winograd(const ConvSource&, int64_t, int64_t, const double*, const double*, double*);

}  // namespace cotangent::raw
